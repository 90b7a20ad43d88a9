"""A table of a sweep that lives at the end of a terminal: what is done with which score, what goes on, what waits."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bench.base.console import Console

if TYPE_CHECKING:
    from rich.console import Console as Screen
    from rich.table import Table

    from bench.runs.spec import Spec

MOST = 12  # rows: of many runs those around what goes on
OFTEN = 0.2  # seconds between two drawings, so that it costs the loop nothing


class LiveTable(Console):
    """Lines go above the table. It is drawn where something happens, never by itself: what is timed is left alone."""

    def __init__(self, specs: Sequence[Spec], screen: Screen | None = None) -> None:
        from rich.console import Console as Screen
        from rich.live import Live

        super().__init__()
        self.specs, self.outcomes, self.going, self.last = specs, dict[str, Mapping[str, Any]](), "", 0.0
        self.live = Live(
            console=screen or Screen(file=sys.stderr), auto_refresh=False, transient=True, redirect_stdout=False
        )

    def __enter__(self) -> LiveTable:
        self.live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.live.stop()

    def progress(self, label: str, done: int, total: int) -> None:
        self.going = f"{label} {done}/{total}"
        self.draw()

    def ended(self, outcome: Mapping[str, Any]) -> None:
        self.outcomes[outcome["run_id"]], self.going = outcome, ""
        self.draw(anyway=True)

    def draw(self, anyway: bool = False) -> None:
        if anyway or time.monotonic() - self.last > OFTEN:
            self.last = time.monotonic()
            self.live.update(self.table(), refresh=True)

    def table(self) -> Table:
        from bench.cli import tables

        first = next((n for n, spec in enumerate(self.specs) if spec.run_id not in self.outcomes), len(self.specs))
        start = max(0, min(first - MOST // 2, len(self.specs) - MOST))
        rows = (self.row(spec, n == first) for n, spec in enumerate(self.specs) if start <= n < start + MOST)
        title = f"{sum(spec.run_id in self.outcomes for spec in self.specs)} of {len(self.specs)} runs"
        return tables.table(title, ("task", "method", "student", "seed", "status", "score"), rows)

    def row(self, spec: Spec, first: bool) -> list[Any]:
        told = self.outcomes.get(spec.run_id)
        value = told["value"] if told else None
        status = told["status"] if told else (self.going or "running") if first else ""
        score = "" if value is None else f"{100 * value:.2f}"
        return [*(spec.values[key] for key in ("task", "method", "student", "seed")), status, score]
