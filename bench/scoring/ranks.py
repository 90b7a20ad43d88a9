"""Ranks of rows by score, 1 the highest, and the ranges that hold 95% of them in draws. Equal scores share ranks."""

from __future__ import annotations

import numpy as np

BLOCK = 2**20  # scores at once: 8 MB a temporary array


def ranked(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Best and worst rank of each row in each draw of scores (rows, B)."""
    width = max(1, BLOCK // max(1, len(draws)))
    blocks = [_ranked(draws[:, at : at + width].T) for at in range(0, draws.shape[1], width)]
    best, worst = (np.concatenate(parts).T for parts in zip(*blocks, strict=True))
    return best, worst


def _ranked(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of scores (B, rows): sorted, and each run of equal ones from its first to its last place."""
    count = scores.shape[1]
    order = np.argsort(scores, axis=1)[:, ::-1]
    held = np.take_along_axis(scores, order, 1)
    place = np.arange(1, count + 1, dtype=np.int32)
    edge = np.pad(held[:, 1:] != held[:, :-1], ((0, 0), (1, 1)), constant_values=True)
    first = np.maximum.accumulate(np.where(edge[:, :-1], place, 0), axis=1)
    last = np.minimum.accumulate(np.where(edge[:, 1:], place, count)[:, ::-1], axis=1)[:, ::-1]
    best, worst = np.empty_like(first), np.empty_like(last)
    np.put_along_axis(best, order, first, 1)
    np.put_along_axis(worst, order, last, 1)
    return best, worst


def shared(draws: np.ndarray) -> np.ndarray:
    """The rank of each row in each draw of scores (rows, B); equal scores get the mean of their ranks."""
    return np.asarray(np.mean(ranked(draws), axis=0))


def rank_ranges(draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The ends of each row's rank in 95% of the draws of scores, (rows, B): equal rows hold all ranks they share."""
    best, worst = ranked(draws)
    low = np.percentile(best, 2.5, axis=1, method="inverted_cdf")
    return low, np.percentile(worst, 97.5, axis=1, method="inverted_cdf")
