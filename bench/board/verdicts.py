"""Which rows of a board can be told apart: intervals, rank ranges, ties and differences, from stored predictions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bench.board.leaderboard import ALWAYS, Board, Score
from bench.board.named import Reader
from bench.errors import BenchError
from bench.records.schemas import Record
from bench.scoring.comparison import Comparison
from bench.scoring.ranks import rank_ranges, ranked

Drawn = tuple[float, np.ndarray | None]  # a value, and its draws where there are any
NORMAL = 2 * 1.96  # widths of a standard deviation in a 95% interval


@dataclass(frozen=True)
class Verdicts:
    """A board's comparison. Without stored predictions there is none, and `why` says so."""

    board: Board
    comparison: Comparison | None
    order: tuple[int, ...]  # rows of the board in the order of the comparison
    why: str = ""

    @cached_property
    def place(self) -> dict[int, int]:
        return {row: at for at, row in enumerate(self.order)}

    def interval(self, row: int) -> tuple[float, float, str] | None:
        """(low, high, what it covers) of a row's score."""
        if self.comparison is None or row not in self.place:
            score = self.board.rows[row].score
            return (score.low, score.high, "normal") if score else None
        low, high = self.comparison.intervals[self.place[row]]
        return low, high, "examples and seeds" if len(self.board.rows[row].runs) > 1 else "examples"

    def draws(self, rows: Sequence[int]) -> np.ndarray | None:
        """Draws of the scores of rows, (rows, B); None where one of them has none."""
        if self.comparison is None or not self.place.keys() >= set(rows):
            return None
        return np.asarray(self.comparison.score_draws[[self.place[row] for row in rows]])

    @cached_property
    def ranks(self) -> dict[int, tuple[int, int]]:
        """The 95% range of the rank of each method's row, the teachers left out."""
        students = [row for row in self.order if self.board.rows[row].method]
        draws = self.draws(students)
        if draws is None:
            return {}
        lows, highs = rank_ranges(draws)
        return {row: (int(low), int(high)) for row, low, high in zip(students, lows, highs, strict=True)}

    def difference(self, a: int, b: int) -> dict[str, Any] | None:
        """Row a minus row b; None: no predictions, or no common seed."""
        if self.comparison is None or a == b or a not in self.place or b not in self.place:
            return None
        one, two = self.place[a], self.place[b]
        if (min(one, two), max(one, two)) not in self.comparison.pairs:
            return None
        d = self.comparison.difference(one, two)
        verdict = {"a": "win", "b": "loss", "tie": "tie"}[d.verdict]
        return {"row": b, "value": d.value, "low": d.ci95[0], "high": d.ci95[1], "p_value": d.p_value,
                "p_holm": d.p_holm, "seeds": d.seeds, "verdict": verdict}  # fmt: skip

    @cached_property
    def best(self) -> int | None:
        """The method's row with the best score."""
        scored = [i for i, row in enumerate(self.board.rows) if row.method and row.score]
        return scored[0] if scored else None  # rows come by score

    def ties_with_best(self, row: int) -> bool | None:
        """Whether the interval of the difference to the best row holds 0; None: unknown.

        By the interval and not by Holm's verdict: over all pairs of a long board with three seeds that calls rows ties
        which lie ten points apart.
        """
        if row == self.best:
            return True if self.comparison else None
        found = None if self.best is None else self.difference(row, self.best)
        return None if found is None else bool(found["low"] <= 0 <= found["high"])

    def against(self, row: int) -> dict[str, dict[str, Any] | None]:
        """The row against the baselines of the same student and teacher; of several settings the best one."""
        own, found = self.board.rows[row], dict[str, dict[str, Any] | None]()
        for method in ALWAYS:
            wanted = method, own.student, own.teacher
            peers = [i for i, r in enumerate(self.board.rows) if (r.method, r.student, r.teacher) == wanted]
            found[method] = self.difference(row, peers[0]) if peers and own.method != method else None
        return found

    def pairs(self) -> Iterator[list[Any]]:
        """[row, row, difference, low, high, p, p after Holm, seeds] of all pairs."""
        for (a, b), d in self.comparison.differences.items() if self.comparison else ():
            yield [self.order[a], self.order[b], d.value, *d.ci95, d.p_value, d.p_holm, d.seeds]


def judge(board: Board, found: Iterable[Record], results: Path) -> Verdicts:
    """Compare all rows of a board, where the predictions that were scored lie beside its records."""
    try:
        rows = Reader(board, found, results).rows(set())
        if not rows:
            return Verdicts(board, None, (), "no predictions are stored")
        return Verdicts(board, Comparison(list(rows.values())), tuple(rows))
    except BenchError as error:
        return Verdicts(board, None, (), str(error).replace(f"{results}/", ""))
    except (KeyError, IndexError, TypeError, ValueError):  # arrays that no run of this task leaves
        return Verdicts(
            board, None, (), "stored predictions are not those of this task: `bench check` names the record"
        )


def with_intervals(board: Board, found: Iterable[Record], results: Path) -> Board:
    """The board with the intervals of its comparison, which hold examples and seeds; as it was where there is none."""
    verdicts = judge(board, found, results)
    rows = []
    for place, row in enumerate(board.rows):
        interval = verdicts.interval(place)
        score = Score(row.score.value, *interval[:2]) if row.score and interval else row.score
        rows.append(replace(row, score=score))
    return replace(board, rows=tuple(rows))


def standing(verdicts: Verdicts) -> dict[str, dict[str, float | int | None]]:
    """What a board says of each method over its students: mean retention and mean rank, each with its deviation.

    Only methods with the same student and teacher are ranked among each other. Of a method's several settings the best
    on dev stands for it. Deviations are those of draws over examples and seeds, the width of 95% of them over 3.92.
    """
    found: dict[str, list[tuple[Drawn | None, Drawn | None]]] = {}
    for group in groups(verdicts.board).values():
        ranks = _ranks(verdicts, group)
        for method, place in group.items():
            found.setdefault(method, []).append((_retained(verdicts, place), ranks.get(method)))
    return {
        method: _mean("retention", [kept for kept, _ in own if kept])
        | _mean("rank", [rank for _, rank in own if rank])
        | {"students": len(own)}
        for method, own in sorted(found.items())
    }


def groups(board: Board) -> Mapping[tuple[str, str], dict[str, int]]:
    """(student, teacher) -> {method: its row, the best on dev where it has several}."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for place, row in enumerate(board.rows):
        if row.method and row.score:
            own = found.setdefault((row.student, row.teacher), {})
            if row.method not in own or (row.dev or 0) > (board.rows[own[row.method]].dev or 0):
                own[row.method] = place
    return found


def _retained(verdicts: Verdicts, place: int) -> Drawn | None:
    """A row's retention, and its draws; None: it has no score, or its teacher has none."""
    row = verdicts.board.rows[place]
    if row.retention is None or row.per_score is None:
        return None
    draws = verdicts.draws([place])
    return row.retention, None if draws is None else draws[0] * row.per_score


def _ranks(verdicts: Verdicts, group: Mapping[str, int]) -> dict[str, Drawn]:
    """The ranks of the methods of one student by score, with their ranks in the draws; nothing of one alone."""
    if len(group) < 2:
        return {}
    rows = verdicts.board.rows
    order = sorted(group, key=lambda m: (-(s.value if (s := rows[group[m]].score) else 0), m))
    draws = verdicts.draws([group[method] for method in order])
    means = [None] * len(order) if draws is None else np.mean(ranked(draws), axis=0)
    return {method: (float(at), drawn) for at, (method, drawn) in enumerate(zip(order, means, strict=True), 1)}


def _mean(name: str, found: list[Drawn]) -> dict[str, float | int | None]:
    """Over students, whose draws share the examples, and its deviation; None: not known for all of them."""
    if not found:
        return {name: None, f"{name}_sd": None}
    values, draws = [value for value, _ in found], [drawn for _, drawn in found if drawn is not None]
    low, high = np.percentile(np.mean(draws, axis=0), [2.5, 97.5]) if len(draws) == len(found) else (None, None)
    return {name: float(np.mean(values)), f"{name}_sd": None if low is None else float((high - low) / NORMAL)}
