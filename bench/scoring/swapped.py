"""Whether someone numbers the classes in another order than the data, told from what is right more often."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SWAPPED = 0.2  # mean recall that another order of the classes must add before we call it swapped
SHUFFLES = 199  # of the labels; all of them must gain less, which chance does once in 200. Our choice


def swapped(predicted: np.ndarray, gold: np.ndarray, classes: Sequence[str]) -> str:
    """The doubt in words, from class numbers (N,); empty: no other order fits better than chance makes one fit.

    Where classes are many and examples few, some order always fits better than any that was fixed before: the best of
    C! orders finds luck. So the gain is held against that of the same predictions and shuffled labels.
    """
    gain, columns, right, best = of_best_order(predicted, gold, len(classes))
    if gain <= SWAPPED or by_chance(predicted, gold, len(classes), gain):
        return ""
    return (
        f"finds {right:.0%} of a class on dev, and {best:.0%} if its classes are "
        f"{', '.join(classes[c] for c in columns)}: its classes are in another order than the data's "
        f"({', '.join(classes)})"
    )


def of_best_order(predicted: np.ndarray, gold: np.ndarray, classes: int) -> tuple[float, np.ndarray, float, float]:
    """(what the best order of the classes adds to the mean recall, that order, the recall as it is, the best)."""
    from scipy.optimize import linear_sum_assignment

    table = np.bincount(predicted * classes + gold, minlength=classes**2).reshape(classes, classes).astype(float)
    table /= np.maximum(1, table.sum(0))  # recalls: one that always says the same is no better in any order
    rows, columns = linear_sum_assignment(-table)
    right, best = table.trace() / classes, table[rows, columns].sum() / classes
    return best - right, columns, right, best


def by_chance(predicted: np.ndarray, gold: np.ndarray, classes: int, gain: float) -> bool:
    """Whether labels that have nothing to do with the predictions gain as much from their best order."""
    rng = np.random.default_rng(0)
    return any(of_best_order(predicted, rng.permutation(gold), classes)[0] >= gain for _ in range(SHUFFLES))
