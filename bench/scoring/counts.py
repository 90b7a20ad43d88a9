"""Metrics of the confusion counts: accuracy, F1, macro-F1 and Matthews correlation.

Which class each example has and is taken for is all that they read, so a draw of examples is a draw of the counts.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from bench.scoring.metric import CHUNK, Metric, Weighted, dense, ratio


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
    """Predictions are labels (N,), or class scores (N, C), whose label is the largest; gold labels (N,).

    A SumMetric in effect, whose statistics would be C^2 numbers an example; so examples are kept by their cells.
    """

    @abstractmethod
    def from_counts(self, counts: np.ndarray) -> np.ndarray:
        """Confusion counts (B, C, C), gold by predicted -> (B,)."""

    @abstractmethod
    def gradient(self, counts: np.ndarray) -> np.ndarray:
        """The derivative in each count, (C, C) -> (C, C)."""

    def fits(self, prediction: np.ndarray, gold: np.ndarray) -> bool:
        return dense(prediction, gold) and prediction.ndim <= 2

    def labels(self, prediction: np.ndarray, gold: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
        """Gold and predicted classes as 0..C-1, and C."""
        predicted = prediction.argmax(1) if prediction.ndim == 2 else prediction
        classes, codes = np.unique(np.concatenate([gold, predicted]), return_inverse=True)
        return codes[: len(gold)], codes[len(gold) :], len(classes)

    def constant(self, gold: np.ndarray) -> np.ndarray:
        """The most frequent label, whatever type labels have."""
        labels, counts = np.unique(gold, return_counts=True)
        return np.full(len(gold), labels[counts.argmax()])

    def cells(self, prediction: np.ndarray, gold: np.ndarray) -> Cells:
        """The cells in use; classes that nothing is in, or is taken for, are left out."""
        true, predicted, classes = self.labels(prediction, gold)
        codes = true * classes + predicted
        counts = np.bincount(codes)
        used = np.flatnonzero(counts)
        return Cells(used // classes, used % classes, counts[used], np.cumsum(counts > 0)[codes] - 1, classes)

    def weighted(self, prediction: np.ndarray, gold: np.ndarray) -> Weighted:
        cells = self.cells(prediction, gold)
        order = np.argsort(cells.cell, kind="stable")
        starts = np.cumsum(cells.counts) - cells.counts
        return lambda weights: self.from_cells(cells, np.add.reduceat(weights[:, order], starts, axis=1))

    def from_cells(self, cells: Cells, counts: np.ndarray) -> np.ndarray:
        """Counts of the cells (B, M) -> (B,), a few confusion matrices at a time."""
        step = max(1, CHUNK // cells.classes**2)
        parts = [self.from_counts(cells.table(counts[i : i + step])) for i in range(0, len(counts), step)]
        return np.concatenate(parts)

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

    def constant(self, gold: np.ndarray) -> np.ndarray:
        """Class 1 for all, however rare it is: any other class would be worth 0."""
        return np.ones_like(gold)

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
