"""Ranks of rows in draws of their scores, and the ranges that hold 95% of them."""

from __future__ import annotations

import numpy as np


def ranked(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Best and worst rank of each row in each draw of scores (rows, B), 1 the highest; equal scores share ranks.

    Rows are counted pair by pair: up to a hundred of them that takes no longer than sorting each draw.
    """
    above = [np.sum(draws > row, axis=0, dtype=np.int32) for row in draws]
    not_below = [np.sum(draws >= row, axis=0, dtype=np.int32) for row in draws]
    return np.stack(above) + 1, np.stack(not_below)


def rank_ranges(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ends of each row's rank in 95% of the draws of scores, (rows, B)."""
    best, worst = ranked(draws)
    low = np.percentile(best, 2.5, axis=1, method="inverted_cdf")
    return low, np.percentile(worst, 97.5, axis=1, method="inverted_cdf")
