"""Moderated variances of seeds: against sums worked out here, limits that are known, and simulated boards."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from bench.scoring.pairs import BOTH, below, quantile
from bench.scoring.seeds import D0, PHI, WEIGHTS, nodes, posterior, priors
from peers.simulations import Setting, rates


def test_priors_are_scaled_inverse_chi_squares():
    """What lies below the middle between two points of the grid, for d0 = 8 and s0 = 10^2."""
    share = priors()[list(D0).index(8) * len(PHI[::2]) + 10]
    for at in (5, 20, 30):
        edge = np.sqrt(PHI[at] * PHI[at + 1])
        assert share[: at + 1].sum() == pytest.approx(stats.chi2.sf(8 * 100 / edge, 8), abs=2e-3)


def test_a_posterior_by_bayes_rule():
    """Of three rows, over all hyper-parameters one by one."""
    phi, degrees = np.array([0.3, 4.0, 90.0]), np.array([2, 4, 2])
    likelihood = np.stack([stats.chi2.pdf(d * x / PHI, d) / PHI for x, d in zip(phi, degrees, strict=True)])
    whole = np.zeros((3, len(PHI)))
    for (d0, _), prior in zip(product(D0, PHI[::2]), priors(), strict=True):
        marginal = likelihood @ prior
        whole += d0**-0.5 * marginal.prod() * likelihood * prior / marginal[:, None]
    assert posterior(phi, degrees) == pytest.approx(whole / whole.sum(1, keepdims=True), abs=1e-9)


def test_many_equal_rows_are_pooled_and_unlike_rows_are_not():
    rng = np.random.default_rng(0)
    equal = 9 * rng.chisquare(2, 400) / 2
    (middle,) = np.exp(posterior(equal, np.full(400, 2)) @ np.log(PHI))[[int(equal.argmin())]]
    assert middle == pytest.approx(9, rel=0.2), "also of the row whose seeds differ least"
    unlike = np.exp(rng.normal(3, 3, 400)) * rng.chisquare(2, 400) / 2
    middles = np.exp(posterior(unlike, np.full(400, 2)) @ np.log(PHI))
    assert np.corrcoef(np.log(middles), np.log(unlike))[0, 1] > 0.9 and middles.max() > 100 * middles.min()


def test_rows_that_do_not_count_change_nothing_for_others():
    phi, degrees = np.array([2.0, 3.0, 900.0]), np.array([2, 2, 2])
    found = posterior(phi, degrees, np.array([True, True, False]))
    assert found[:2] == pytest.approx(posterior(phi[:2], degrees[:2]))
    none = posterior(np.array([2.0, 3.0, 0.0]), np.array([2, 2, 0]))
    assert none[:2] == pytest.approx(posterior(phi[:2], degrees[:2])), "nor does a row without a variance"


def test_nodes_keep_the_mean_and_the_tail():
    share = posterior(np.array([1.0, 5.0, 7.0, 3.0]), np.full(4, 2))
    found = nodes(share)
    assert found @ WEIGHTS == pytest.approx(share @ PHI) and (np.diff(found, axis=1) >= -1e-9).all()
    deviation = np.sqrt(1 + found[0][:, None] + found[1]).reshape(1, -1)
    exact = np.sqrt(1 + PHI[:, None] + PHI)
    for distance in (2.0, 5.0, 9.0):
        chance = share[0] @ stats.norm.sf(distance / exact) @ share[1]
        assert below(np.array([distance]), deviation) == pytest.approx([chance], rel=0.1)


@pytest.mark.parametrize("tail", [0.2, 0.025, 1e-5])
def test_a_quantile_is_exceeded_with_its_chance(tail):
    deviation = np.exp(np.random.default_rng(1).normal(0, 1.0, (50, len(BOTH))))
    assert below(quantile(deviation, tail, steps=8), deviation) == pytest.approx(np.full(50, tail), rel=1e-6)


@pytest.mark.parametrize(
    ("rows", "seeds", "spread", "unequal"),
    [(8, 3, "none", False), (8, 3, "small", True), (8, 3, "large", True), (2, 5, "large", True)],
)
def test_boards_of_equal_rows_call_none_apart(rows, seeds, spread, unequal):
    """200 boards of docs/protocol.md's table: at most 6.5%, and three standard errors of so few."""
    wrong, small, holds = rates(Setting("accuracy", rows, (seeds,), spread, unequal), 200)
    assert wrong <= 0.115 and small <= (0.08 if rows > 2 else 0.115) and holds >= 0.9
