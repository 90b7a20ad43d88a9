"""What a command's runs came to: their rows on the board, with intervals, beside the baselines of the same settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bench.board import leaderboard
from bench.board.leaderboard import ALWAYS, Row
from bench.board.learned import marks
from bench.board.verdicts import Verdicts, judge
from bench.records import disk
from bench.records.schemas import Record
from bench.records.specs import checked_spec


def rows(results: Path, track: str, task: str, run_ids: Iterable[str]) -> list[dict[str, Any]]:
    """The rows of a task that hold one of these runs, best first. RequestError: a record beside them is broken."""
    found, wanted = list(disk.read_all(results, f"{track}/{task}")), set(run_ids)
    records = {record.run_id: record for record in found}
    judged = []
    for board in leaderboard.rows(found):
        ours = [i for i, row in enumerate(board.rows) if wanted & {run_id for _, run_id in row.runs}]
        if ours:
            verdicts = judge(board, found, results)
            judged += [told(verdicts, place, records) for place in ours]
    return judged


def told(verdicts: Verdicts, place: int, records: Mapping[str, Record]) -> dict[str, Any]:
    """A row: mean and interval, the difference to each baseline (none: it is not there), what it lacks."""
    row, board = verdicts.board.rows[place], verdicts.board
    low, high, covers = verdicts.interval(place) or (None, None, None)
    peers = {method: baseline(verdicts, row, method, records) for method in ALWAYS if method != row.method}
    return {
        "task": board.task, "track": board.track, "metric": board.metric, "name": row.name, "student": row.student,
        "score": row.score.value if row.score else None, "low": low, "high": high, "covers": covers,
        "seeds": [seed for seed, _ in row.runs], "few": row.few_seeds, "marks": list(marks(verdicts, place)),
        "against": {m: verdicts.difference(place, peer) for m, peer in peers.items() if peer is not None},
        "lacks": [method for method, peer in peers.items() if peer is None],
    }  # fmt: skip


def baseline(verdicts: Verdicts, own: Row, method: str, records: Mapping[str, Record]) -> int | None:
    """The best row of a baseline with the same student and teacher, and their settings and the track's the same."""
    same = alike(own, records)
    peers = (i for i, row in enumerate(verdicts.board.rows) if row.method == method and alike(row, records) == same)
    return next(peers, None)  # rows come best first


def alike(row: Row, records: Mapping[str, Record]) -> tuple[Any, ...]:
    """What two rows have in common that differ in their method alone."""
    settings = checked_spec(records[row.runs[0][1]]).settings
    return row.student, row.teacher, settings.get("track"), settings.get("student")
