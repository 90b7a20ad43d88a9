"""All pairs of a board's rows as arrays: differences, their variances, p-values and intervals.

A difference D has the variance V + (X_a + X_b) / n, V by the examples and X_r = (phi_r - 1) iota_r by the seeds, of
which n are common. X is known as a distribution (bench/scoring/seeds.py), so

    p = E[2 Phi(-|D| / sqrt(V_0 + (X_a + X_b) / n))]        E[2 Phi(-half / sqrt(V_ex + (X_a + X_b) / n))] = 0.05

are averages over it. Where seeds are not known X is 0, and p is that of the normal distribution.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np

from bench.scoring.metric import ratio
from bench.scoring.seeds import WEIGHTS

BLOCK = 4096  # pairs at once: 2 MB a temporary array
BOTH = np.outer(WEIGHTS, WEIGHTS).ravel()


@dataclass(frozen=True)
class Pairs:
    """P pairs of rows with a common seed, each array (P,)."""

    first: np.ndarray  # rows, first < second
    second: np.ndarray
    seeds: np.ndarray  # n
    difference: np.ndarray  # first minus second
    v_examples: np.ndarray  # V_ex
    v_null: np.ndarray  # V_0, the same where both are alike: contributions are not centred
    v_single: np.ndarray  # what the examples give the difference of one seed, in the mean

    def __len__(self) -> int:
        return len(self.first)

    @classmethod
    def joined(cls, parts: Sequence[Pairs]) -> Pairs:
        """One after the other, then ordered by row."""
        start = np.zeros(0, int)  # of no parts too
        whole = cls(*(np.concatenate([start, *(getattr(part, f.name) for part in parts)]) for f in fields(cls)))
        return whole.at(np.lexsort((whole.second, whole.first)))

    def at(self, chosen: np.ndarray | slice) -> Pairs:
        """Some of the pairs."""
        return Pairs(*(getattr(self, field.name)[chosen] for field in fields(self)))

    def deviations(self, variance: np.ndarray, excess: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Blocks of pairs, and the deviations of their differences at each node: (pairs, nodes^2).

        variance (P,): by the examples; excess (rows, nodes): X.
        """
        for start in range(0, len(self), BLOCK):
            own = slice(start, start + BLOCK)
            seeds = (excess[self.first[own], :, None] + excess[self.second[own], None]) / self.seeds[own, None, None]
            yield own, np.sqrt(variance[own, None] + seeds.reshape(len(seeds), -1))

    def p_values(self, excess: np.ndarray) -> np.ndarray:
        """Two-sided, (P,)."""
        found = np.empty(len(self))
        for own, deviation in self.deviations(self.v_null, excess):
            found[own] = 2 * below(np.abs(self.difference[own]), deviation)
        return np.where(self.difference == 0, 1.0, found.clip(max=1))

    def halves(self, excess: np.ndarray) -> np.ndarray:
        """Half the width of the 95% interval of each difference, (P,)."""
        found = np.empty(len(self))
        for own, deviation in self.deviations(self.v_examples, excess):
            found[own] = quantile(deviation, 0.025)
        return found


def below(distance: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Chance to be more than a distance (P,) below the mean, deviations (P, nodes^2): (P,). Where nothing deviates,
    there is none to be any distance away."""
    from scipy.special import ndtr  # scipy takes long to import

    still = (deviation == 0) & (distance[:, None] > 0)
    return np.asarray(np.where(still, 0.0, ndtr(-ratio(distance[:, None], deviation))) @ BOTH)


def quantile(deviation: np.ndarray, tail: float, steps: int = 4) -> np.ndarray:
    """The distance that is exceeded with a chance of `tail`, on one side, (P,): by Newton's method for log `below`.

    No step is longer than a factor of three, as far out `below` is too small to say where to go. Four steps come to
    1e-7 for a tail of 0.025, eight for one of 1e-6.
    """
    from scipy.special import ndtri

    found = -ndtri(tail) * (deviation @ BOTH)
    inverse = ratio(1.0, deviation)
    for _ in range(steps):
        density = np.exp(-((found[:, None] * inverse) ** 2) / 2) * inverse @ BOTH / np.sqrt(2 * np.pi)
        chance = below(found, deviation)
        step = ratio(chance * np.log((chance / tail).clip(1e-300)), density)
        found = np.clip(found + step, found / 3, found * 3)
    return np.where(deviation.max(1) > 0, found, 0.0)
