"""`bench compare`: two rows of a board, their difference, and what has to be known of both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.board import choice, evidence, leaderboard
from bench.board.learned import marks
from bench.board.named import Reader, Unreadable, find_pair
from bench.board.speed import Hardware
from bench.board.verdicts import Verdicts, verdicts_of
from bench.errors import RequestError
from bench.plugins import registry
from bench.scoring.comparison import Difference


def compare(
    results: Path,
    task: str,
    a: str,
    b: str,
    track: str = "mini",
    student: str = "",
    files: Sequence[Path] = (),
    board: str = "",
) -> dict[str, Any]:
    """What `bench compare --json` prints.

    a, b: a method, method@student, teacher, or a row's name in words; `student`: of a name that says none; `files`: of
    tasks whose metrics are their own; `board`: its slug or data, where there are several.
    RequestError: no such rows, no predictions of them, or they share no seed.
    """
    with registry.trusting(files):
        return _compare(results, task, a, b, track, student, board)


def _compare(results: Path, task: str, a: str, b: str, track: str, student: str, named: str) -> dict[str, Any]:
    found, boards = leaderboard.chosen(results, task, track)
    boards = [choice.board(boards, named)] if named else boards
    board, places = find_pair(boards, a, b, student)
    reader = Reader(board, found, results)
    try:
        verdicts = verdicts_of(reader, reader.rows(set(places)))
    except Unreadable as error:
        wanted = ({run_id for _, run_id in board.rows[place].runs} for place in places if board.rows[place].method)
        if why := next((error.why[min(runs)] for runs in wanted if runs <= set(error.why)), ""):
            raise RequestError(why) from None
        if not (smaller := leaderboard.without(board, found, error.why)):
            raise
        places = find_pair([smaller], a, b, student)[1]
        reader = Reader(smaller, found, results)
        verdicts = verdicts_of(reader, reader.rows(set(places)))
    d = verdicts.difference(*places)
    if d is None:
        raise RequestError("the two rows share no seed; runs are compared seed by seed")
    assert verdicts.comparison is not None  # there is a difference
    between = verdicts.comparison.difference(*(verdicts.place[place] for place in places))
    return {
        "task": board.task, "track": board.track, "a": a, "b": b, "metric": board.metric,
        "difference": d["value"], "ci95": [d["low"], d["high"]], "evidence": d["evidence"],
        "sentence": evidence.sentence(d["evidence"], d["value"], a, b),
        "p_value": d["p_value"], "p_holm": d["p_holm"], "family": d["family"], "examples": reader.examples,
        "seeds": d["seeds"], "noise": noise(between), "speed": speeds(verdicts, places),
        "board_sees": asdict(seen) if (seen := verdicts.power) else None,
        "marks": {name: list(marks(verdicts, place)) for name, place in zip((a, b), places, strict=True)},
    }  # fmt: skip


def noise(difference: Difference) -> str:
    """What the interval and the p-value cover."""
    if not difference.seeds:
        return "examples: teachers have no seeds"
    if not difference.seed_noise:
        return "examples alone: with one seed in every row the noise between seeds is unknown"
    return "examples and seeds" if difference.seeds > 1 else "examples and seeds, as the rows with several tell of them"


def speeds(verdicts: Verdicts, places: list[int]) -> list[dict[str, Any]]:
    """How fast both are, on each hardware on which both were timed."""
    one, two = (verdicts.board.rows[place] for place in places)
    return [
        {"hardware": hardware.words, "a": told(one, hardware), "b": told(two, hardware),
         "same_network": bool(one.shapes) and one.shapes == two.shapes}
        for hardware in sorted(one.speed.keys() & two.speed.keys())
    ]  # fmt: skip


def told(row: leaderboard.Row, hardware: Hardware) -> dict[str, Any]:
    """A row's speed."""
    speed = row.speed[hardware]
    return {
        "latency_ms": speed.latency_ms, "speedup": speed.speedup.value if speed.speedup else None,
        "sessions": speed.sessions, "noisy": speed.noisy,
    }  # fmt: skip
