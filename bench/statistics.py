"""Intervals by bootstrap over what was sampled: examples, or the documents that pairs of examples share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench.task import Predictions, Scores, headline

DRAWS = 1000


def resample(arrays: dict[str, np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Row numbers of one bootstrap draw of a data set.

    Without `units` rows are drawn. With units (N, k) the units are drawn, and a row counts as often as the product of
    its units' counts: pairs of the same documents are not independent, and drawing pairs would call them so.
    """
    size = len(arrays["prediction"])
    units = arrays.get("units")
    if units is None:
        return rng.integers(size, size=size)
    count = int(units.max()) + 1
    weights = np.bincount(rng.integers(count, size=count), minlength=count)
    return np.repeat(np.arange(size), np.prod(weights[units], axis=1))


def interval(
    predictions: Predictions, score: Callable[[Predictions], Scores], metric: str, draws: int = DRAWS, seed: int = 0
) -> tuple[float, float]:
    """95% percentile interval of the headline metric; data sets are drawn independently of one another."""
    rng = np.random.default_rng(seed)
    values = []
    for _ in range(draws):
        drawn = {}
        for name, arrays in predictions.items():
            rows = resample(arrays, rng)
            drawn[name] = {key: array[rows] for key, array in arrays.items() if key != "units"}
        values.append(headline(score(drawn), metric)[1])
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def median_interval(ratios: np.ndarray, draws: int = DRAWS, seed: int = 0) -> tuple[float, tuple[float, float]]:
    """Median of per-round ratios and its 95% bootstrap interval over rounds."""
    rng = np.random.default_rng(seed)
    medians = np.median(rng.choice(ratios, size=(draws, len(ratios))), axis=1)
    low, high = np.percentile(medians, [2.5, 97.5])
    return float(np.median(ratios)), (float(low), float(high))
