"""The order in which a stage's batches come: from lengths, seed and update alone, the same for every method."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

BUCKET = 20  # batches that are sorted by length together: large enough to save padding, small enough to stay random


def epoch_order(lengths: np.ndarray, batch_size: int, seed: Sequence[int], bucketed: bool) -> np.ndarray:
    """(batches, batch_size) example numbers of one epoch; the rest that does not fill a batch waits for another epoch.

    Bucketed: shuffle, cut into runs of BUCKET batches, sort each run by length, shuffle the batches. Depends on the
    lengths, the seed and nothing else, so that every method of one student sees the same order and a resumed run
    finds its place by counting.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(lengths))
    if len(order) < batch_size:  # a set smaller than one batch: repeat it
        order = np.resize(order, batch_size)
    if bucketed:
        run = BUCKET * batch_size
        parts = [order[i : i + run] for i in range(0, len(order), run)]
        order = np.concatenate([p[np.argsort(lengths[p], kind="stable")] for p in parts])
    batches = order[: len(order) // batch_size * batch_size].reshape(-1, batch_size)
    return rng.permutation(batches) if bucketed else batches


def batch_order(
    lengths: np.ndarray, batch_size: int, seed: Sequence[int], start: int, stop: int, bucketed: bool = True
) -> Iterator[np.ndarray]:
    """Example numbers of the batches `start` to `stop`, epoch after epoch."""
    per_epoch = max(1, len(lengths) // batch_size)
    epoch, order = -1, np.empty((0, 0), np.int64)
    for step in range(start, stop):
        if step // per_epoch != epoch:
            epoch = step // per_epoch
            order = epoch_order(lengths, batch_size, (*seed, epoch), bucketed)
        yield order[step % per_epoch]
