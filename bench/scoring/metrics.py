"""Metrics that the engine knows from inside: their value, their value under weights, and what each example adds.

Resampling examples is the same as weighting them, so a bootstrap draw needs no copy of the data. The influence of an
example (the infinitesimal jackknife, Jaeckel 1972; Efron 1982) is the derivative of the metric in its weight:

    influence_j = d theta((1 - e) w + e delta_j) / d e   at e = 0, w = 1/N        mean over j: 0

and theta's sampling variance is sum(influence^2) / N^2. Where a metric is not defined (a constant side) it is 0.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

CHUNK = 2**16  # numbers in one temporary array: 0.5 MB, which stays in a core's cache


class Metric(ABC):
    """Predictions are labels (N,), class scores (N, C), whose label is the largest, or real values (N,); gold (N,)."""

    @abstractmethod
    def fits(self, prediction: np.ndarray, gold: np.ndarray) -> bool:
        """Whether arrays of these shapes and types can be scored."""

    @abstractmethod
    def value(self, prediction: np.ndarray, gold: np.ndarray) -> float:
        """The metric."""

    @abstractmethod
    def draws(self, prediction: np.ndarray, gold: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """The metric when example j counts weights[b, j] times: (B, N) -> (B,)."""

    @abstractmethod
    def influence(self, prediction: np.ndarray, gold: np.ndarray) -> np.ndarray:
        """What each example adds, (N,) with mean 0."""

    def parts(self, prediction: np.ndarray, gold: np.ndarray) -> tuple[float, np.ndarray]:
        """The value, and what each example adds to it."""
        return self.value(prediction, gold), self.influence(prediction, gold)


@dataclass(frozen=True)
class Cells:
    """The cells of the confusion matrix that examples are in: cell m is gold class gold[m], predicted[m]; C classes."""

    gold: np.ndarray  # (M,)
    predicted: np.ndarray  # (M,)
    counts: np.ndarray  # (M,) examples
    cell: np.ndarray  # (N,) each example's cell
    classes: int

    def table(self, counts: np.ndarray) -> np.ndarray:
        """Counts (B, M) -> confusion matrices (B, C, C), gold by predicted."""
        filled = np.zeros((len(counts), self.classes, self.classes))
        filled[:, self.gold, self.predicted] = counts
        return filled


class CountMetric(Metric):
    """A metric of the confusion counts alone."""

    @abstractmethod
    def from_counts(self, counts: np.ndarray) -> np.ndarray:
        """Confusion counts (B, C, C), gold by predicted -> (B,)."""

    @abstractmethod
    def gradient(self, counts: np.ndarray) -> np.ndarray:
        """The derivative in each count, (C, C) -> (C, C)."""

    def fits(self, prediction: np.ndarray, gold: np.ndarray) -> bool:
        return len(gold) > 0 and gold.ndim == 1 and prediction.ndim in (1, 2) and len(prediction) == len(gold)

    def labels(self, prediction: np.ndarray, gold: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
        """Gold and predicted classes as 0..C-1, and C."""
        predicted = prediction.argmax(1) if prediction.ndim == 2 else prediction
        classes, codes = np.unique(np.concatenate([gold, predicted]), return_inverse=True)
        return codes[: len(gold)], codes[len(gold) :], len(classes)

    def cells(self, prediction: np.ndarray, gold: np.ndarray) -> Cells:
        """The cells in use; classes that nothing is in, or is taken for, are left out."""
        true, predicted, classes = self.labels(prediction, gold)
        codes = true * classes + predicted
        counts = np.bincount(codes)
        used = np.flatnonzero(counts)
        return Cells(used // classes, used % classes, counts[used], np.cumsum(counts > 0)[codes] - 1, classes)

    def value(self, prediction: np.ndarray, gold: np.ndarray) -> float:
        cells = self.cells(prediction, gold)
        return float(self.from_counts(cells.table(cells.counts[None]))[0])

    def draws(self, prediction: np.ndarray, gold: np.ndarray, weights: np.ndarray) -> np.ndarray:
        cells = self.cells(prediction, gold)
        order = np.argsort(cells.cell, kind="stable")
        starts = np.cumsum(cells.counts) - cells.counts
        return self.from_cells(cells, np.add.reduceat(weights[:, order], starts, axis=1))

    def from_cells(self, cells: Cells, counts: np.ndarray) -> np.ndarray:
        """Counts of the cells (B, M) -> (B,), a few confusion matrices at a time."""
        step = max(1, CHUNK // cells.classes**2)
        parts = [self.from_counts(cells.table(counts[i : i + step])) for i in range(0, len(counts), step)]
        return np.concatenate(parts)

    def influence(self, prediction: np.ndarray, gold: np.ndarray) -> np.ndarray:
        return self.parts(prediction, gold)[1]

    def parts(self, prediction: np.ndarray, gold: np.ndarray) -> tuple[float, np.ndarray]:
        """Both from the same cells, which take longer to find than all else."""
        cells = self.cells(prediction, gold)
        counts = cells.table(cells.counts[None])
        gradient = self.gradient(counts[0])
        return float(self.from_counts(counts)[0]), len(gold) * gradient[cells.gold, cells.predicted][cells.cell]


class Accuracy(CountMetric):
    """trace / n"""

    def from_counts(self, counts: np.ndarray) -> np.ndarray:
        return ratio(np.einsum("bii->b", counts), counts.sum((1, 2)))

    def gradient(self, counts: np.ndarray) -> np.ndarray:
        n = counts.sum()
        return (np.eye(len(counts)) - np.trace(counts) / n) / n


class F1(CountMetric):
    """2 tp / (2 tp + fp + fn) of class 1 against all others."""

    def labels(self, prediction: np.ndarray, gold: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
        predicted = prediction.argmax(1) if prediction.ndim == 2 else prediction
        return (gold == 1).astype(int), (predicted == 1).astype(int), 2

    def from_counts(self, counts: np.ndarray) -> np.ndarray:
        return ratio(2 * counts[:, 1, 1], counts[:, 1].sum(1) + counts[:, :, 1].sum(1))

    def gradient(self, counts: np.ndarray) -> np.ndarray:
        size = counts[1].sum() + counts[:, 1].sum()
        f1 = ratio(2 * counts[1, 1], size)
        return ratio(np.array([[0, -f1], [-f1, 2 - 2 * f1]]), size)


class MacroF1(CountMetric):
    """The mean of each class's F1, over the classes that are in gold or predictions (of a draw, in that draw)."""

    def from_counts(self, counts: np.ndarray) -> np.ndarray:
        sizes = counts.sum(1) + counts.sum(2)
        f1 = ratio(2 * np.einsum("bii->bi", counts), sizes)
        return ratio(f1.sum(1), (sizes > 0).sum(1))

    def gradient(self, counts: np.ndarray) -> np.ndarray:
        sizes = counts.sum(0) + counts.sum(1)
        f1 = ratio(2 * np.diag(counts), sizes)
        slope = ratio(f1, sizes)
        return (np.diag(ratio(2.0, sizes)) - slope[:, None] - slope[None, :]) / (sizes > 0).sum()


class Mcc(CountMetric):
    """Matthews correlation in Gorodkin's (2004) form for any number of classes: cov(gold, predicted) / sqrt(vars).

    With n examples, t_k of them in class k, p_k taken for it, c right:
    (c n - sum t_k p_k) / sqrt((n^2 - sum p_k^2) (n^2 - sum t_k^2))
    """

    def from_counts(self, counts: np.ndarray) -> np.ndarray:
        cov, var_p, var_t = self._parts(counts)
        return ratio(cov, np.sqrt(var_p * var_t))

    def gradient(self, counts: np.ndarray) -> np.ndarray:
        (cov,), (var_p,), (var_t,) = self._parts(counts[None])
        n, t, p = counts.sum(), counts.sum(1), counts.sum(0)
        root = np.sqrt(var_p * var_t)
        d_cov = n * np.eye(len(counts)) + np.trace(counts) - p[:, None] - t[None, :]
        d_vars = ratio(2 * (n - p), var_p)[None, :] + ratio(2 * (n - t), var_t)[:, None]
        return ratio(d_cov - cov / 2 * d_vars, root)

    def _parts(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        t, p = counts.sum(2), counts.sum(1)
        n, right = t.sum(1), np.einsum("bii->b", counts)
        return right * n - (t * p).sum(1), n * n - (p * p).sum(1), n * n - (t * t).sum(1)


class Pearson(Metric):
    """Pearson's correlation; influence zx zy - rho (zx^2 + zy^2) / 2."""

    def fits(self, prediction: np.ndarray, gold: np.ndarray) -> bool:
        return len(gold) > 1 and prediction.shape == gold.shape == (len(gold),) and all(map(_real, (prediction, gold)))

    def value(self, prediction: np.ndarray, gold: np.ndarray) -> float:
        x, y = _float(prediction, gold)
        return float(np.mean(standard(x) * standard(y)).clip(-1, 1))

    def draws(self, prediction: np.ndarray, gold: np.ndarray, weights: np.ndarray) -> np.ndarray:
        x, y = _float(prediction, gold)
        return weighted_correlation(standard(x), standard(y), weights)

    def influence(self, prediction: np.ndarray, gold: np.ndarray) -> np.ndarray:
        zx, zy = map(standard, _float(prediction, gold))
        return zx * zy - np.mean(zx * zy) / 2 * (zx**2 + zy**2)


class Spearman(Pearson):
    """Pearson's correlation of midranks.

    With u = F(x), v = G(y) the midranks over N, the weight of example j moves its own pair (u_j, v_j) and, as F and G
    are counts of examples, the rank of every other: d u_i = h(x_i, x_j) - u_i, h = 1[x_j < x_i] + 1[x_j = x_i] / 2.
    """

    def value(self, prediction: np.ndarray, gold: np.ndarray) -> float:
        x, y = (weighted_ranks(side, np.ones((1, len(side))))[0] for side in _float(prediction, gold))
        return float(np.mean(standard(x) * standard(y)).clip(-1, 1))

    def draws(self, prediction: np.ndarray, gold: np.ndarray, weights: np.ndarray) -> np.ndarray:
        x, y = _float(prediction, gold)
        return weighted_correlation(weighted_ranks(x, weights), weighted_ranks(y, weights), weights)

    def influence(self, prediction: np.ndarray, gold: np.ndarray) -> np.ndarray:
        x, y = _float(prediction, gold)
        if np.ptp(x) == 0 or np.ptp(y) == 0:
            return np.zeros(len(x))
        u, v = (weighted_ranks(side, np.ones((1, len(side))))[0] / len(side) for side in (x, y))
        u, v = u - u.mean(), v - v.mean()
        cov, var_u, var_v = np.mean(u * v), np.mean(u * u), np.mean(v * v)
        d_cov = u * v + mean_above(x, v) + mean_above(y, u) - 3 * cov
        d_var_u = u * u + 2 * mean_above(x, u) - 3 * var_u
        d_var_v = v * v + 2 * mean_above(y, v) - 3 * var_v
        rho = cov / np.sqrt(var_u * var_v)
        return d_cov / np.sqrt(var_u * var_v) - rho / 2 * (d_var_u / var_u + d_var_v / var_v)


METRICS: dict[str, Metric] = {
    "accuracy": Accuracy(),
    "f1": F1(),
    "macro_f1": MacroF1(),
    "mcc": Mcc(),
    "pearson": Pearson(),
    "spearman": Spearman(),
}


def ratio(above: np.ndarray | float, below: np.ndarray | float) -> np.ndarray:
    """above / below, 0 where below is 0."""
    above, below = np.broadcast_arrays(np.asarray(above, np.float64), np.asarray(below, np.float64))
    return np.divide(above, below, out=np.zeros(above.shape), where=below != 0)


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


def _real(array: np.ndarray) -> bool:
    return array.dtype.kind in "fiub"
