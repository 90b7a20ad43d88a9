"""Across boards: how methods do on average, and which student to take of each board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.board import evidence
from bench.board.leaderboard import ALWAYS
from bench.board.verdicts import over_boards
from bench.web.facts import by_track, family

Board = Mapping[str, Any]


def tracks(boards: Sequence[Board]) -> list[dict[str, Any]]:
    """Each track with its methods, the best mean rank first. Tracks are never averaged: they are other tasks."""
    return [{"track": track, "boards": group, "methods": methods(group)} for track, group in by_track(boards).items()]


def methods(boards: Sequence[Board]) -> list[dict[str, Any]]:
    """Every method over the boards that it is on: mean retention and mean rank with their intervals, and verdicts."""
    names = sorted({name for board in boards for name in board["standing"]})
    found = [method(name, [b for b in boards if name in b["standing"]]) for name in names]
    return sorted(found, key=lambda m: (m["rank"] is None, m["rank"] or 0, -(m["retention"] or 0), m["method"]))


def method(name: str, boards: Sequence[Board]) -> dict[str, Any]:
    """One method over its boards, each of which counts the same."""
    standing = [board["standing"][name] for board in boards]
    rows = [row for board in boards for row in board["rows"] if row["method"] == name and not row["older"]]
    return {
        "method": name, "family": family(name), "boards": len(boards), "rows": len(rows),
        **over_boards("retention", standing), **over_boards("rank", standing),
        "against": {other: evidence.counted(row["against"].get(other) for row in rows) for other in ALWAYS},
    }  # fmt: skip


def pick(board: Board) -> dict[str, Any]:
    """The best students of a board, all that are equal, and the fastest of those that are as good; None where unknown.

    As good: the evidence between it and the best is open, and it keeps 99% of its score, the quality target of MLPerf
    Inference. The first alone would not do: seeds that lie far apart leave a row ten points below the best open. Of
    equally fast ones the best on test would be chosen by noise: all are named.
    """
    rows = [row for row in board["rows"] if row["method"] and row["score"] is not None]
    teachers = [row for row in board["rows"] if row["teacher"] and not row["method"]]
    best = [row for row in rows if row["best"]]
    tied = [row for row in rows if row["best_or_tied"]]
    good = [r for r in tied if r["score"] >= best[0]["score"] - evidence.GIVEN_UP * abs(best[0]["score"])]
    timed = [row for row in good if latency(row) is not None]
    fastest = [row for row in timed if latency(row) == min(map(latency, timed))]  # type: ignore[type-var]
    return {
        "teacher": teachers[0] if teachers else None, "best": best[0] if best else None, "bests": best,
        "tied": len(tied), "fastest": fastest[0] if fastest else None, "fastests": fastest,
    }  # fmt: skip


def latency(row: Mapping[str, Any]) -> float | None:
    """Of the row's first hardware."""
    found: float | None = row["timings"][0]["latency_ms"] if row["timings"] else None
    return found
