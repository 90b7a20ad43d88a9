"""Which rows of a board can be told apart: intervals, rank ranges, ties and differences, from stored predictions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bench.board import evidence, leaderboard
from bench.board.leaderboard import ALWAYS, Board, Row
from bench.board.named import Reader, Unreadable
from bench.board.power import Power, smallest
from bench.board.speed import Score
from bench.errors import BenchError
from bench.records.schemas import Record
from bench.scoring.comparison import Comparison, holm
from bench.scoring.contributions import Runs
from bench.scoring.ranks import rank_ranges, shared

Drawn = tuple[float, np.ndarray | None]  # a value, and its draws where there are any
PLACES = 12  # of a score; what differs beyond them is rounding
SAME = 10.0**-PLACES
Z = 1.96
NORMAL = 2 * Z  # widths of a standard deviation in a 95% interval


@dataclass(frozen=True)
class Verdicts:
    """A board's comparison. Without stored predictions there is none, and `why` says so."""

    board: Board
    comparison: Comparison | None
    order: tuple[int, ...]  # rows of the board in the order of the comparison
    why: str = ""
    trivial: float | None = None  # the score of the best answer that reads no input
    one_answer: frozenset[str] = frozenset()  # ids of runs that gave every input the same answer

    @cached_property
    def place(self) -> dict[int, int]:
        return {row: at for at, row in enumerate(self.order)}

    def interval(self, row: int) -> tuple[float, float, str] | None:
        """(low, high, what it covers) of a row's score."""
        if self.comparison is None or row not in self.place:
            score = self.board.rows[row].score
            return (score.low, score.high, "normal") if score else None
        low, high = self.comparison.intervals[self.place[row]]
        seeds = self.comparison.seed_noise and self.board.rows[row].runs
        return low, high, "examples and seeds" if seeds else "examples"

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

    def baselines(self, row: int) -> dict[str, int | None]:
        """Of a method's row the rows that it is shown against, trained alike; of a baseline's several settings the best
        on dev. None: there is none, or it is this row's own method."""
        rows = self.board.rows
        own, found = rows[row], dict[str, int | None]()
        for method in ALWAYS:
            peers = [i for i, r in enumerate(rows) if (r.method, r.alike) == (method, own.alike)]
            best = max(peers, key=lambda i: on_dev(rows[i]), default=None)
            found[method] = best if own.method != method else None
        return found

    @cached_property
    def family(self) -> dict[tuple[int, int], float]:
        """Holm-corrected p-values of the differences that the board shows: each row against its baselines."""
        rows = [row for row in self.order if self.board.rows[row].method]
        shown = (
            (self.place[row], self.place.get(other))
            for row in rows
            for other in self.baselines(row).values()
            if other is not None
        )
        board = self.comparison
        pairs = sorted({(min(a, b), max(a, b)) for a, b in shown if b is not None and board and board.compared(a, b)})
        corrected = holm(np.array([board.difference(*pair).p_value for pair in pairs])).tolist() if board else []
        return dict(zip(pairs, corrected, strict=True))

    def difference(self, a: int, b: int) -> dict[str, Any] | None:
        """Row a minus row b; None: no predictions, or no common seed."""
        if self.comparison is None or a == b or a not in self.place or b not in self.place:
            return None
        one, two = self.place[a], self.place[b]
        pair = min(one, two), max(one, two)
        if not self.comparison.compared(one, two):
            return None
        d = self.comparison.difference(one, two)
        corrected, pairs = self.corrected(pair)
        return {"row": b, "value": d.value, "low": d.ci95[0], "high": d.ci95[1], "p_value": d.p_value,
                "p_holm": corrected, "family": pairs, "seeds": d.seeds,
                "evidence": evidence.word(*d.ci95, corrected)}  # fmt: skip

    def corrected(self, pair: tuple[int, int]) -> tuple[float, str]:
        """The p-value of a pair of the comparison after correction, and what it was corrected over."""
        if pair in self.family:
            return self.family[pair], evidence.family(len(self.family), shown=True)
        assert self.comparison is not None  # who asks has a pair of it
        return self.comparison.difference(*pair).p_holm, evidence.family(len(self.comparison.pairs), shown=False)

    @cached_property
    def best(self) -> frozenset[int]:
        """The methods' rows with the best score: all that are equal."""
        scores = {i: row.score.value for i, row in enumerate(self.board.rows) if row.method and row.score}
        return frozenset(i for i, score in scores.items() if math.isclose(score, max(scores.values()), abs_tol=SAME))

    def ties_with_best(self, row: int) -> bool | None:
        """Whether the evidence between it and a best row is open; None: unknown."""
        if row in self.best:
            return True if self.comparison else None
        found = [difference for best in self.best if (difference := self.difference(row, best))]
        return any(d["evidence"] == evidence.OPEN for d in found) if found else None

    @cached_property
    def power(self) -> Power | None:
        """The smallest difference that the board sees, and the seeds that would halve it."""
        return smallest(self.comparison) if self.comparison else None

    def as_good(self, a: int, b: int) -> bool:
        """Whether row a can be offered in the place of row b: its score is not lower, or the evidence between them is
        open and it keeps 99% of the score, without which the fastest would be taken where seeds lie far apart. Of one
        network there is nothing to be gained by the lower score, so open evidence is enough."""
        rows = self.board.rows
        one, two = rows[a].score, rows[b].score
        if not one or not two or one.value >= two.value - SAME:
            return bool(one)
        same = bool(rows[a].shapes) and rows[a].shapes == rows[b].shapes
        near = same or one.value >= two.value - evidence.GIVEN_UP * abs(two.value)
        found = self.difference(a, b)
        return near and found is not None and bool(found["evidence"] == evidence.OPEN)

    def against(self, row: int) -> dict[str, dict[str, Any] | None]:
        """The row against its baselines."""
        return {
            method: None if other is None else self.difference(row, other)
            for method, other in self.baselines(row).items()
        }

    def pairs(self) -> Iterator[list[Any]]:
        """[row, row, difference, low, high, p, p after correction, seeds, evidence, shown] of all pairs; shown: whether
        the board shows it, and so corrects it over its family and not over all pairs."""
        if not self.comparison:
            return
        found, (p_values, corrected), halves = self.comparison.pairs, self.comparison.tested, self.comparison.halves
        low, high = found.difference - halves, found.difference + halves
        columns = found.first, found.second, found.difference, low, high, p_values, corrected, found.seeds
        for a, b, value, low_, high_, p, holm_, seeds in zip(*(c.tolist() for c in columns), strict=True):
            one, two = self.board.rows[self.order[a]], self.board.rows[self.order[b]]
            shown = self.family.get((a, b))
            p_corrected = holm_ if shown is None else shown
            said = evidence.word(low_, high_, p_corrected)
            yield [self.order[a], self.order[b], value, low_, high_, p, p_corrected,
                   seeds if one.method or two.method else 0, said, int(shown is not None)]  # fmt: skip


def judge(board: Board, found: Iterable[Record], results: Path) -> Verdicts:
    """Compare all rows of a board, where the predictions that were scored lie beside its records."""
    found = list(found)
    reader = Reader(board, found, results)
    try:
        rows = reader.rows(set())
        if not rows:
            return Verdicts(board, None, (), "no predictions are stored")
        return verdicts_of(reader, rows)
    except Unreadable as error:
        smaller = leaderboard.without(board, found, error.why)
        why = str(error) if len(error.why) == 1 else f"{next(iter(error.why.values()))}, and {len(error.why) - 1} more"
        return judge(smaller, found, results) if smaller else Verdicts(board, None, (), why.replace(f"{results}/", ""))
    except BenchError as error:
        return Verdicts(board, None, (), str(error).replace(f"{results}/", ""))
    except (KeyError, IndexError, TypeError, ValueError):  # arrays that no run of this task leaves
        return Verdicts(
            board, None, (), "stored predictions are not those of this task: `bench check` names the record"
        )


def verdicts_of(reader: Reader, rows: Mapping[int, Runs]) -> Verdicts:
    """From what the reader found of each row."""
    comparison = Comparison(list(rows.values()))
    return Verdicts(reader.board, comparison, tuple(rows), "", reader.trivial, frozenset(reader.one_answer))


def with_intervals(board: Board, found: Iterable[Record], results: Path) -> Board:
    """The board with the intervals of its comparison, which hold examples and seeds; as it was where there is none."""
    return having_intervals(judge(board, found, results))


def having_intervals(verdicts: Verdicts) -> Board:
    """The board of a comparison, with its intervals."""
    board, rows = verdicts.board, []
    for place, row in enumerate(board.rows):
        interval = verdicts.interval(place)
        score = Score(row.score.value, *interval[:2]) if row.score and interval else row.score
        rows.append(replace(row, score=score))
    return replace(board, rows=tuple(rows))


def standing(verdicts: Verdicts) -> dict[str, dict[str, float | int | None]]:
    """What a board says of each method over its students: mean retention and mean rank, each with its deviation.

    Only methods trained alike are ranked among each other, `rank_last` of them in the mean; equal
    scores share their mean rank. Of a method's several settings the best on dev stands for it. Deviations are those of
    draws over examples and seeds, the width of 95% of them over 3.92.
    """
    found: dict[str, list[tuple[Drawn | None, Drawn | None, int]]] = {}
    for group in groups(verdicts.board).values():
        ranks = _ranks(verdicts, group)
        for method, place in group.items():
            found.setdefault(method, []).append((_retained(verdicts, place), ranks.get(method), len(group)))
    return {
        method: _mean("retention", [kept for kept, _, _ in own if kept])
        | _mean("rank", [rank for _, rank, _ in own if rank])
        | {"rank_last": float(np.mean(last)) if (last := [rows for _, rank, rows in own if rank]) else None}
        | {"students": len(own)}
        for method, own in sorted(found.items())
    }


def over_boards(key: str, standings: Iterable[Mapping[str, Any]]) -> dict[str, float | int | None]:
    """A method's mean m over boards, and m +- 1.96 sqrt(sum sd^2) / n: boards are independent, and are not drawn anew.

    `standings`: what `standing` says of the method on each board. No mean rank is above 1 or below that of a method
    that is always last. None: unknown.
    """
    known = [s for s in standings if s[key] is not None]
    mean = float(np.mean([s[key] for s in known])) if known else None
    deviations = [s[f"{key}_sd"] for s in known]
    found = {key: mean, f"{key}_low": None, f"{key}_high": None, f"{key}_boards": len(known)}
    if mean is None or None in deviations:
        return found
    half = Z * math.hypot(*deviations) / len(known)
    low, high = mean - half, mean + half
    if last := [s[f"{key}_last"] for s in known if f"{key}_last" in s]:
        low, high = max(low, 1.0), min(high, float(np.mean(last)))
    return found | {f"{key}_low": low, f"{key}_high": high}


def groups(board: Board) -> Mapping[str, dict[str, int]]:
    """Rows that were trained alike: {method: its row, the best on dev where it has several}. Of a file it is as it is
    now."""
    found: dict[str, dict[str, int]] = {}
    for place, row in enumerate(board.rows):
        if row.method and row.score and not row.older:
            own = found.setdefault(row.alike, {})
            if row.method not in own or on_dev(row) > on_dev(board.rows[own[row.method]]):
                own[row.method] = place
    return found


def on_dev(row: Row) -> float:
    """What a row's settings are chosen by; one that is not known is chosen last, behind correlations below 0 too."""
    return -math.inf if row.dev is None else row.dev


def _retained(verdicts: Verdicts, place: int) -> Drawn | None:
    """A row's retention, and its draws; None: it has no score, or its teacher has none."""
    row = verdicts.board.rows[place]
    if row.retention is None or row.per_score is None:
        return None
    draws = verdicts.draws([place])
    return row.retention, None if draws is None else draws[0] * row.per_score


def _ranks(verdicts: Verdicts, group: Mapping[str, int]) -> dict[str, Drawn]:
    """The ranks of the methods of one student by score, with their ranks in the draws; nothing of one alone. Equal
    scores share the mean of their ranks."""
    if len(group) < 2:
        return {}
    scores = [s.value if (s := verdicts.board.rows[place].score) else 0.0 for place in group.values()]
    values = shared(np.round(scores, PLACES)[:, None])[:, 0].tolist()
    draws = verdicts.draws(list(group.values()))
    drawn = [None] * len(group) if draws is None else list(shared(draws))
    return dict(zip(group, zip(values, drawn, strict=True), strict=True))


def _mean(name: str, found: list[Drawn]) -> dict[str, float | int | None]:
    """Over students, whose draws share the examples, and its deviation; None: not known for all of them."""
    if not found:
        return {name: None, f"{name}_sd": None}
    values, draws = [value for value, _ in found], [drawn for _, drawn in found if drawn is not None]
    low, high = np.percentile(np.mean(draws, axis=0), [2.5, 97.5]) if len(draws) == len(found) else (None, None)
    return {name: float(np.mean(values)), f"{name}_sd": None if low is None else float((high - low) / NORMAL)}
