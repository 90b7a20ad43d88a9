"""Is A better than B? Differences, their intervals and p-values, and ranks, from what each example adds to a score.

A run's score theta is the mean over K data sets. An independent unit u (an example, or a document that examples share)
of a data set with n_k of them contributes

    t_u = (theta_k + influence_u) / (K n_k)        sum over all units: theta

which for a mean metric such as accuracy is what the example scored, and for others its first-order share. The variance
that the examples give a difference of two runs is the sum over units of the squared difference of their influences, and
where A and B are alike and may be swapped on any unit, of the squared difference of their t.

Seeds are paired, as runs of a seed share initialisation and batch order. Over n common seeds with differences d_i,

    S^2 = max(0, var(d_i) / n - V_inter)      V_inter = (V_1 - V_ex) / (n - 1)

is what the seeds add: V_ex is the variance that the examples give the mean difference, V_1 the one they give the
difference of one seed, and V_inter the part of var(d_i) / n that is the examples' luck too. With one seed S is unknown
and taken as 0. P-values and intervals of differences are those of Student's t with the variance V + S^2 and
Satterthwaite's degrees of freedom, (V + S^2)^2 (n - 1) / (var(d_i) / n)^2: of all that varies between seeds, as S^2 can
be 0 by luck. Its limit for one seed is normal; of accuracy it is McNemar's test.

Ranks are no differences of two, so they come from draws of all scores at once: sums of the influences under one matrix
of random signs over the units, the same for every run, and S times Student's t with n - 1 degrees of freedom.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations

import numpy as np
from threadpoolctl import threadpool_limits

from bench.base.groups import grouped
from bench.errors import RequestError
from bench.scoring.bootstrap import Score, known, unit_codes
from bench.scoring.metric import ratio
from bench.scoring.scores import Predictions, headline

DRAWS = 10_000
ALPHA = 0.05
UNITS = 1024  # units of one block of signs: 40 MB at 10,000 draws
Runs = Mapping[int | None, "Contributions"]  # a row's runs by seed; a teacher's one run has the seed None


@dataclass(frozen=True)
class Contributions:
    """What the units of K data sets add to the score of one run; U units over all data sets.

    t is centred plus levels / (K sizes), unit by unit.
    """

    levels: np.ndarray  # (K,) the score of each data set
    sizes: np.ndarray  # (K,) units of each data set
    centred: np.ndarray  # (U,) influence_u / (K n_k), data set by data set, of sum 0 in each


@dataclass(frozen=True)
class Difference:
    """A minus B. Seeds: those that both have; 0 when both are teachers."""

    value: float
    ci95: tuple[float, float]
    p_value: float
    p_holm: float
    seeds: int

    @property
    def verdict(self) -> str:
        """a, b or tie, by Holm's correction over the pairs of the board."""
        if self.p_holm >= ALPHA or self.value == 0:
            return "tie"
        return "a" if self.value > 0 else "b"

    def turned(self) -> Difference:
        """B minus A."""
        return replace(self, value=0 - self.value, ci95=(0 - self.ci95[1], 0 - self.ci95[0]))  # 0, and not -0


def contributions(predictions: Predictions, score: Score, metric: str) -> Contributions:
    """What each unit adds: by influence where the engine knows the metric, else by leaving the unit out."""
    if found := by_influence(predictions, score, metric):
        return found
    levels = [headline(score({name: arrays}), metric)[1] for name, arrays in predictions.items()]
    return centred(levels, [jackknife({name: arrays}, score, metric) for name, arrays in predictions.items()])


def by_influence(predictions: Predictions, score: Score, metric: str) -> Contributions | None:
    """None: the engine has no such metric, or `score` gives other values than it."""
    parts = known(predictions, score, metric)
    if parts is None:
        return None
    shares = [by_unit(parts[name][1], arrays.get("units")) for name, arrays in predictions.items()]
    return centred([value for value, _ in parts.values()], shares)


def centred(levels: Sequence[float], shares: Sequence[np.ndarray]) -> Contributions:
    """From the score and the units' shares of each data set."""
    found = [(own - own.mean()) / len(shares) for own in shares]
    return Contributions(np.array(levels), np.array([len(own) for own in found]), np.concatenate(found))


def by_unit(influence: np.ndarray, units: np.ndarray | None) -> np.ndarray:
    """influence / N of the rows (N,), added up over the rows that hold a unit: units (N, k) -> (n,)."""
    shares = influence / len(influence)
    if units is None:
        return shares
    ids, codes = unit_codes(units)
    return sum((np.bincount(column, shares, len(ids)) for column in codes.T), start=np.zeros(len(ids)))


def jackknife(predictions: Predictions, score: Score, metric: str) -> np.ndarray:
    """(n - 1) / n (theta - theta without u) for each unit u of one data set, (n,): n calls of the task's score."""
    ((name, arrays),) = predictions.items()
    size = len(arrays["prediction"])
    units = arrays.get("units", np.arange(size)).reshape(size, -1)
    columns = {key: array for key, array in arrays.items() if key != "units"}
    whole, without = headline(score(predictions), metric)[1], []
    for unit in (ids := np.unique(units)):
        kept = (units != unit).all(1)
        without.append(headline(score({name: {k: c[kept] for k, c in columns.items()}}), metric)[1])
    return (len(ids) - 1) / len(ids) * (whole - np.array(without))


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
    for start in range(0, weights.shape[1], UNITS):
        block = weights[:, start : start + UNITS].astype(np.float32)
        width = block.shape[1]
        bits = np.unpackbits(np.frombuffer(rng.bytes(width * -(-draws // 8)), np.uint8).reshape(width, -1), axis=1)
        part = block @ bits[:, :draws].astype(np.float32)
        part *= 2  # in place: the block's sums are as large as all sums
        part -= block.sum(1, keepdims=True)
        sums += part
    return sums


@dataclass(frozen=True)
class Moments:
    """A pair's difference over n seeds, and the variances of that difference."""

    seeds: int  # n
    difference: float
    v_examples: float  # V_ex
    v_null: float  # the same where both are alike: contributions are not centred
    v_seeds: float  # S^2
    v_total: float  # var(d_i) / n


def tails(pairs: Sequence[Moments]) -> np.ndarray:
    """Two-sided p-values by Student's t with Satterthwaite's degrees of freedom, (P,)."""
    from scipy.special import stdtr  # scipy.stats takes half a second to import

    variance = np.array([m.v_null + m.v_seeds for m in pairs])
    scaled = ratio(np.array([abs(m.difference) for m in pairs]), np.sqrt(variance))
    return np.asarray(2 * stdtr(freedom(pairs, variance), -scaled))


def halves(pairs: Sequence[Moments]) -> np.ndarray:
    """Half the width of the 95% interval of each difference by the same t, (P,)."""
    from scipy.special import stdtrit

    variance = np.array([m.v_examples + m.v_seeds for m in pairs])
    return np.asarray(stdtrit(freedom(pairs, variance), 0.975) * np.sqrt(variance))


def freedom(pairs: Sequence[Moments], variance: np.ndarray) -> np.ndarray:
    """Degrees of freedom, (P,): at least those of the seeds, n - 1; a million, as good as normal, where none varied."""
    least = np.array([m.seeds - 1 for m in pairs])
    found = ratio(variance**2 * least, np.array([m.v_total for m in pairs]) ** 2)
    return np.where(found > 0, found.clip(least), 1e6).clip(max=1e6)


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
        self.levels = np.stack([run.levels for run in runs])  # (R, K)
        self.scores = self.levels.mean(1)  # (R,)
        self.centred = np.stack([run.centred for run in runs])  # (R, U)
        with threadpool_limits(1, "blas"):  # another number of cores would give other last bits, and another digit
            self.gram = self.centred @ self.centred.T

    def common(self, a: int, b: int) -> tuple[int | None, ...]:
        """The seeds that two rows share. A teacher goes with any; None alone: two teachers."""
        one, two = self.places[a], self.places[b]
        if None in one or None in two:
            return tuple(two if None in one else one)
        return tuple(seed for seed in one if seed in two)

    def chosen(self, row: int, seeds: Iterable[int | None]) -> list[int]:
        """Places of a row's runs of these seeds; a teacher's one run for each."""
        places = self.places[row]
        return [places[None if None in places else seed] for seed in seeds]

    @cached_property
    def pairs(self) -> dict[tuple[int, int], Moments]:
        """The pairs of rows with a common seed."""
        found: dict[tuple[int, int], Moments] = {}
        for seeds, pairs in grouped(combinations(range(len(self.rows)), 2), lambda pair: self.common(*pair)).items():
            if seeds:
                places = np.array([[self.chosen(row, seeds) for row in pair] for pair in pairs])  # (P, 2, n)
                found |= dict(zip(pairs, self._moments(places), strict=True))
        return {pair: found[pair] for pair in sorted(found)}

    @cached_property
    def differences(self) -> dict[tuple[int, int], Difference]:
        """Row a minus row b of every pair a < b, with Holm's correction over all of them."""
        moments = list(self.pairs.values())
        p_values, widths, found = tails(moments), halves(moments).tolist(), {}
        numbers = zip(self.pairs, moments, widths, p_values.tolist(), holm(p_values).tolist(), strict=True)
        for pair, m, half, p, p_holm in numbers:
            seeds = m.seeds if any(None not in self.places[row] for row in pair) else 0
            found[pair] = Difference(m.difference, (m.difference - half, m.difference + half), p, p_holm, seeds)
        return found

    def difference(self, a: int, b: int) -> Difference:
        """Row a minus row b. RequestError: they share no seed."""
        found = self.differences.get((min(a, b), max(a, b)))
        if not found:
            raise RequestError("the two rows share no seed; runs are compared seed by seed")
        return found if a < b else found.turned()

    @cached_property
    def around(self) -> np.ndarray:
        """Draws of each run's score over examples, around it: (R, B)."""
        with threadpool_limits(1, "blas"):
            return signed_sums(self.centred, self.draws, np.random.default_rng(self.seed))

    @cached_property
    def score_draws(self) -> np.ndarray:
        """Scores of the rows over examples and seeds, (rows, B)."""
        rng = np.random.default_rng((self.seed, 1))
        found = []
        for places in (list(row.values()) for row in self.places):
            (moments,) = self._moments(np.array([[places, places]]), alone=True)
            noise = rng.standard_t(max(1, len(places) - 1), self.draws).astype(np.float32)
            around = self.around[places].mean(0) + float(np.sqrt(moments.v_seeds)) * noise
            found.append(moments.difference + around)
        return np.stack(found)

    @cached_property
    def intervals(self) -> list[tuple[float, float]]:
        """The 95% interval of each row's score over examples and seeds; of a row with one run, over examples."""
        low, high = np.percentile(self.score_draws, [2.5, 97.5], axis=1)
        return list(zip(map(float, low), map(float, high), strict=True))

    def _moments(self, places: np.ndarray, alone: bool = False) -> list[Moments]:
        """Variances of the differences between runs, places (P, 2, n). `alone`: of the first runs themselves."""
        first, second = places[:, 0], places[:, 1]
        sign = 0 if alone else 1
        values = self.scores[first] - sign * self.scores[second]  # (P, n)
        cross = self._block(first, first) + sign * (self._block(second, second) - 2 * self._block(first, second))
        v_examples = cross.mean((1, 2)).clip(0)
        v_single = np.einsum("pii->pi", cross).mean(1)
        n = values.shape[1]
        v_total = values.var(1, ddof=1) / n if n > 1 else np.zeros(len(values))
        v_inter = (v_single - v_examples).clip(0) / (n - 1) if n > 1 else 0.0
        v_seeds = (v_total - v_inter).clip(0)
        gap = (self.levels[first] - sign * self.levels[second]).mean(1)  # (P, K)
        v_null = v_examples + gap**2 @ (1 / self.sizes) / len(self.sizes) ** 2
        numbers = np.stack([values.mean(1), v_examples, v_null, v_seeds, v_total], axis=1).tolist()
        return [Moments(n, *own) for own in numbers]

    def _block(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return self.gram[first[:, :, None], second[:, None, :]]
