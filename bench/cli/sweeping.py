"""What `bench run` and `bench sweep` do alike with the cells of a grid: plan them, or carry them out and tell of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.base import processes
from bench.base.console import Console
from bench.cli import ending
from bench.cli.live import LiveTable
from bench.cli.options import show
from bench.errors import RequestError

if TYPE_CHECKING:
    from bench.runs.grid import Cell
    from bench.runs.spec import Spec


@dataclass(frozen=True)
class Manner:
    """How runs are carried out, whatever they are."""

    results: Path
    device: str
    store_quota: str
    engine: str
    jobs: int | None
    remeasure: bool
    dry_run: bool
    as_json: bool
    timed: bool = True

    def check(self) -> None:
        """RequestError: no such device or engine, or it has no such option."""
        processes.check_device(self.device)
        if self.engine not in ("local", "ray"):
            raise RequestError(f"--engine {self.engine}: there are local and ray")
        if self.jobs and self.engine == "local":
            raise RequestError(
                f"--jobs {self.jobs}: the local engine gives all cores to one run; add --engine ray for several"
            )
        if self.remeasure and not self.timed:
            raise RequestError("--remeasure and --no-measure contradict each other: give one of them")
        if not self.timed and self.engine == "ray":
            raise RequestError("--no-measure is for runs on this machine: leave out --engine ray")
        if self.remeasure and self.engine == "ray":
            raise RequestError("--remeasure times one run after the other on this machine: leave out --engine ray")


def carry_out(cells: Sequence[Cell], manner: Manner) -> tuple[str, int]:
    """Plan the cells, or carry them out; what went wrong in one sentence, and the exit status."""
    from bench.runs import ahead, rehearsal, sweep
    from bench.store import folders

    manner.check()
    folders.set_quota(manner.store_quota)
    processes.start(manner.device)
    specs, done = ahead.planned(cells, manner.results)
    if manner.dry_run:
        plan(specs, len(cells), done, manner)
        return "", 0
    if manner.engine == "local":
        sweep.choose_device(manner.device)
    sweep.check_writable(manner.results)
    rehearsal.rehearse(spec for spec in specs if spec.run_id not in done)
    console = Console(quiet=not processes.main())
    if console.terminal and len(specs) > 1:
        with LiveTable(specs) as table:
            outcomes, status = run(cells, specs, manner, table)
    else:
        outcomes, status = run(cells, specs, manner, console)
    if processes.prints() and (manner.as_json or len(outcomes) > 1):
        show({"runs": outcomes}, manner.as_json, "runs")
    if processes.prints() and not manner.as_json:
        ending.show_rows(cells, outcomes, manner.results)
    return sweep.failure(outcomes) if status else "", status


def run(
    cells: Sequence[Cell], specs: Sequence[Spec], manner: Manner, console: Console
) -> tuple[list[dict[str, Any]], int]:  # fmt: skip
    """Outcomes and exit status, with the engine that was asked for."""
    if manner.engine == "ray":
        from bench.cluster import calls

        requests = [cell.request for cell in cells]
        return calls.run_all(requests, specs, manner.results, manner.device, manner.jobs, console)
    from bench.runs.sweep import run_all

    return run_all(specs, manner.results, manner.device, console, manner.remeasure, manner.timed)


def plan(specs: Sequence[Spec], cells: int, done: set[str], manner: Manner) -> None:
    """What would run, which of it is done, and what a task has to do once for all."""
    from bench.runs.sweep import describe

    states = {s.run_id: "done" if s.run_id in done else "planned" for s in specs}
    if manner.as_json:
        found = [describe(s, states[s.run_id]) | {"spec": dict(s.values)} for s in specs]
        lines = [json.dumps({"cells": cells, "runs": found}, indent=1)]
    else:
        lines = [f"{s.run_id}  {s.label}{'  done' * (s.run_id in done)}" for s in specs]
        lines += [f"{t.name}: {told}" for t in {id(s.task): s.task for s in specs}.values() if (told := t.plan())]
        lines += [counted(cells, len(specs), len(done))] if len(specs) > 1 else []
    if processes.prints():
        print(*lines, sep="\n")


def counted(cells: int, runs: int, done: int) -> str:
    grid = f"{cells} cells, " if cells > 1 else ""
    return f"{grid}{runs} runs: {done} done, {runs - done} to do"
