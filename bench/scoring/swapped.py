"""Whether someone numbers the classes in another order than the data, told from what is right more often."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

SWAPPED = 0.2  # mean recall that another order of the classes must add before we call it swapped
CHANCE = 3  # and standard errors, of which one is at most 1 / sqrt(N): of few examples luck adds as much


def swapped(predicted: np.ndarray, gold: np.ndarray, classes: Sequence[str]) -> str:
    """The doubt in words, from class numbers (N,); empty: no other order fits better."""
    from scipy.optimize import linear_sum_assignment

    table = np.zeros((len(classes),) * 2)
    np.add.at(table, (predicted, gold), 1)
    table /= np.maximum(1, table.sum(0))  # recalls: one that always says the same is no better in any order
    rows, columns = linear_sum_assignment(-table)
    right, best = table.trace() / len(table), table[rows, columns].sum() / len(table)
    if best - right <= max(SWAPPED, CHANCE / math.sqrt(len(gold))):
        return ""
    return (
        f"finds {right:.0%} of a class on dev, and {best:.0%} if its classes are "
        f"{', '.join(classes[c] for c in columns)}: its classes are in another order than the data's "
        f"({', '.join(classes)})"
    )
