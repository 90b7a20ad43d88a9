"""`bench site diff`: what the boards say differently when one folder of results takes the place of another."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.base.formats import hundred, whole
from bench.board import leaderboard
from bench.board.leaderboard import Board, Row
from bench.board.verdicts import SAME
from bench.errors import RequestError
from bench.records import disk

Rows = dict[tuple[str, ...], tuple[int, Row]]
LONGEST = 120  # characters of a name


@dataclass(frozen=True)
class Change:
    """A row that came, went, or says something else. Places count the methods' rows from 1; scores are shares."""

    what: str  # added | removed | changed | other numbers: runs, score and place are the same, timings or sizes are not
    row: str
    score: float | None
    before: float | None
    place: int | None
    place_before: int | None


@dataclass(frozen=True)
class BoardChange:
    what: str  # new | gone | changed
    task: str
    track: str
    metric: str
    best: str | None
    best_before: str | None
    rows: tuple[Change, ...]


def changes(old: Path, new: Path) -> list[BoardChange]:
    """Boards that differ, by task. RequestError: a broken record, or no folder of new results."""
    if not new.is_dir():
        raise RequestError(f"there is no results folder {new}")
    before, after = by_slug(old), by_slug(new)
    found = (board_change(before.get(slug), after.get(slug)) for slug in {**before, **after})
    return sorted((c for c in found if c), key=lambda c: (c.task, c.track, c.metric, c.what))


def by_slug(results: Path) -> dict[str, Board]:
    """A folder that is not there holds no board."""
    found = disk.read_all(results) if results.is_dir() else ()
    return {board.slug: board for board in leaderboard.rows(found)}


def board_change(before: Board | None, after: Board | None) -> BoardChange | None:
    """None: all rows are as they were."""
    now = placed(after)
    then = placed(before, {run: row.differs for _, row in now.values() for run in row.runs})
    rows = tuple(row_changes(then, now))
    board = after or before
    if not board or not rows:
        return None
    what = "changed" if before and after else "new" if after else "gone"
    best, best_before = (", ".join(r.name for p, r in found.values() if p == 1) or None for found in (now, then))
    return BoardChange(what, board.task, board.track, board.metric, best, best_before, rows)


def placed(board: Board | None, differs: Mapping[tuple[int, str], tuple[str, ...]] = {}) -> Rows:
    """Rows of methods by what names them, best first, with their place, which equal scores share. `differs`: the names
    that runs have now, as a row's name tells it from its board's other rows, so a row that comes beside it may give it
    another name."""
    found, rows = {}, [row for row in board.rows if row.method] if board else []
    for old in rows:
        place = 1 + sum(above(other, old) for other in rows)
        row = replace(old, differs=next((differs[run] for run in old.runs if run in differs), old.differs))
        found[row.method, row.student, row.teacher, *row.differs] = place, row
    return found


def above(one: Row, other: Row) -> bool:
    """Whether its score is higher; any score is higher than none."""
    if not one.score or not other.score:
        return bool(one.score)
    return one.score.value > other.score.value and not math.isclose(one.score.value, other.score.value, abs_tol=SAME)


def row_changes(before: Rows, after: Rows) -> Iterator[Change]:
    """Best first; a row whose place alone has moved is told where others came above it."""
    for name in {**after, **before}:
        (place, row), (old_place, old) = after.get(name, (None, None)), before.get(name, (None, None))
        score, old_score = (r.score.value if r and r.score else None for r in (row, old))
        what = "added" if row else "removed"
        if row and old:
            same = (row.runs, score, place) == (old.runs, old_score, old_place)
            what = "other numbers" if same else "changed"
        if (either := row or old) and (row, place) != (old, old_place):
            yield Change(what, either.name, score, old_score, place, old_place)


def as_markdown(found: Sequence[BoardChange]) -> str:
    """For a comment or a job's summary: names cannot become markup or mention anybody."""
    if not found:
        return "No board changes.\n"
    return "\n".join(line for change in found for line in told(change))


def told(change: BoardChange) -> Iterator[str]:
    """One board as a heading and a table."""
    yield f"### {plain(change.task)}, {plain(change.track)} track: {change.what}\n"
    if change.best != change.best_before:
        yield f"Best row: {plain(change.best or 'none')} (before: {plain(change.best_before or 'none')})\n"
    yield f"| row | | {plain(change.metric)} x 100 | before | place | before |"
    yield "|---|---|---|---|---|---|"
    for row in change.rows:
        cells = hundred(row.score), hundred(row.before), whole(row.place), whole(row.place_before)
        yield f"| {plain(row.row)} | {row.what} | {' | '.join(cells)} |"
    yield ""


def plain(text: str) -> str:
    """A name as a code span, in which nothing is markup, a mention or a reference, and that cannot be left."""
    shown = re.sub(
        r"[^ -~\w]|[\u200b-\u200f\u202a-\u202e\u2066-\u2069]", "\N{REPLACEMENT CHARACTER}", " ".join(text.split())
    )
    return "`" + (shown.replace("`", "'").replace("|", "\N{BROKEN BAR}")[:LONGEST] or " ") + "`"
