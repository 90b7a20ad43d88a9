"""What a board can see: the difference that it would call one, and the seeds that would halve it.

For a pair of rows with known variances (bench/scoring/pairs.py) the smallest difference is the sum of two distances,

    c + z        chance(|D| > c) = 0.05 / pairs where the rows are equal        chance(D < -z) = 1 - 0.8

c is what Holm's correction asks of a board's first pair, the strictest. A board's is the median over its pairs. More
seeds lessen what seeds add, the part of the examples' luck in which seeds differ, and the doubt about both; what the
examples do to all seeds alike stays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.scoring.comparison import ALPHA, Comparison
from bench.scoring.metric import ratio
from bench.scoring.pairs import Pairs, quantile
from bench.scoring.seeds import PHI, nodes, posterior

POWER = 0.8
SAMPLE = 300  # pairs of a longer board, which stand for all
MOST = 1024  # seeds that are tried


@dataclass(frozen=True)
class Power:
    """In units of the score. seeds: how many in each row would halve `difference`; None: not as many as 1,024, or the
    noise between seeds is not known."""

    difference: float
    seeds: int | None


def smallest(board: Comparison) -> Power | None:
    """What the board sees with 80% power after correction; None: it has no pair of rows with a common seed."""
    total = len(board.pairs)
    if not total:
        return None
    pairs = board.pairs.at(np.random.default_rng(0).permutation(total)[:SAMPLE])
    seen = _median(pairs, board.excess(nodes(board.phi)), total)
    return Power(seen, _needed(board, pairs, seen / 2, total) if board.seed_noise else None)


def _median(pairs: Pairs, excess: np.ndarray, total: int) -> float:
    """c + z of the median pair."""
    found = [
        quantile(deviation, ALPHA / 2 / total, steps=8) + quantile(deviation, 1 - POWER)
        for _, deviation in pairs.deviations(pairs.v_examples, excess)
    ]
    return float(np.median(np.concatenate(found)))


def _needed(board: Comparison, pairs: Pairs, wanted: float, total: int) -> int | None:
    """The fewest seeds with which the median pair is seen at a difference as small as `wanted`, by halving."""
    low, high = int(np.median(pairs.seeds)), MOST
    if _median(*_with(board, pairs, high), total) > wanted:
        return None
    while high - low > 1:
        middle = int(np.sqrt(low * high)) if high > 2 * low else (low + high) // 2
        low, high = (low, middle) if _median(*_with(board, pairs, middle), total) <= wanted else (middle, high)
    return high


def _with(board: Comparison, pairs: Pairs, seeds: int) -> tuple[Pairs, np.ndarray]:
    """The pairs and what seeds add if each row had as many seeds, and its phi were the one that is likeliest now."""
    lots, n = board.lots, pairs.seeds
    told = ratio((pairs.v_single - pairs.v_examples) * n, n - 1)
    inter = np.where(n > 1, told, lots.iota[pairs.first] + lots.iota[pairs.second])
    v_examples = (pairs.v_examples - inter / n).clip(0) + inter / seeds
    phi = np.exp(board.phi @ np.log(PHI))
    likely = posterior(phi, np.where(lots.iota > 0, seeds - 1, 0), lots.iota > 0)
    columns = (pairs.first, pairs.second, np.full(len(pairs), seeds), pairs.difference)
    return Pairs(*columns, v_examples, pairs.v_null, pairs.v_single), board.excess(nodes(likely))
