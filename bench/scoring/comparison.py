"""Is A better than B? Differences, their intervals and p-values, and ranks, from what each example adds to a score.

The variance that the examples give a difference of two runs is the sum over units of the squared difference of their
influences, and where A and B are alike and may be swapped on any unit, of the squared difference of their t
(bench/scoring/contributions.py). Rows are compared over the n seeds that both have. V_ex, that variance of the mean
difference, holds what is the examples' luck in how seeds differ.

What seeds add, X_r / n for a row r, is no estimate from that row's few seeds alone but a distribution, moderated by all
rows of the board (bench/scoring/seeds.py): p-values and intervals are averages over it (bench/scoring/pairs.py). Where
a board has no row with two seeds nothing is known of X, and it is left out; p-values of accuracy are then those of
McNemar's test. A teacher is one fixed network, and its X is 0.

Ranks are no differences of two, so they come from draws of all scores at once: sums of the influences under one matrix
of random signs over the units, the same for every run, and sqrt(X_r / n) times a normal number, X_r drawn too. Rows
with the same predictions are one row there, so that they never part.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations_with_replacement

import numpy as np
from threadpoolctl import threadpool_limits

from bench.base.groups import grouped
from bench.errors import RequestError
from bench.scoring.contributions import Runs
from bench.scoring.metric import ratio
from bench.scoring.pairs import Pairs
from bench.scoring.seeds import PHI, nodes, posterior

DRAWS = 10_000
ALPHA = 0.05
UNITS = 1024  # units of one block of signs: 40 MB at 10,000 draws
ROUNDING = 1e-12  # of a difference of scores, and of a variance as a share of a larger one
LARGEST = 1e6  # phi that is told from larger ones


@dataclass(frozen=True)
class Difference:
    """A minus B. Seeds: those that both have; 0 when both are teachers."""

    value: float
    ci95: tuple[float, float]
    p_value: float
    p_holm: float
    seeds: int
    seed_noise: bool  # whether interval and p-values hold the noise between seeds

    @property
    def verdict(self) -> str:
        """a, b or tie, by Holm's correction over the pairs of the board."""
        if self.p_holm >= ALPHA or self.value == 0:
            return "tie"
        return "a" if self.value > 0 else "b"

    def turned(self) -> Difference:
        """B minus A."""
        return replace(self, value=0 - self.value, ci95=(0 - self.ci95[1], 0 - self.ci95[0]))  # 0, and not -0


@dataclass(frozen=True)
class Lots:
    """What the runs of each row say of its seeds, each array (rows,)."""

    variance: np.ndarray  # of the scores of a row's runs
    iota: np.ndarray  # what the examples explain of it
    degrees: np.ndarray  # runs - 1


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's (1979) step-down correction: smallest first, p times the number of tests left, never falling."""
    order = np.argsort(p_values, kind="stable")
    stepped = np.maximum.accumulate(p_values[order] * np.arange(len(order), 0, -1))
    corrected = np.empty(len(order))
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected


def signed_sums(weights: np.ndarray, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Sums under random signs: weights (R, U) -> (R, draws) float32. A block of signs at a time, one bit each."""
    sums = np.zeros((len(weights), draws), np.float32)
    ones = np.empty((min(UNITS, weights.shape[1]), draws), np.float32)  # of all blocks: a new one each is slow
    for start in range(0, weights.shape[1], UNITS):
        block = weights[:, start : start + UNITS].astype(np.float32)
        width = block.shape[1]
        bits = np.unpackbits(np.frombuffer(rng.bytes(width * -(-draws // 8)), np.uint8).reshape(width, -1), axis=1)
        ones[:width] = bits[:, :draws]
        part = block @ ones[:width]
        part *= 2  # in place: the block's sums are as large as all sums
        part -= block.sum(1, keepdims=True)
        sums += part
    return sums


class Comparison:
    """All rows of one board against each other. Nothing but the Gram matrix and the draws for ranks runs over units."""

    def __init__(self, rows: Sequence[Runs], draws: int = DRAWS, seed: int = 0) -> None:
        """RequestError: the runs were not scored on the same units."""
        self.rows, self.draws, self.seed = rows, draws, seed
        runs = [run for row in rows for run in row.values()]
        self.sizes = runs[0].sizes
        if any(not np.array_equal(run.sizes, self.sizes) for run in runs):
            raise RequestError("these runs were not scored on the same examples")
        self.places, at = [], 0
        for row in rows:
            self.places.append({seed: at + i for i, seed in enumerate(row)})
            at += len(row)
        self.levels = np.stack([run.levels for run in runs])  # (runs, K)
        self.scores = self.levels.mean(1)  # (runs,)
        self.centred = np.stack([run.centred for run in runs])  # (runs, U)
        with threadpool_limits(1, "blas"):  # another number of cores would give other last bits, and another digit
            self.gram = self.centred @ self.centred.T

    @cached_property
    def same(self) -> np.ndarray:
        """The first row with the same runs, (rows,): the row itself, but for copies."""
        first: dict[bytes, int] = {}
        found = []
        for at, row in enumerate(self.rows):
            runs = hashlib.sha256(repr(list(row)).encode())
            for run in row.values():
                runs.update(run.levels.tobytes() + run.centred.tobytes())
            found.append(first.setdefault(runs.digest(), at))
        return np.array(found)

    @cached_property
    def lots(self) -> Lots:
        """A row with one run has the iota of the others, as a share of the variance that examples give a run."""
        found = []
        for places in (list(row.values()) for row in self.places):
            block, degrees = self.gram[np.ix_(places, places)], len(places) - 1
            single, mean = float(block.trace()) / len(places), float(block.mean())
            own = (single - mean) * len(places) / degrees if degrees else 0.0
            spread = float(self.scores[places].var(ddof=1)) if degrees else 0.0
            found.append((spread, own if own > ROUNDING * single else 0.0, degrees, single))
        variance, iota, degrees, single = np.array(found).T
        several, taught = degrees > 0, np.array([None in row for row in self.places])
        share = ratio(iota[several].sum(), single[several].sum())
        iota = np.where(several, iota, share * np.where(taught, 0.0, single))
        return Lots(variance, np.maximum(iota, variance / LARGEST), degrees)

    @cached_property
    def seed_noise(self) -> bool:
        """Whether a row has two seeds, which says how far seeds move a score."""
        return bool(self.lots.degrees.any())

    @cached_property
    def phi(self) -> np.ndarray:
        """What is known of each row's phi, (rows, PHI)."""
        lots = self.lots
        speaks = (lots.degrees > 0) & (lots.iota > 0)
        counted = speaks & (self.same == np.arange(len(self.rows)))
        return posterior(ratio(lots.variance, lots.iota), np.where(speaks, lots.degrees, 0), counted)

    def excess(self, phi: np.ndarray) -> np.ndarray:
        """X, what seeds add to a row's variance, at some values of its phi (rows, any number)."""
        return np.asarray((phi - 1).clip(0) * self.lots.iota[:, None] * self.seed_noise)

    @cached_property
    def pairs(self) -> Pairs:
        """The pairs of rows with a common seed, ordered by row."""
        alike = grouped(range(len(self.rows)), lambda row: tuple(self.places[row]))
        found = []
        for (own, first), (other, second) in combinations_with_replacement(alike.items(), 2):
            if seeds := common(own, other):
                found.append(self._between(first, second, seeds))
        return Pairs.joined(found)

    @cached_property
    def _at(self) -> dict[tuple[int, int], int]:
        """Where a pair of rows is among all."""
        rows = zip(self.pairs.first.tolist(), self.pairs.second.tolist(), strict=True)
        return {pair: at for at, pair in enumerate(rows)}

    @cached_property
    def tested(self) -> tuple[np.ndarray, np.ndarray]:
        """The p-values of all pairs, and those after Holm's correction over them."""
        found = self.pairs.p_values(self.excess(nodes(self.phi)))
        return found, holm(found)

    @cached_property
    def halves(self) -> np.ndarray:
        """Half the width of the 95% interval of each pair's difference; 0 of rows with the same runs."""
        copies = self.same[self.pairs.first] == self.same[self.pairs.second]
        return np.where(copies, 0.0, self.pairs.halves(self.excess(nodes(self.phi))))

    def compared(self, a: int, b: int) -> bool:
        """Whether two rows share a seed."""
        return (min(a, b), max(a, b)) in self._at

    def difference(self, a: int, b: int) -> Difference:
        """Row a minus row b. RequestError: they share no seed."""
        if not self.compared(a, b):
            raise RequestError("the two rows share no seed; runs are compared seed by seed")
        at = self._at[min(a, b), max(a, b)]
        value, half = float(self.pairs.difference[at]), float(self.halves[at])
        p_value, p_holm = (float(found[at]) for found in self.tested)
        taught = None in self.places[a] and None in self.places[b]
        found = Difference(
            value, (value - half, value + half), p_value, p_holm, 0 if taught else int(self.pairs.seeds[at]),
            self.seed_noise and not taught,
        )  # fmt: skip
        return found if a < b else found.turned()

    @cached_property
    def around(self) -> np.ndarray:
        """Draws of each run's score over examples, around it: (runs, B)."""
        with threadpool_limits(1, "blas"):
            return signed_sums(self.centred, self.draws, np.random.default_rng(self.seed))

    @cached_property
    def score_draws(self) -> np.ndarray:
        """Scores of the rows over examples and seeds, (rows, B) float32. Equal rows have equal draws."""
        rng = np.random.default_rng((self.seed, 1))
        below, found = self.phi.cumsum(1), list[np.ndarray]()
        excess = self.excess(np.broadcast_to(PHI, self.phi.shape))
        for row, places in enumerate(list(own.values()) for own in self.places):
            if self.same[row] < row:
                found.append(found[self.same[row]])
                continue
            drawn = np.searchsorted(below[row], rng.random(self.draws)).clip(max=len(PHI) - 1)
            noise = np.sqrt(excess[row, drawn] / len(places)) * rng.standard_normal(self.draws)
            found.append((self.scores[places].mean() + self.around[places].mean(0) + noise).astype(np.float32))
        return np.stack(found)

    @cached_property
    def intervals(self) -> list[tuple[float, float]]:
        """The 95% interval of each row's score over examples and seeds; over examples where seeds are not known."""
        low, high = np.percentile(self.score_draws, [2.5, 97.5], axis=1)
        return list(zip(map(float, low), map(float, high), strict=True))

    def _between(self, first: list[int], second: list[int], seeds: Sequence[int | None]) -> Pairs:
        """All pairs of two lists of rows, or of the rows of one, over these seeds."""
        one, two = self._chosen(first, seeds), self._chosen(second, seeds)  # (rows, n)
        a, b = self._mean_variance(one), self._mean_variance(two)
        cross = self.gram[one.ravel()][:, two.ravel()].reshape(*one.shape, *two.shape)
        v_examples = (a[:, None] + b - 2 * cross.mean((1, 3))).clip(0)
        own, other = self.gram[one, one].mean(1), self.gram[two, two].mean(1)
        v_single = own[:, None] + other - 2 * np.einsum("aibi->ab", cross) / len(seeds)
        gap = [x[:, None] - y for x, y in zip(self.levels[one].mean(1).T, self.levels[two].mean(1).T, strict=True)]
        v_null = v_examples + sum(g**2 / size for g, size in zip(gap, self.sizes, strict=True)) / len(gap) ** 2
        difference = np.mean(gap, axis=0)
        difference[np.abs(difference) < ROUNDING] = 0.0
        rows = np.broadcast_arrays(np.array(first)[:, None], np.array(second))
        kept = rows[0] < rows[1] if first is second else np.full(difference.shape, True)
        turned = np.where(rows[0] < rows[1], 1, -1)
        count = np.full(difference.shape, len(seeds))
        found = (np.minimum(*rows), np.maximum(*rows), count, turned * difference, v_examples, v_null, v_single)
        return Pairs(*(array[kept] for array in found))

    def _chosen(self, rows: Iterable[int], seeds: Sequence[int | None]) -> np.ndarray:
        """Places of the runs of these seeds (rows, n); a teacher's one run for each."""
        return np.array(
            [[own.get(None, own.get(seed)) for seed in seeds] for own in map(self.places.__getitem__, rows)]
        )

    def _mean_variance(self, places: np.ndarray) -> np.ndarray:
        """What the examples give the mean score of each row's runs (rows, n), (rows,)."""
        return np.asarray(self.gram[places[:, :, None], places[:, None, :]].mean((1, 2)))


def common(own: Sequence[int | None], other: Sequence[int | None]) -> tuple[int | None, ...]:
    """The seeds that two rows share. A teacher goes with any; None alone: two teachers."""
    if None in own or None in other:
        return tuple(other if None in own else own)
    return tuple(seed for seed in own if seed in other)
