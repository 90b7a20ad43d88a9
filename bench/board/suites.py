"""Suites: a table of data sets by rows, from their boards, and averages of rows that have every cell.

A missing cell is never filled, and an average over fewer data sets is none. A cell is the mean over a row's seeds of
the metrics that the suite names. Where a row has several settings on a board, the best one on dev stands for it; where
a data set has several boards on a track (other data, another version of its task), the one with most runs.

A cell has its board's interval where it shows the board's own metric. The interval of an average takes the data sets as
independent, as their examples are: half = sqrt(sum half^2) / n; it is left out where a cell has none.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.base.groups import grouped
from bench.board.leaderboard import Row
from bench.board.scores import Scores, scores
from bench.board.verdicts import Verdicts
from bench.plugins import suites
from bench.plugins.suites import Column, Suite
from bench.records.schemas import Record
from bench.records.specs import TRACK_ORDER

Cell = Mapping[str, Any]
NOTHING = {"value": None, "low": None, "high": None}


def of_board(verdicts: Verdicts, records: Mapping[str, Record]) -> list[dict[str, Any]]:
    """What a board gives to suites: a column of one, and the cell of each row that has it."""
    board, found = verdicts.board, []
    for suite, columns in suites.of_task(board.task):
        for column in columns:
            cells = [cell(verdicts, place, column, len(columns) > 1, records) for place in range(len(board.rows))]
            if own := [c for c in cells if c]:
                found.append({"suite": suite.name, "column": column.name, "rows": own})
    return found


def cell(
    verdicts: Verdicts, place: int, column: Column, parted: bool, records: Mapping[str, Record]
) -> dict[str, Any] | None:
    """One row's cell; None: its records do not hold these metrics. `parted`: the board has several columns, whose mean
    it ranks by; `whole` is that mean with its interval."""
    board, row = verdicts.board, verdicts.board.rows[place]
    values = [value(own, column) for own in scores(board, row, records)]
    known = [v for v in values if v is not None]
    if not known or len(known) < len(values):
        return None
    low, high = (verdicts.interval(place) or (None, None))[:2] if column.metrics == (board.metric,) else (None, None)
    whole = {"value": row.score.value, "low": low, "high": high} if row.score and low is not None else None
    return {
        **named(row), "key": row.key, "settings": ", ".join(row.differs) if row.method else "", "dev": row.dev,
        "seeds": len(row.runs), "provisional": row.few_seeds, "value": statistics.fmean(known),
        "low": None if parted else low, "high": None if parted else high, "whole": whole if parted else None,
    }  # fmt: skip


def named(row: Row) -> dict[str, str]:
    """What makes rows of several boards one row of the table."""
    return {"method": row.method, "student": row.student, "teacher": row.teacher, "reference": row.reference}


def value(found: Scores, column: Column) -> float | None:
    """Of one run: the mean over its data sets, of as many metrics each; None: one of them is not there."""
    datasets = [column.dataset] if column.dataset else list(found)
    values = [found.get(dataset, {}).get(m) for dataset in datasets for m in column.metrics]
    known = [v for v in values if v is not None]
    return statistics.fmean(known) if known and len(known) == len(values) else None


def tables(suite: Suite, boards: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A table for each track with cells. `boards`: with slug, task, track and what `of_board` says as `suites`."""
    tracks = grouped(
        (b for b in boards if any(own["suite"] == suite.name for own in b["suites"])), lambda b: b["track"]
    )
    order = sorted(tracks, key=lambda t: (t not in TRACK_ORDER, TRACK_ORDER.index(t) if t in TRACK_ORDER else 0, t))
    return [table(suite, track, tracks[track]) for track in order]


def table(suite: Suite, track: str, boards: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """`columns`: all of the suite, with the board of those that are measured; `rows`: cells by column, averages by
    name, both None where there is none; teachers first, then the rows with the best first average."""
    columns = {column.name: source(suite.name, column.name, boards) for column in suite.columns}
    cells = [
        (column, {**own, "board": board["slug"]})
        for column, (board, rows) in columns.items() if board
        for own in rows
    ]  # fmt: skip
    rows = [line(suite, own) for own in grouped(cells, lambda pair: identity(pair[1])).values()]
    shown = [
        {"name": c.name, "task": c.task, "metrics": list(c.metrics), "board": (columns[c.name][0] or {}).get("slug")}
        for c in suite.columns
    ]
    return {
        "suite": suite.name, "track": track, "columns": shown,
        "averages": {title: list(own) for title, own in suite.averages.items()},
        "measured": sum(column["board"] is not None for column in shown), "rows": sorted(rows, key=place),
    }  # fmt: skip


def source(suite: str, column: str, boards: Sequence[Mapping[str, Any]]) -> tuple[Mapping[str, Any] | None, list[Cell]]:
    """The board of a column, that with most runs, and its cells."""
    columns = ((board, own) for board in boards for own in board["suites"])
    found = [(board, own["rows"]) for board, own in columns if (own["suite"], own["column"]) == (suite, column)]
    return max(found, key=lambda pair: (sum(c["seeds"] for c in pair[1]), pair[0]["slug"]), default=(None, []))


def identity(cell: Cell) -> tuple[str, ...]:
    return cell["method"], cell["student"], cell["teacher"], cell["reference"]


def line(suite: Suite, found: Sequence[tuple[str, Cell]]) -> dict[str, Any]:
    """A row of the table; of several settings in a column the best on dev."""
    columns = {name: best([c for _, c in own]) for name, own in grouped(found, lambda pair: pair[0]).items()}
    first = next(iter(columns.values()))
    words = (
        (first["reference"],)
        if first["reference"]
        else (first["method"] or "teacher", first["student"] or first["teacher"])
    )
    keys = ("value", "low", "high", "seeds", "provisional", "settings", "board", "key")
    return {
        **{key: first[key] for key in ("method", "student", "teacher", "reference")}, "name": " ".join(words),
        "cells": {
            c.name: {key: columns[c.name][key] for key in keys} if c.name in columns else None for c in suite.columns
        },
        "averages": {title: average([columns.get(name) for name in own]) for title, own in suite.averages.items()},
        "provisional": any(own["provisional"] for own in columns.values()),
    }  # fmt: skip


def best(cells: Sequence[Cell]) -> Cell:
    return max(cells, key=lambda c: -math.inf if c["dev"] is None else c["dev"])


def average(cells: Sequence[Cell | None]) -> dict[str, float | None] | None:
    """The mean of the cells with its interval; None: one of them is missing."""
    known = [c for c in cells if c is not None]
    if not known or len(known) < len(cells):
        return None
    mean = statistics.fmean(c["value"] for c in known)
    wholes = [c["whole"] for c in known]
    if wholes[0] and math.isclose(
        wholes[0]["value"], mean, abs_tol=1e-9
    ):  # all of one board, which ranks by their mean
        return dict(wholes[0])
    if any(c["low"] is None for c in known):
        return NOTHING | {"value": mean}
    half = math.hypot(*((c["high"] - c["low"]) / 2 for c in known)) / len(known)
    return {"value": mean, "low": mean - half, "high": mean + half}


def place(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Of a row in its table: teachers, what no network predicted, then students by their averages and their cells."""
    means = [-own["value"] if own else math.inf for own in row["averages"].values()]
    cells = [-own["value"] for own in row["cells"].values() if own]
    return 2 * bool(row["method"]) + bool(row["reference"]), means, -len(cells), cells, row["name"]
