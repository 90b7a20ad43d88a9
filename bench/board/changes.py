"""`bench site diff`: what the boards say differently when one folder of results takes the place of another."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bench.board import leaderboard
from bench.board.leaderboard import Board, Row
from bench.errors import RequestError
from bench.records import disk

Key = tuple[str, ...]
Rows = dict[Key, tuple[int, Row]]
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
    board = after or before
    if board is None:
        return None
    now = places(after)
    then = as_named_in(now, places(before))
    rows = tuple(row_changes(then, now))
    what = "changed" if before and after else "new" if after else "gone"
    best, best_before = (next((r.name for _, r in found.values()), None) for found in (now, then))
    changed = BoardChange(what, board.task, board.track, board.metric, best, best_before, rows)
    return changed if rows else None


def places(board: Board | None) -> Rows:
    """Rows of methods by what names them, best first, with their place."""
    rows = [row for row in board.rows if row.method] if board else []
    return {key(r): (at, r) for at, r in enumerate(rows, 1)}


def key(row: Row) -> Key:
    return (row.method, row.student, row.teacher, *row.differs)


def as_named_in(after: Rows, before: Rows) -> Rows:
    """The rows before under the names that their runs have now: a row's name holds what tells it from its board's
    other rows, so a row that comes beside it may give it another name."""
    names = {run: row.differs for _, row in after.values() for run in row.runs}
    found = {}
    for place, row in before.values():
        differs = next((names[run] for run in row.runs if run in names), row.differs)
        named = replace(row, differs=differs)
        found[key(named)] = (place, named)
    return found


def row_changes(before: Rows, after: Rows) -> Iterator[Change]:
    """Best first; a row whose place alone has moved is told where others came above it."""
    for name, (place, row) in after.items():
        old_place, old = before.get(name, (None, None))
        score = row.score.value if row.score else None
        old_score = old.score.value if old and old.score else None
        if old is None:
            yield Change("added", row.name, score, None, place, None)
        elif old.runs != row.runs or old_score != score or old_place != place:
            yield Change("changed", row.name, score, old_score, place, old_place)
        elif old != row:
            yield Change("other numbers", row.name, score, old_score, place, old_place)
    for name, (place, row) in before.items():
        if name not in after:
            yield Change("removed", row.name, None, row.score.value if row.score else None, None, place)


def as_json(found: Sequence[BoardChange]) -> dict[str, Any]:
    return {"boards": [asdict(change) for change in found]}


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
        cells = hundred(row.score), hundred(row.before), row.place or "", row.place_before or ""
        yield f"| {plain(row.row)} | {row.what} | {' | '.join(map(str, cells))} |"
    yield ""


def hundred(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2f}"


def plain(text: str) -> str:
    """A name as a code span, in which nothing is markup, a mention or a reference, and that cannot be left."""
    shown = re.sub(
        r"[^ -~\w]|[\u200b-\u200f\u202a-\u202e\u2066-\u2069]", "\N{REPLACEMENT CHARACTER}", " ".join(text.split())
    )
    return "`" + (shown.replace("`", "'").replace("|", "\N{BROKEN BAR}")[:LONGEST] or " ") + "`"
