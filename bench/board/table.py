"""A board as a plain table: a row of the board a row, as the terminal and the Python API show it.

Scores, differences and retention are shares of 1. Nothing here is worked out anew: it is what verdicts say.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from bench.board import leaderboard, learned
from bench.board.leaderboard import ALWAYS, Board, Row
from bench.board.speed import Hardware, Speed
from bench.board.suites import of_board, tables
from bench.board.verdicts import Verdicts, judge
from bench.errors import RequestError, unknown
from bench.plugins import suites
from bench.records import disk, typed
from bench.records.schemas import Record

MAKE = "bench run --suite"


class BoardRow(TypedDict):
    """The columns of a board (docs/api.md says what each of them means)."""

    board: str
    task: str
    track: str
    metric: str
    dataset: str
    name: str
    method: str
    student: str
    teacher: str
    reference: str
    settings: str
    seeds: int
    provisional: bool
    score: float | None
    low: float | None
    high: float | None
    interval: str | None
    retention: float | None
    best: bool
    tie: bool | None
    finetune_difference: float | None
    finetune_low: float | None
    finetune_high: float | None
    finetune_evidence: str | None
    kd_difference: float | None
    kd_low: float | None
    kd_high: float | None
    kd_evidence: str | None
    latency_ms: float | None
    speedup: float | None
    device: str | None
    noisy: bool | None
    parameters: int
    updates: float | None
    dev: float | None
    marks: list[str]
    run_ids: list[str]


def boards(results: Path, task: str, track: str = "") -> list[dict[str, Any]]:
    """The boards of a task, of all its tracks where none is named, with their rows.

    RequestError: there is no such record, with what there is.
    """
    names = typed.tasks(task)  # a file is a task, too
    folders = [f"{own}/{name}" for own in tracks_in(results) if track in ("", own) for name in names]
    found = [record for folder in folders for record in disk.read_all(results, folder)]
    there = [board for board in leaderboard.rows(found) if board.task in names]
    chosen = leaderboard.made_from(task, there, found) if there else there
    if not chosen:
        leaderboard.chosen(results, task, track)  # says what there is
    records = {record.run_id: record for record in found}
    return [told(judge(board, found, results), records) for board in chosen]


def told(verdicts: Verdicts, records: Mapping[str, Record]) -> dict[str, Any]:
    """A board as `bench board --task --json` prints it; `records`: by the ids of runs."""
    board = verdicts.board
    rows = [row(verdicts, place) for place in range(len(board.rows))]
    return columns(verdicts, records) | {
        "metric": board.metric, "dataset": board.dataset, "version": board.version, "identity": board.identity,
        "rows": rows, "no_comparison": verdicts.why, "weakness": learned.weakness(verdicts),
        "missing": [{"method": m.method, "students": list(m.students), "command": m.command} for m in board.missing],
    }  # fmt: skip


def row(verdicts: Verdicts, place: int) -> BoardRow:
    board, own = verdicts.board, verdicts.board.rows[place]
    low, high, covers = verdicts.interval(place) or (None, None, None)
    against = verdicts.against(place) if own.method else {}
    found: Any = {
        "board": board.slug, "task": board.task, "track": board.track, "metric": board.metric,
        "dataset": board.dataset, "name": own.name, "method": own.method, "student": own.student,
        "teacher": own.teacher, "reference": own.reference, "settings": ", ".join(own.differs),
        "seeds": len(own.runs), "provisional": own.few_seeds, "score": own.score.value if own.score else None,
        "low": low, "high": high, "interval": covers, "retention": own.retention,
        "best": place in verdicts.best, "tie": verdicts.ties_with_best(place) if own.method else None,
        **differences(against), **speed(own, board),
        "parameters": int(own.parameters.high), "updates": own.updates, "dev": own.dev,
        "marks": list(learned.marks(verdicts, place)), "run_ids": [run_id for _, run_id in own.runs],
    }  # fmt: skip
    made: BoardRow = found
    return made


def differences(against: Mapping[str, Mapping[str, Any] | None]) -> dict[str, Any]:
    """To each baseline, in columns of its name."""
    parts = {"difference": "value", "low": "low", "high": "high", "evidence": "evidence"}
    return {
        f"{method}_{name}": (against.get(method) or {}).get(key) for method in ALWAYS for name, key in parts.items()
    }


def speed(own: Row, board: Board) -> dict[str, Any]:
    """On the first hardware of the board on which the row was timed."""
    timed: tuple[Hardware, Speed] | None = next(((h, own.speed[h]) for h in board.hardware if h in own.speed), None)
    if timed is None:
        return dict.fromkeys(("latency_ms", "speedup", "device", "noisy"))
    hardware, found = timed
    ratio = found.speedup.value if found.speedup else None
    return {"latency_ms": found.latency_ms, "speedup": ratio, "device": hardware.words, "noisy": found.noisy}


def suite(results: Path, name: str, track: str = "") -> list[dict[str, Any]]:
    """The tables of a suite, one for each track, or that of one. RequestError: no such suite, or nothing of it."""
    found = suites.find(name)
    folders = [f"{own}/{task}" for own in tracks_in(results) if track in ("", own) for task in found.tasks]
    known = [record for folder in folders for record in disk.read_all(results, folder)]
    records = {record.run_id: record for record in known}
    made = tables(found, [columns(judge(board, known, results), records) for board in leaderboard.rows(known)])
    if not made:
        raise RequestError(
            f"{results} holds no records of the suite {name}{f' on {track}' * bool(track)}: {MAKE} {name}"
        )
    return made


def columns(verdicts: Verdicts, records: Mapping[str, Record]) -> dict[str, Any]:
    """What a board gives to suites, and which board it is."""
    board = verdicts.board
    return {"slug": board.slug, "task": board.task, "track": board.track, "suites": of_board(verdicts, records)}


def tracks_in(results: Path) -> list[str]:
    return sorted(path.name for path in leaderboard.folder(results).iterdir() if path.is_dir())


def overview(results: Path, track: str = "") -> list[dict[str, Any]]:
    """A line a board: how many rows and runs, the best of them and the teacher; nothing is compared.

    RequestError: no records, or none on this track.
    """
    found = leaderboard.rows(disk.read_all(leaderboard.folder(results)))
    if not found:
        raise RequestError(f"the results folder {results} holds no records: run `bench run --task sts` first")
    if track and track not in {board.track for board in found}:
        raise unknown("track", track, {board.track for board in found})
    return [summary(board) for board in found if track in ("", board.track)]


def summary(board: Board) -> dict[str, Any]:
    rows = [own for own in board.rows if own.method]
    best = next((own for own in rows if own.score), None)
    teacher = next((own for own in board.rows if own.is_teacher), None)
    return {
        "slug": board.slug, "task": board.task, "track": board.track, "metric": board.metric,
        "dataset": board.dataset, "rows": len(rows), "runs": sum(len(own.runs) for own in rows),
        "best": best.name if best else None, "method": best.method if best else None,
        "student": best.student if best else None, "score": best.score.value if best and best.score else None,
        "retention": best.retention if best else None, "teacher": teacher.teacher if teacher else None,
        "teacher_score": teacher.score.value if teacher and teacher.score else None,
    }  # fmt: skip
