"""The rows of the committed records, as the boards have them: a page shows those of its method, task or student."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.base.formats import DASH
from bench.board.leaderboard import Board, Row, rows
from bench.board.verdicts import with_intervals
from bench.records import disk

from .text import code, table

COLUMNS = ("task", "track", "row", "student", "score x 100", "95% interval", "retention", "seeds")
NOTE = (
    "From the committed records: scores on test, intervals over examples and seeds. Rows of different tasks or tracks "
    "are not comparable. `bench site build` makes the board, with differences and their evidence."
)


@dataclass(frozen=True)
class Line:
    """A row with the board that it stands on."""

    board: Board
    row: Row


def measured(results: Path) -> list[Line]:
    """All rows below a results folder, board by board, best first; none where there is no such folder."""
    if not results.is_dir():
        return []
    found = list(disk.read_all(results))
    boards = [with_intervals(board, found, results) for board in rows(found)]
    return [Line(board, row) for board in boards for row in board.rows]


def shown(lines: Iterable[Line], wanted: Callable[[Line], bool]) -> str:
    """A table of the lines that are wanted; empty: there are none."""
    found = table(COLUMNS, (cells(line) for line in lines if wanted(line)))
    return found and f"{NOTE}\n\n{found}"


def cells(line: Line) -> list[str]:
    board, row = line.board, line.row
    score = row.score
    interval = f"{100 * score.low:.2f} to {100 * score.high:.2f}" if score else DASH
    name = row.method or row.reference or f"teacher {row.teacher}"
    return [
        code(board.task), board.track, code(" ".join([name, *row.differs])), code(row.student),
        f"{100 * score.value:.2f} {board.metric}" if score else DASH, interval,
        f"{row.retention:.1%}" if row.retention is not None else DASH, str(len(row.runs) or DASH),
    ]  # fmt: skip
