"""What a metric is: its value, its value under weights, and what each example adds.

Resampling examples is the same as weighting them, so a bootstrap draw needs no copy of the data. The influence of an
example (the infinitesimal jackknife, Jaeckel 1972; Efron 1982) is the derivative of the metric in its weight:

    influence_j = d theta((1 - e) w + e delta_j) / d e   at e = 0, w = 1/N        mean over j: 0

and theta's sampling variance is sum(influence^2) / N^2. Where a metric is not defined (a constant side) it is 0.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from bench.scoring.scores import Ragged

CHUNK = 2**16  # numbers in one temporary array: 0.5 MB, which stays in a core's cache
STEP = 1e-4  # of one example's weight, in a numerical derivative
Weighted = Callable[[np.ndarray], np.ndarray]  # the metric when example j counts weights[b, j] times: (B, N) -> (B,)


class Metric(ABC):
    """Of N examples. Each class says which arrays, or Ragged rows, it reads as predictions and as gold."""

    bounds: ClassVar[tuple[float, float]] = (-1.0, 1.0)  # what no value lies outside of

    @abstractmethod
    def fits(self, prediction: Any, gold: Any) -> bool:
        """Whether arrays of these shapes and types can be scored."""

    @abstractmethod
    def weighted(self, prediction: Any, gold: Any) -> Weighted:
        """The metric as a function of weights."""

    @abstractmethod
    def parts(self, prediction: Any, gold: Any) -> tuple[float, np.ndarray]:
        """The value, and what each example adds to it: the influences, (N,) with mean 0."""

    def value(self, prediction: Any, gold: Any) -> float:
        """The metric."""
        return self.parts(prediction, gold)[0]

    def constant(self, gold: Any) -> Any:
        """The best prediction that is the same for every input; None: gold alone does not tell it."""
        return constant(gold)

    def trivial(self, gold: Any, ranked: Any = None) -> float | None:
        """What that prediction scores: what a score has to be above to show that anything was learned. `ranked`: a
        prediction, of which metrics of rankings read what there was to rank."""
        prediction = self.constant(gold)
        return None if prediction is None else self.value(prediction, gold)


class SumMetric(Metric):
    """A function of the sums of S numbers that each example gives; draws and influence follow from these two."""

    @abstractmethod
    def statistics(self, prediction: Any, gold: Any) -> np.ndarray:
        """What each example gives, (N, S)."""

    @abstractmethod
    def of_sums(self, sums: np.ndarray) -> np.ndarray:
        """Sums over examples (..., S) -> the metric (...)."""

    def weighted(self, prediction: Any, gold: Any) -> Weighted:
        statistics = self.statistics(prediction, gold)
        return lambda weights: self.of_sums(weights @ statistics)

    def parts(self, prediction: Any, gold: Any) -> tuple[float, np.ndarray]:
        """The derivative is taken towards each example, by steps in both directions."""
        statistics = self.statistics(prediction, gold)
        sums, size = statistics.sum(0), len(statistics)
        step = STEP * (statistics - sums / size)
        return float(self.of_sums(sums)), (self.of_sums(sums + step) - self.of_sums(sums - step)) * size / (2 * STEP)


class MeanMetric(SumMetric):
    """The mean of one number an example."""

    @abstractmethod
    def each(self, prediction: Any, gold: Any) -> np.ndarray:
        """What each example scores, (N,)."""

    def statistics(self, prediction: Any, gold: Any) -> np.ndarray:
        return np.stack([self.each(prediction, gold), np.ones(len(gold))], axis=1)

    def of_sums(self, sums: np.ndarray) -> np.ndarray:
        return ratio(sums[..., 0], sums[..., 1])


def constant(gold: Any) -> Any:
    """For every input of gold (N,) its most frequent label, or the mean of real values; of rows (Ragged) the most
    frequent label of all. None: values that are neither."""
    values = gold.flat if isinstance(gold, Ragged) else gold
    if values.ndim != 1 or not len(values):
        return None
    if values.dtype.kind == "f":
        return None if values is not gold else np.full(len(gold), gold.mean())
    labels, counts = np.unique(values, return_counts=True)
    filled = np.full(len(values), labels[counts.argmax()])
    return filled if values is gold else Ragged(filled, gold.lengths)


def ratio(above: np.ndarray | float, below: np.ndarray | float) -> np.ndarray:
    """above / below, 0 where below is 0."""
    above, below = np.broadcast_arrays(np.asarray(above, np.float64), np.asarray(below, np.float64))
    return np.divide(above, below, out=np.zeros(above.shape), where=below != 0)


def dense(prediction: Any, gold: Any) -> bool:
    """Whether both are arrays of as many examples, at least one, with one gold value each."""
    arrays = isinstance(prediction, np.ndarray) and isinstance(gold, np.ndarray)
    return arrays and gold.ndim == 1 and prediction.ndim > 0 and 0 < len(gold) == len(prediction)
