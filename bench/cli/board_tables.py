"""How `bench board` shows its answers, in 80 columns and in more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from bench.base.groups import grouped
from bench.cli.tables import Shown, table

WIDE = 120  # characters from which the list of boards has all of its columns
NAME, GAP = 24, 2  # characters for the name of a row, and between columns
DECIDES = ("", "row", "score", "95% interval", "kept", "ms", "params", "to finetune")
SIGNS = {True: "*", False: ""}
LEGEND = (
    "* best score; = cannot be told from it, the evidence is open; to finetune: the same student without a teacher, "
    "trained alike"
)


def summary_table(answer: Mapping[str, Any]) -> Shown:
    """A line a board."""
    columns = ("task", "track", *(("metric", "runs") if is_wide() else ()), "rows", "best", "score", "teacher", "kept")
    found = table("", columns, ([summarised(b)[column] for column in columns] for b in answer["boards"]))
    for column in found.columns:
        column.no_wrap = column.header != "best"
    yield found
    yield "teacher: its score; kept: the best score's share of it. Rows with intervals: bench board --task TASK"


def summarised(found: Mapping[str, Any]) -> dict[str, Any]:
    """The cells of a line by column."""
    return {
        **found, "best": f"{found['method'] or ''} {found['student'] or ''}", "score": hundred(found["score"]),
        "teacher": hundred(found["teacher_score"]), "kept": share(found["retention"]),
    }  # fmt: skip


def is_wide() -> bool:
    return Console().width >= WIDE


def board_tables(answer: Mapping[str, Any]) -> Shown:
    """Each board with its rows, and what has to be known of them."""
    for number, found in enumerate(answer["boards"]):
        yield from [""] if number else []
        yield Text(f"{found['task']}, {found['track']}: {found['metric']} x 100 on {found['dataset']}", style="bold")
        yield row_table(found["rows"], Console().width)
        if number + 1 == len(answer["boards"]):
            yield LEGEND
        yield from notes(found)


def row_table(rows: Sequence[Mapping[str, Any]], width: int) -> Any:
    """What decides, and as much of what it cost and the other baseline as leaves room for the names of rows."""
    lines = [cells(row) for row in rows]
    columns = fitting(lines, width)
    found = table("", columns, ([line[column] for column in columns] for line in lines))
    for column in found.columns:
        column.no_wrap = column.header != "row"
    found.columns[columns.index("row")].min_width = min(
        NAME, max(len(word) for r in rows for word in r["name"].split())
    )
    return found


def fitting(lines: Sequence[Mapping[str, str]], width: int) -> list[str]:
    """The columns that a terminal of this width has: in 80 characters what decides."""
    columns, taken = list(DECIDES), NAME
    for column in lines[0]:
        if column != "row":
            taken += GAP + max(len(column), *(len(line[column]) for line in lines))
        if column not in DECIDES and taken <= width:
            columns.append(column)
    return columns


def cells(row: Mapping[str, Any]) -> dict[str, str]:
    """A row of the board by column; those that decide are first."""
    sign = SIGNS[row["best"]] or ("=" if row["tie"] else "")
    few = f" ({row['seeds']} seed{'s' * (row['seeds'] != 1)})" if row["provisional"] else ""
    return {
        "": sign, "row": row["name"] + few, "score": hundred(row["score"]),
        "95% interval": between(row["low"], row["high"]), "kept": share(row["retention"]),
        "ms": plain(row["latency_ms"], ".3g") + "!" * bool(row["noisy"]), "params": millions(row["parameters"]),
        "to finetune": change(row, "finetune"), "to kd": change(row, "kd"),
        "speed-up": plain(row["speedup"], ".2f") + "x" * (row["speedup"] is not None),
        "seeds": str(row["seeds"] or ""), "updates": plain(row["updates"], ",.0f"),
        "dev": "" if row["dev"] is None else f"{row['dev']:.4g}",
    }  # fmt: skip


def notes(found: Mapping[str, Any]) -> Shown:
    """What speaks against the numbers, and the rows that are missing."""
    if any(row["noisy"] for row in found["rows"]):
        yield "! timed beside other work: no quiet measurement is there"
    for reason in (found["weakness"], found["no_comparison"] and f"no comparison: {found['no_comparison']}"):
        if reason:
            yield Text(reason, style="yellow")
    marks = grouped(((mark, row["name"]) for row in found["rows"] for mark in row["marks"]), lambda pair: pair[0])
    yield from (Text(f"{mark}: {', '.join(name for _, name in own)}", style="yellow") for mark, own in marks.items())
    for missing in found["missing"]:
        yield f"missing: {missing['method']} with {', '.join(missing['students'])}"
        yield Text(f"    {missing['command']}", no_wrap=True, overflow="ignore")


def suite_tables(answer: Mapping[str, Any]) -> Shown:
    """Data sets as lines and rows as columns where all fit, else rows as lines of one narrow column a data set."""
    for found in answer["tables"]:
        measured = [column["name"] for column in found["columns"] if column["board"]]
        yield Text(f"{found['suite']}, {found['track']}: {found['measured']} of {len(found['columns'])} data sets, "
                   "x 100", style="bold")  # fmt: skip
        yield "; ".join(f"{', '.join(names)}: {metrics}" for metrics, names in scored(found["columns"]).items())
        for start in range(0, len(measured), size := per_table(measured)):
            last = start + size >= len(measured)
            yield suite_table(found, measured[start : start + size], list(found["averages"]) if last else [])
        for title, own in found["averages"].items():
            if lacking := [name for name in own if name not in measured]:
                yield f"{title}: none, as nothing is measured on {', '.join(lacking)}"
        if any(row["provisional"] for row in found["rows"]):
            yield "? fewer than three seeds in one of its cells"
        yield "intervals of cells, and what they show: bench board --task TASK"


def scored(columns: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """{its metrics, whose mean a cell is: the measured data sets that are scored so}."""
    found: dict[str, list[str]] = {}
    for column in columns:
        if column["board"]:
            found.setdefault(" and ".join(column["metrics"]), []).append(column["name"])
    return found


def per_table(names: Sequence[str]) -> int:
    """How many data sets stand beside each other."""
    width = max(map(len, names), default=6)
    return max(1, (Console().width - 30) // (max(6, width) + 1))


def suite_table(found: Mapping[str, Any], columns: Sequence[str], averages: Sequence[str]) -> Any:
    known = [title for title in averages if any(row["averages"][title] for row in found["rows"])]
    rows = (
        (row["name"] + " ?" * row["provisional"], *(hundred(c and c["value"]) for c in map(row["cells"].get, columns)),
         *(interval(row["averages"][title]) for title in known))
        for row in found["rows"]
    )  # fmt: skip
    made = table("", ("row", *columns, *known), rows)
    for column in made.columns[1:]:
        column.no_wrap = True
    return made


def interval(mean: Mapping[str, Any] | None) -> str:
    """A mean with its interval below it."""
    if mean is None:
        return ""
    return hundred(mean["value"]) + (f"\n{between(mean['low'], mean['high'])}" if mean["low"] is not None else "")


def change(row: Mapping[str, Any], method: str) -> str:
    """The difference to a baseline and what it shows: `+0.48 clear`."""
    value = row[f"{method}_difference"]
    return "" if value is None else f"{100 * value:+.2f} {row[f'{method}_evidence']}"


def hundred(value: float | None) -> str:
    return "" if value is None else f"{round(100 * value, 2) + 0.0:.2f}"


def between(low: float | None, high: float | None) -> str:
    return "" if low is None else f"{hundred(low)} to {hundred(high)}"


def share(value: float | None) -> str:
    return plain(value, ".1%")


def plain(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def millions(count: int) -> str:
    return f"{count / 1e6:.3g}M" if count else ""
