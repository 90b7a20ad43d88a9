"""A board with the speeds of one's own machine in the place of those that its records tell."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from bench.board.leaderboard import Board, Row
from bench.board.speed import Clock, Hardware, Session, Shape, shapes
from bench.errors import RequestError
from bench.records.schemas import Interval, Record


class Timings(Protocol):
    @property
    def found(self) -> Mapping[str, Mapping[str, Any]]:
        """Of a run: the session in which its network was timed, with `teacher` and others by their run ids."""

    @property
    def why_not(self) -> Mapping[str, str]: ...


BASELINES = ("finetune", "kd")
Timing = Callable[[Sequence[Record]], Timings]


def retimed(board: Board, found: Iterable[Record], timing: Timing) -> tuple[Board, dict[str, str]]:
    """Rows whose networks could be built here are timed, all others are not; why not, by the row's name.

    RequestError: none could be built.
    """
    ids = {run_id for row in board.rows for _, run_id in row.runs}
    each: dict[tuple[Shape, Shape], Record] = {}  # speed depends on nothing else
    for record in sorted(found, key=simple):
        if record.run_id in ids:
            each.setdefault(shapes(record), record)
    told = timing(list(each.values()))
    if not told.found:
        raise RequestError(f"nothing of this board can be timed here: {next(iter(told.why_not.values()), 'no runs')}")
    sessions = {
        pair: session(pair, r.run_id, told.found[r.run_id]) for pair, r in each.items() if r.run_id in told.found
    }
    hardware, clock = hardware_of(next(iter(told.found.values()))), Clock([])
    clock.sessions = {hardware: list(sessions.values())}
    rows = tuple(replace(row, speed=_speed(row, clock, board.rows)) for row in board.rows)
    why = {row.name: told.why_not[r.run_id] for row in board.rows for pair, r in each.items()
           if pair in row.shapes and r.run_id in told.why_not}  # fmt: skip
    return replace(board, rows=rows, hardware=(hardware,)), why


def simple(record: Record) -> int:
    """What of runs with equal networks is easiest to build again: a baseline asks for nothing but the data."""
    method = record.spec["method"]
    return BASELINES.index(method) if method in BASELINES else len(BASELINES)


def hardware_of(session: Mapping[str, Any]) -> Hardware:
    return Hardware(session["device"], session["threads"], session["scope"], session["inputs"])


def session(pair: tuple[Shape, Shape], run_id: str, told: Mapping[str, Any]) -> Session:
    teacher, speedups = told["models"]["teacher"], told["speedups"][run_id]
    offline = speedups.get("offline")
    return Session(
        *pair, teacher["latency"]["single"]["p50_ms"], teacher["throughput"].get("offline_per_s"),
        Interval(**speedups["single"]), offline["value"] if offline else None, (None, None), bool(told["noise"]),
    )  # fmt: skip


def _speed(row: Row, clock: Clock, rows: Sequence[Row]) -> Any:
    """A teacher's shapes are those of its students."""
    if row.method:
        return clock.of_student(row.shapes)
    return clock.of_teacher({shape for r in rows if r.teacher == row.teacher for shape, _ in r.shapes})
