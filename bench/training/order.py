"""The order in which a stage's batches come: from lengths, seed and update alone, the same for every method."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

BUCKET = 20  # batches that are sorted by length together: large enough to save padding, small enough to stay random


def epoch_order(
    lengths: np.ndarray, batch_size: int, seed: Sequence[int], batching: str, repeats: int = 1
) -> np.ndarray:
    """(batches, batch_size) example numbers of one epoch; the rest that does not fill a batch waits for another epoch.

    plain        shuffled
    dealt        shuffled, cut into runs of BUCKET batches, each run sorted by length and dealt so that short and long
                 batches alternate: a few updates see all lengths, though each batch sees one (docs/performance.md)
    bucketed     the same runs, all batches in random order: until now the default, and worse where updates are few

    `repeats`: each example comes so many times, one behind the other, in an epoch that is as long as ever.
    Depends on the lengths, the seed and nothing else, so that every method of one student sees the same order and a
    resumed run finds its place by counting.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(lengths)).repeat(repeats)[: len(lengths)]
    if len(order) < batch_size:  # a set smaller than one batch: repeat it
        order = np.resize(order, batch_size)
    whole = len(order) // batch_size * batch_size
    if batching == "plain":
        return order[:whole].reshape(-1, batch_size)
    if batching == "bucketed":
        return rng.permutation(np.concatenate(runs(order, lengths, batch_size))[:whole].reshape(-1, batch_size))
    dealt = [deal(run.reshape(-1, batch_size), rng) for run in runs(order[:whole], lengths, batch_size)]
    return np.concatenate(dealt)


def runs(order: np.ndarray, lengths: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Cut into runs of BUCKET batches, each sorted by length."""
    size = BUCKET * batch_size
    parts = [order[i : i + size] for i in range(0, len(order), size)]
    return [part[np.argsort(lengths[part], kind="stable")] for part in parts]


def deal(batches: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Sorted batches (N, batch_size) in the order of their bit-reversed numbers, as in van der Corput's sequence, from
    a random start: whatever few of them come in a row are spread over the whole range."""
    bits = max(1, (len(batches) - 1).bit_length())
    mixed = sorted(range(len(batches)), key=lambda n: f"{n:0{bits}b}"[::-1])
    return batches[np.roll(mixed, rng.integers(len(batches)))]


def batch_order(
    lengths: np.ndarray, batch_size: int | None, seed: Sequence[int], start: int, stop: int, batching: str = "dealt",
    repeats: int = 1,
) -> Iterator[np.ndarray]:  # fmt: skip
    """Example numbers of the batches `start` to `stop`, epoch after epoch; without a size every batch is an epoch."""
    batch_size = batch_size or len(lengths)
    per_epoch = max(1, len(lengths) // batch_size)
    epoch, order = -1, np.empty((0, 0), np.int64)
    for step in range(start, stop):
        if step // per_epoch != epoch:
            epoch = step // per_epoch
            order = epoch_order(lengths, batch_size, (*seed, epoch), batching, repeats)
        yield order[step % per_epoch]
