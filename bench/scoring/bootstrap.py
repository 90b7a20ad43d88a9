"""Intervals by bootstrap over what was sampled: examples, or the documents that pairs of examples share.

A metric that the engine knows from inside (`metrics`) is drawn through weights or counts, any other by scoring
resampled rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.scoring.counts import Cells, CountMetric
from bench.scoring.metric import CHUNK, Metric
from bench.scoring.metrics import METRICS
from bench.scoring.scores import Predictions, Scores, headline

DRAWS = 1000
COUNT_DRAWS = 10_000  # where drawing the confusion counts is enough, which costs next to nothing
SAME = 1e-9  # how near the engine's value of a metric must come to the task's own
Score = Callable[[Predictions], Scores]


def interval(
    predictions: Predictions,
    score: Score,
    metric: str,
    draws: int | None = None,
    seed: int = 0,
    scores: Scores | None = None,
) -> tuple[float, float]:
    """95% percentile interval of the headline metric; data sets are drawn independently of one another. `scores`: what
    `score` gives of these predictions, where the caller has that."""
    predictions = dict(sorted(predictions.items()))  # a store gives them back in another order than a run
    rng = np.random.default_rng(seed)
    form = METRICS[metric] if known(predictions, scores or score(predictions), metric) else None
    draws = draws or (COUNT_DRAWS if isinstance(form, CountMetric) else DRAWS)
    if form is None:
        values = scored_draws(predictions, score, metric, draws, rng)
    else:
        values = np.mean([metric_draws(form, a, draws, rng) for a in predictions.values()], axis=0)
    values = values[np.isfinite(values)]  # a task's own metric may be undefined in a draw
    low, high = np.percentile(values, [2.5, 97.5]) if len(values) else (np.nan, np.nan)
    return float(low), float(high)


def known(predictions: Predictions, scores: Scores, metric: str) -> dict[str, tuple[float, np.ndarray]] | None:
    """{data set: value, influences (N,)} by the engine's form of the metric, where that gives `scores`, the task's own.

    A task may call something else by the same name: F1 of spans, accuracy with a class left out.
    """
    form = METRICS.get(metric)
    if form is None or not all(form.fits(a["prediction"], a["gold"]) for a in predictions.values()):
        return None
    parts = {n: form.parts(a["prediction"], a["gold"]) for n, a in predictions.items()}
    return parts if all(abs(value - scores[name][metric]) <= SAME for name, (value, _) in parts.items()) else None


def scored_draws(
    predictions: Predictions, score: Score, metric: str, draws: int, rng: np.random.Generator
) -> np.ndarray:
    """The headline metric of resampled rows, (draws,)."""
    values = []
    for _ in range(draws):
        drawn = {}
        for name, arrays in predictions.items():
            rows = np.repeat(np.arange(len(arrays["prediction"])), draw_weights(arrays, 1, rng)[0])
            drawn[name] = {key: array[rows] for key, array in arrays.items() if key != "units"}
        values.append(headline(score(drawn), metric)[1])
    return np.array(values)


def draw_weights(arrays: dict[str, Any], draws: int, rng: np.random.Generator) -> np.ndarray:
    """How often each row is in each draw of a data set, (draws, N).

    Without `units` rows are drawn. With units (N, k) the units are drawn, and a row counts as often as the product of
    its units' counts: pairs of the same documents are not independent, and drawing pairs would call them so.
    """
    units = arrays.get("units")
    if units is None:
        return _multiplicities(len(arrays["prediction"]), draws, rng)
    ids, codes = unit_codes(units)
    return np.prod(_multiplicities(len(ids), draws, rng)[:, codes], axis=2)


def unit_codes(units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ids of units (N, k), and each as its number among them, (N, k)."""
    ids, codes = np.unique(units, return_inverse=True)
    return ids, codes.reshape(len(units), -1)


def metric_draws(metric: Metric, arrays: dict[str, Any], draws: int, rng: np.random.Generator) -> np.ndarray:
    """The metric of one data set in each draw, (draws,), a few draws at a time so that memory stays bounded."""
    prediction, gold = arrays["prediction"], arrays["gold"]
    if isinstance(metric, CountMetric) and "units" not in arrays:
        return multinomial_draws(metric, metric.cells(prediction, gold), draws, rng)
    width = arrays["units"].size if "units" in arrays else len(gold)
    under = metric.weighted(prediction, gold)
    return np.concatenate([under(draw_weights(arrays, b, rng)) for b in _chunks(draws, width)])


def multinomial_draws(metric: CountMetric, cells: Cells, draws: int, rng: np.random.Generator) -> np.ndarray:
    """Resampling N examples draws the cells' counts from a multinomial; no example needs to be drawn."""
    n = int(cells.counts.sum())
    sizes = _chunks(draws, len(cells.counts))
    return np.concatenate([metric.from_cells(cells, rng.multinomial(n, cells.counts / n, size=b)) for b in sizes])


def median_interval(ratios: np.ndarray, draws: int = DRAWS, seed: int = 0) -> tuple[float, tuple[float, float]]:
    """Median of per-round ratios and its 95% bootstrap interval over rounds."""
    rng = np.random.default_rng(seed)
    medians = np.median(rng.choice(ratios, size=(draws, len(ratios))), axis=1)
    low, high = np.percentile(medians, [2.5, 97.5])
    return float(np.median(ratios)), (float(low), float(high))


def _multiplicities(size: int, draws: int, rng: np.random.Generator) -> np.ndarray:
    """How often each of `size` things is drawn when `size` are drawn with replacement, (draws, size)."""
    drawn = rng.integers(size, size=(draws, size)) + size * np.arange(draws)[:, None]
    return np.bincount(drawn.ravel(), minlength=draws * size).reshape(draws, size)


def _chunks(draws: int, width: int) -> list[int]:
    """Draws cut into parts of at most CHUNK numbers, a draw being `width` numbers."""
    step = max(1, CHUNK // max(1, width))
    return [min(step, draws - done) for done in range(0, draws, step)]
