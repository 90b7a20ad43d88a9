"""Pearson's and Spearman's correlation."""

from __future__ import annotations

import numpy as np

from bench.scoring.metric import Metric, Weighted, dense, ratio


class Pearson(Metric):
    """Pearson's correlation of real values (N,), gold (N,); influence zx zy - rho (zx^2 + zy^2) / 2.

    It is a function of sums too, but sums of squares cancel where values are nearly equal; two passes do not.
    """

    def fits(self, prediction: np.ndarray, gold: np.ndarray) -> bool:
        real = dense(prediction, gold) and all(array.dtype.kind in "fiub" for array in (prediction, gold))
        return real and prediction.ndim == 1 and len(gold) > 1

    def weighted(self, prediction: np.ndarray, gold: np.ndarray) -> Weighted:
        x, y = map(standard, _float(prediction, gold))
        return lambda weights: weighted_correlation(x, y, weights)

    def parts(self, prediction: np.ndarray, gold: np.ndarray) -> tuple[float, np.ndarray]:
        zx, zy = map(standard, _float(prediction, gold))
        rho = np.mean(zx * zy)
        return float(rho.clip(-1, 1)), zx * zy - rho / 2 * (zx**2 + zy**2)


class Spearman(Pearson):
    """Pearson's correlation of midranks.

    With u = F(x), v = G(y) the midranks over N, the weight of example j moves its own pair (u_j, v_j) and, as F and G
    are counts of examples, the rank of every other: d u_i = h(x_i, x_j) - u_i, h = 1[x_j < x_i] + 1[x_j = x_i] / 2.
    """

    def value(self, prediction: np.ndarray, gold: np.ndarray) -> float:
        x, y = (weighted_ranks(side, np.ones((1, len(side))))[0] for side in _float(prediction, gold))
        return float(np.mean(standard(x) * standard(y)).clip(-1, 1))

    def weighted(self, prediction: np.ndarray, gold: np.ndarray) -> Weighted:
        x, y = _float(prediction, gold)
        return lambda weights: weighted_correlation(weighted_ranks(x, weights), weighted_ranks(y, weights), weights)

    def parts(self, prediction: np.ndarray, gold: np.ndarray) -> tuple[float, np.ndarray]:
        x, y = _float(prediction, gold)
        if np.ptp(x) == 0 or np.ptp(y) == 0:
            return 0.0, np.zeros(len(x))
        u, v = (weighted_ranks(side, np.ones((1, len(side))))[0] / len(side) for side in (x, y))
        u, v = u - u.mean(), v - v.mean()
        cov, var_u, var_v = np.mean(u * v), np.mean(u * u), np.mean(v * v)
        d_cov = u * v + mean_above(x, v) + mean_above(y, u) - 3 * cov
        d_var_u = u * u + 2 * mean_above(x, u) - 3 * var_u
        d_var_v = v * v + 2 * mean_above(y, v) - 3 * var_v
        rho = cov / np.sqrt(var_u * var_v)
        influence = d_cov / np.sqrt(var_u * var_v) - rho / 2 * (d_var_u / var_u + d_var_v / var_v)
        return self.value(prediction, gold), influence


def standard(values: np.ndarray) -> np.ndarray:
    """z-scores; of a constant, zeros."""
    return np.zeros(len(values)) if np.ptp(values) == 0 else (values - values.mean()) / values.std()


def weighted_ranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Midranks (B, N) in the sample where value j is there weights[b, j] times: weight below + (own ties + 1) / 2."""
    order = np.argsort(values, kind="stable")
    fresh = np.append(True, np.diff(values[order]) != 0)  # where a group of ties begins
    ties = np.add.reduceat(weights[:, order], np.flatnonzero(fresh), axis=1)
    ranks = np.cumsum(ties, axis=1) - (ties - 1) / 2
    group = np.empty(len(values), int)
    group[order] = np.cumsum(fresh) - 1
    return ranks[:, group]


def weighted_correlation(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Pearson's correlation under weights (B, N) -> (B,). x and y: z-scores (N,), or ranks (B, N)."""
    total = weights.sum(1, keepdims=True)
    x = x - ratio((weights * x).sum(1, keepdims=True), total)
    y = y - ratio((weights * y).sum(1, keepdims=True), total)
    wx = weights * x
    cov, var_x, var_y = (wx * y).sum(1), (wx * x).sum(1), (weights * y * y).sum(1)
    flat = np.minimum(var_x, var_y) <= 1e-20 * total[:, 0]  # a draw of one value alone, up to rounding
    return np.where(flat, 0.0, ratio(cov, np.sqrt(var_x * var_y)))


def mean_above(values: np.ndarray, of: np.ndarray) -> np.ndarray:
    """(1/N) sum_i h(values_i, values_j) of_i: the mean of `of` over the examples above j, its ties counted half."""
    _, group = np.unique(values, return_inverse=True)
    sums = np.bincount(group, of)
    return (sums[::-1].cumsum()[::-1] - sums / 2)[group] / len(values)


def _float(prediction: np.ndarray, gold: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(prediction, np.float64), np.asarray(gold, np.float64)
