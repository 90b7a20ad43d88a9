"""What the comparison of a board's rows says, kept until something that it reads has changed.

It takes most of a board's time, and a run that was timed anew changes nothing of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.board.leaderboard import Board
from bench.errors import BenchError
from bench.records import disk
from bench.records.schemas import Record
from bench.store import folders
from bench.web.formats import rounded
from bench.web.memory import COMPARED, Memory

if TYPE_CHECKING:
    from bench.board.verdicts import Verdicts

Says = Mapping[str, Any]  # rows, standing, no_comparison, pairs
READ: dict[str, bool | set[str]] = {
    **dict.fromkeys(("run_id", "spec", "data", "metrics", "predictions"), True),
    "teacher": {"name", "identity", "metrics", "main"},
}


def remembered(memory: Memory, board: Board, found: Iterable[Record], results: Path) -> Says:
    """What the comparison says: as it was kept, or made and kept now."""
    known = list(found)
    key = folders.content_key(version=memory.version, reads=[reads(record, results) for record in known])
    with suppress(OSError, ValueError, KeyError, TypeError):  # none yet, or an interrupted write
        kept = json.loads(memory.read(board.slug, COMPARED))
        if kept["key"] == key:
            return dict(kept["says"])
    made = compared(board, known, results)
    memory.write(board.slug, COMPARED, json.dumps({"key": key, "says": made}).encode())
    return made


def reads(record: Record, results: Path) -> list[Any]:
    """All that a comparison reads of a record: what was run, what it scored, and its predictions."""
    part = record.model_dump_json(include=READ)
    try:
        path = disk.beside(disk.path_of(results, record.spec, record.run_id), record.predictions.file)
        status = path.stat()
    except (BenchError, OSError, ValueError):  # then there is nothing to compare, and the board says why
        return [part, None]
    return [part, status.st_mtime_ns, status.st_size]


def compared(board: Board, found: Iterable[Record], results: Path) -> Says:
    """What the comparison of the board's rows says, made now."""
    from bench.board.verdicts import judge, standing

    verdicts = judge(board, found, results)
    return {
        "rows": [row(verdicts, place) for place in range(len(board.rows))], "standing": standing(verdicts),
        "no_comparison": verdicts.why, "pairs": [rounded(pair) for pair in verdicts.pairs()],
    }  # fmt: skip


def row(verdicts: Verdicts, place: int) -> dict[str, Any]:
    """Of one row; `against`: its differences to the baselines of the same student."""
    low, high, covers = verdicts.interval(place) or (None, None, None)
    ranks = verdicts.ranks.get(place, (None, None))
    of_method = bool(verdicts.board.rows[place].method)
    return {
        "score_low": low, "score_high": high, "interval": covers, "rank_low": ranks[0], "rank_high": ranks[1],
        "best_or_tied": verdicts.ties_with_best(place) if of_method else None,
        "against": verdicts.against(place) if of_method else {},
    }  # fmt: skip
