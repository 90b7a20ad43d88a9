"""How the runs of a row were trained, when, and what they score on each data set: from their records."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from typing import Any

from bench.board.leaderboard import Board, Row
from bench.board.scores import scores
from bench.records.schemas import Record
from bench.records.specs import checked_spec, in_words


def trained(row: Row, board: Board, records: Mapping[str, Record]) -> dict[str, Any]:
    """Batch, learning rate, all of the track, the day of the last run; of a teacher only what it scores, read from the
    runs beside it.

    An empty rate: the student's architecture has one of its own.
    """
    datasets = by_dataset(scores(board, row, records), board.metric)
    if not row.method:
        return {"batch_size": None, "lr": "", "trained": {}, "finished": "", "datasets": datasets}
    own = [records[run_id] for _, run_id in row.runs]
    settings = checked_spec(own[0]).settings
    track, rate = settings.get("track", {}), settings.get("method", {}).get("lr")
    batch = track.get("batch_size")
    return {
        "batch_size": batch if isinstance(batch, int) else None, "lr": "" if rate is None else in_words(rate),
        "trained": {name: in_words(value) for name, value in track.items()},
        "finished": max(record.provenance.finished for record in own),
        "datasets": datasets,
    }  # fmt: skip


def recipe(board: Mapping[str, Any]) -> dict[str, str]:
    """What a board's rows were trained with, in words: {what: its values over the rows}."""
    rows = [row for row in board["rows"] if row["method"]]
    return {
        "updates of the student": listed(row["updates"] for row in rows),
        "examples in a batch": listed(row["batch_size"] or "all of them" for row in rows),
        "learning rate": listed(row["lr"] or "the student's own" for row in rows),
        "teacher": listed(row["teacher"] for row in rows),
        "seeds": listed(run["seed"] for row in rows for run in row["runs"]),
        **{
            name: listed(row["trained"].get(name, "not set") for row in rows)
            for name in dict.fromkeys(name for row in rows for name in row["trained"])
            if name not in ("updates", "batch_size") and len({row["trained"].get(name) for row in rows}) > 1
        },
    }  # fmt: skip


def listed(values: Iterable[Any]) -> str:
    """Different values, each once; numbers come by size."""
    found = set(values) - {None}
    numbers = sorted(v for v in found if not isinstance(v, str))
    return ", ".join([*(f"{v:,.0f}" for v in numbers), *sorted(v for v in found if isinstance(v, str))]) or "unknown"


def by_dataset(scores: Iterable[Mapping[str, Mapping[str, float | None]]], metric: str) -> dict[str, float]:
    """The mean over runs of the board's metric on each data set; nothing where there is one data set alone."""
    found: dict[str, list[float]] = {}
    for run in scores:
        for dataset, values in run.items():
            if (value := values.get(metric)) is not None:
                found.setdefault(dataset, []).append(value)
    return {dataset: statistics.fmean(values) for dataset, values in found.items()} if len(found) > 1 else {}
