"""What the records of a board say of one of its rows, data set by data set."""

from __future__ import annotations

from collections.abc import Mapping

from bench.board.leaderboard import Board, Row
from bench.records.schemas import Record

Scores = Mapping[str, Mapping[str, float | None]]  # data set -> metric -> value; None: it is undefined


def scores(board: Board, row: Row, records: Mapping[str, Record]) -> list[Scores]:
    """All metrics of each run; of a teacher or a reference what each of the runs beside it says. `records`: by id."""
    if row.method:
        return [records[run_id].metrics.all for _, run_id in row.runs]
    beside = [records[run_id] for other in board.rows for _, run_id in other.runs]
    if row.reference:
        return [r.references[row.reference].metrics for r in beside if row.reference in r.references]
    return [record.teacher.metrics or {} for record in beside if taught_by(row, record)]


def taught_by(row: Row, record: Record) -> bool:
    """Whether a run's teacher is that of a teacher's row."""
    return record.spec["teacher"] == row.teacher and record.teacher.identity == row.identity
