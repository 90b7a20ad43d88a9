"""Whether someone numbers the classes in another order than the data, told from what is right more often."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

SWAPPED = 0.2  # mean recall that another order of the classes must add before we call it swapped
SURE = 3.0  # and how many standard deviations of that gain, if it were chance, it must be. Our choice


def swapped(predicted: np.ndarray, gold: np.ndarray, classes: Sequence[str]) -> str:
    """The doubt in words, from class numbers (N,); empty: no other order is known to fit better.

    The best of C! orders finds luck, and much of it where classes are many and examples few. So an order is found on
    one half of the examples and judged on the other, both ways. If it were no better than the data's, an example that
    only one of the two has right would be as likely one's as the other's: the permutation test flips these signs, which
    gives gains around 0 with the sum of their squares as variance.
    """
    count, half = len(classes), halves(gold)
    right = (predicted == gold).astype(float)
    other = right.copy()
    for side in (half, ~half):
        other[side] = best_order(predicted[~side], gold[~side], count)[predicted[side]] == gold[side]
    share = 1 / np.maximum(1, np.bincount(gold, minlength=count))[gold] / count  # of the mean recall
    flips = share * (other - right)
    if flips.sum() <= SWAPPED or flips.sum() <= SURE * np.sqrt((flips**2).sum()):
        return ""
    order = best_order(predicted, gold, count)
    return (
        f"finds {share @ right:.0%} of a class on dev, and {share @ (order[predicted] == gold):.0%} if its classes are "
        f"{', '.join(classes[c] for c in order)}: its classes are in another order than the data's "
        f"({', '.join(classes)})"
    )


def halves(gold: np.ndarray) -> np.ndarray:
    """(N,) bool: every second example of each class."""
    order = np.argsort(gold, kind="stable")
    first = np.searchsorted(gold[order], gold[order])
    found = np.empty(len(gold), bool)
    found[order] = (np.arange(len(gold)) - first) % 2 == 0
    return found


def best_order(predicted: np.ndarray, gold: np.ndarray, classes: int) -> np.ndarray:
    """(C,) which class of the data each number should stand for, so that most of each class is right."""
    from scipy.optimize import linear_sum_assignment

    table = np.bincount(predicted * classes + gold, minlength=classes**2).reshape(classes, classes).astype(float)
    table /= np.maximum(1, table.sum(0))  # recalls: one that always says the same is no better in any order
    columns: np.ndarray = linear_sum_assignment(-table)[1]
    return columns
