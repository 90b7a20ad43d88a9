"""Tables on the terminal."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.store import Entry

COLUMNS = {
    "tasks": ("name", "kind", "metric", "title"),
    "methods": ("name", "needs", "fits", "title"),
    "students": ("name", "default", "sizes", "title"),
    "teachers": ("name", "tasks", "where"),
}


def print_catalogue(parts: dict[str, list[dict[str, Any]]]) -> None:
    """One table a part; under the methods, why those that do not fit a task do not."""
    console = Console()
    for part, rows in parts.items():
        table = _table(part, COLUMNS[part])
        for row in rows:
            table.add_row(*(Text(_cell(row[c])) for c in COLUMNS[part]))
        console.print(table)
        for row in rows:
            for task, reason in row.get("misfits", {}).items():
                console.print(Text(f"  {row['name']} does not fit {task}: {reason}"))


def print_outcomes(outcomes: Sequence[dict[str, Any]]) -> None:
    """What a sweep came to."""
    table = _table("", ("task", "method", "student", "seed", "status", "metric", "value", "retention"))
    for o in outcomes:
        value = "" if o["value"] is None else f"{100 * o['value']:.2f}"
        retention = "" if o["retention"] is None else f"{o['retention']:.1%}"
        cells = (o["task"], o["method"], o["student"], o["seed"], o["status"], o["metric"] or "", value, retention)
        table.add_row(*(Text(str(c)) for c in cells))
    Console().print(table)


def print_comparison(found: dict[str, Any]) -> None:
    """A minus B in points, and what to make of it."""
    a, b = found["a"], found["b"]
    table = _table(
        f"{a} - {b}: {found['metric']} x 100 on {found['task']}, track {found['track']}",
        ("difference", "95% interval", "p", f"p (Holm, {found['pairs']} pairs)", "seeds", "examples"),
    )
    low, high = found["ci95"]
    cells = (
        f"{100 * found['difference']:+.2f}", f"{100 * low:+.2f} to {100 * high:+.2f}", f"{found['p_value']:.2g}",
        f"{found['p_holm']:.2g}", str(found["seeds"] or "none"), f"{found['examples']:,}",
    )  # fmt: skip
    table.add_row(*map(Text, cells))
    console = Console()
    console.print(table)
    console.print(Text(in_words(found)))
    if found["seeds"] == 1:
        console.print(Text("One common seed: the noise between seeds is unknown and not in these numbers. Run three."))


def in_words(found: dict[str, Any]) -> str:
    """The verdict as a sentence."""
    a, b = found["a"], found["b"]
    if found["verdict"] == "tie":
        return f"Tie: these examples and seeds do not separate {a} and {b}."
    return f"{a} is better than {b}." if found["verdict"] == "a" else f"{b} is better than {a}."


def print_store(root: Path, entries: Sequence[Entry]) -> None:
    """Sizes and last use, newest first."""
    table = _table("", ("key", "kind", "MB", "last use", "what"))
    for e in entries:
        used = datetime.datetime.fromtimestamp(e.used).isoformat(" ", "minutes")
        table.add_row(*(Text(c) for c in (e.key, e.kind, f"{e.size / 1e6:.1f}", used, e.detail)))
    console = Console()
    console.print(table)
    console.print(Text(f"{sum(e.size for e in entries) / 1e6:.1f} MB in {root}"))


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column == "key")  # keys are there to be copied
    return table


def _cell(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
