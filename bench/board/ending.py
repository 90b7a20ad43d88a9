"""What a command's runs came to: their rows on the board, with intervals, beside the baselines of the same settings."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bench.board import leaderboard
from bench.board.learned import marks
from bench.board.verdicts import Verdicts, judge
from bench.records import disk


def rows(results: Path, track: str, task: str, run_ids: Iterable[str]) -> list[dict[str, Any]]:
    """The rows of a task that hold one of these runs, best first. RequestError: a record beside them is broken."""
    found, wanted = list(disk.read_all(results, f"{track}/{task}")), set(run_ids)
    judged = []
    for board in leaderboard.rows(found):
        ours = [i for i, row in enumerate(board.rows) if wanted & {run_id for _, run_id in row.runs}]
        if ours:
            verdicts = judge(board, found, results)
            judged += [told(verdicts, place) for place in ours]
    return judged


def told(verdicts: Verdicts, place: int) -> dict[str, Any]:
    """A row: mean and interval, the difference to each baseline (none: it is not there), what it lacks."""
    row, board = verdicts.board.rows[place], verdicts.board
    low, high, covers = verdicts.interval(place) or (None, None, None)
    peers = {method: peer for method, peer in verdicts.baselines(place).items() if method != row.method}
    return {
        "task": board.task, "track": board.track, "metric": board.metric, "name": row.name, "student": row.student,
        "score": row.score.value if row.score else None, "low": low, "high": high, "covers": covers,
        "seeds": [seed for seed, _ in row.runs], "few": row.few_seeds, "marks": list(marks(verdicts, place)),
        "against": {m: verdicts.difference(place, peer) for m, peer in peers.items() if peer is not None},
        "lacks": [method for method, peer in peers.items() if peer is None],
    }  # fmt: skip
