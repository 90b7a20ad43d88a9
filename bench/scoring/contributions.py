"""What each example adds to the score of a run.

A run's score theta is the mean over K data sets. An independent unit u (an example, or a document that examples share)
of a data set with n_k of them contributes

    t_u = (theta_k + influence_u) / (K n_k)        sum over all units: theta

which for a mean metric such as accuracy is what the example scored, and for others its first-order share.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.scoring.bootstrap import Score, known, unit_codes
from bench.scoring.scores import Predictions, headline

Runs = Mapping[int | None, "Contributions"]  # a row's runs by seed; a teacher's one run has the seed None


@dataclass(frozen=True)
class Contributions:
    """What the units of K data sets add to the score of one run; U units over all data sets.

    t is centred plus levels / (K sizes), unit by unit.
    """

    levels: np.ndarray  # (K,) the score of each data set
    sizes: np.ndarray  # (K,) units of each data set
    centred: np.ndarray  # (U,) influence_u / (K n_k), data set by data set, of sum 0 in each


def contributions(predictions: Predictions, score: Score, metric: str) -> Contributions:
    """What each unit adds: by influence where the engine knows the metric, else by leaving the unit out."""
    if found := by_influence(predictions, score, metric):
        return found
    levels = [headline(score({name: arrays}), metric)[1] for name, arrays in predictions.items()]
    return centred(levels, [jackknife({name: arrays}, score, metric) for name, arrays in predictions.items()])


def by_influence(predictions: Predictions, score: Score, metric: str) -> Contributions | None:
    """None: the engine has no such metric, or `score` gives other values than it."""
    parts = known(predictions, score(predictions), metric)
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
