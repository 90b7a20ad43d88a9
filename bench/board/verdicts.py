"""Which rows of a board can be told apart: intervals, rank ranges, ties and differences, from stored predictions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bench.board.leaderboard import ALWAYS, Board, Row, Score
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

    @cached_property
    def ranks(self) -> dict[int, tuple[int, int]]:
        """The 95% range of the rank of each method's row, the teachers left out."""
        if self.comparison is None:
            return {}
        students = [row for row in self.order if self.board.rows[row].method]
        lows, highs = rank_ranges(self.comparison.score_draws[[self.place[row] for row in students]])
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
        own = self.board.rows[row]
        found: dict[str, dict[str, Any] | None] = {}
        for method in ALWAYS:
            peers = [i for i, r in enumerate(self.board.rows) if r.method == method and alike(own, r)]
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


def alike(one: Row, two: Row) -> bool:
    return one.student == two.student and one.teacher == two.teacher


def standing(verdicts: Verdicts) -> dict[str, dict[str, float | int | None]]:
    """What a board says of each method over its students: mean retention and mean rank, each with its deviation.

    Only methods with the same student and teacher are ranked among each other. Of a method's several settings the best
    on dev stands for it. Deviations are those of draws over examples and seeds, the width of 95% of them over 3.92.
    """
    retained: dict[str, list[Drawn]] = {}
    ranked_: dict[str, list[Drawn]] = {}
    for group in groups(verdicts.board).values():
        for method, place in group.items():
            if (kept := _retained(verdicts, place)) is not None:
                retained.setdefault(method, []).append(kept)
        for method, rank in _ranks(verdicts, group).items():
            ranked_.setdefault(method, []).append(rank)
    counts = Counter(method for group in groups(verdicts.board).values() for method in group)
    return {
        method: {
            "retention": _mean(retained.get(method, [])), "retention_sd": _deviation(retained.get(method, [])),
            "rank": _mean(ranked_.get(method, [])), "rank_sd": _deviation(ranked_.get(method, [])),
            "students": counts[method],
        }
        for method in sorted(counts)
    }  # fmt: skip


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
    if verdicts.comparison is None or place not in verdicts.place:
        return row.retention, None
    return row.retention, np.asarray(verdicts.comparison.score_draws[verdicts.place[place]] * row.per_score)


def _ranks(verdicts: Verdicts, group: Mapping[str, int]) -> dict[str, Drawn]:
    """The ranks of the methods of one student by score, with their ranks in the draws; nothing of one alone."""
    if len(group) < 2:
        return {}
    rows = verdicts.board.rows
    order = sorted(group, key=lambda m: (-(s.value if (s := rows[group[m]].score) else 0), m))
    if verdicts.comparison is None or any(place not in verdicts.place for place in group.values()):
        return {method: (float(at), None) for at, method in enumerate(order, 1)}
    draws = verdicts.comparison.score_draws[[verdicts.place[group[method]] for method in order]]
    means = np.mean(ranked(draws), axis=0)
    return {method: (float(at), drawn) for at, (method, drawn) in enumerate(zip(order, means, strict=True), 1)}


def _mean(found: list[Drawn]) -> float | None:
    return float(np.mean([value for value, _ in found])) if found else None


def _deviation(found: list[Drawn]) -> float | None:
    """Of the mean over students, whose draws share the examples; None: not known for all of them."""
    draws = [d for _, d in found if d is not None]
    if not draws or len(draws) < len(found):
        return None
    low, high = np.percentile(np.mean(draws, axis=0), [2.5, 97.5])
    return float((high - low) / NORMAL)
