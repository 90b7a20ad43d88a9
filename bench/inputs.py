"""Training inputs as flat arrays: example groups, token arrays, and the order in which batches come."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Examples:
    """A training set: a pool of raw inputs, and groups of them by index.

    Inputs are texts, pairs of texts, or `bench.data.images.Images`. `groups` is (N, K): K=1 for single inputs, 2 for
    (anchor, positive), 3 for (anchor, positive, negative). `labels` is (N,) or None: class numbers, int64, or values,
    float32.
    Teacher and student encode the pool on their own; batches are keyed by pool row. With `views` > 1 every input has
    so many augmented forms, and row r in view v is row r + v * len(inputs).
    """

    inputs: Sequence[Any]
    groups: np.ndarray
    labels: np.ndarray | None = None
    views: int = 1

    def __len__(self) -> int:
        return len(self.groups)

    @cached_property
    def digest(self) -> str:
        """Content key of the pool: the teacher store files signals under it."""
        return digest_inputs(self.inputs)


def single(inputs: Sequence[Any], labels: np.ndarray, views: int = 1) -> Examples:
    """A labelled training set of inputs that stand alone."""
    return Examples(inputs, np.arange(len(inputs))[:, None], labels, views)


def digest_inputs(inputs: Sequence[Any]) -> str:
    """Content key of raw inputs: their own, else a hash over texts, where a pair is two texts and says so."""
    own = getattr(inputs, "digest", None)
    if isinstance(own, str):
        return own
    if all(isinstance(i, str) for i in inputs):
        return digest_texts(inputs)
    return digest_texts(["pairs", *(text for pair in inputs for text in pair)])


def digest_texts(texts: Sequence[str]) -> str:
    """sha256 over texts and their boundaries."""
    digest = hashlib.sha256()
    for text in texts:
        data = text.encode()
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


@dataclass
class Batch:
    """One training batch. Signals come flattened column by column: B anchors, then B positives, then B negatives."""

    rows: Tensor  # (B,) example numbers
    columns: int
    labels: Tensor | None = None
    inputs: Mapping[str, Tensor] = field(default_factory=dict)  # what the student reads: for a method's own networks
    progress: float = 0.0  # share of the stage that is done before this update
    examples: int = 0  # in the training set

    def split(self, x: Tensor) -> tuple[Tensor, ...]:
        """(K*B, ...) -> K tensors (B, ...)."""
        return x.chunk(self.columns)


class TokenArrays:
    """Tokenised text in one flat array with offsets: no Python objects per sentence, no tokenizer in the loop.

    `segments`, where a network tells the texts of a pair apart: which text each token is of.
    """

    def __init__(
        self, token_ids: Sequence[Sequence[int]], pad: int, segments: Sequence[Sequence[int]] | None = None
    ) -> None:
        self._hold(flattened(token_ids, segments), pad)

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], pad: int) -> TokenArrays:
        """From `flat`, `lengths` and perhaps `segments`, as `flattened` makes them; they may be memory-mapped."""
        found = cls.__new__(cls)
        found._hold(arrays, pad)
        return found

    def _hold(self, arrays: Mapping[str, np.ndarray], pad: int) -> None:
        self.flat, self.segments, self.pad = arrays["flat"], arrays.get("segments"), pad
        self.lengths = np.asarray(arrays["lengths"], np.int64)
        self.offsets = np.concatenate([[0], np.cumsum(self.lengths)])

    def __len__(self) -> int:
        return len(self.lengths)

    def batch(self, rows: np.ndarray) -> dict[str, Tensor]:
        """`input_ids`, `attention_mask`, and for pairs `token_type_ids`: (B, L) int64, L the longest of these rows."""
        lengths = self.lengths[rows]
        places = np.arange(lengths.max(initial=1))
        mask = places < lengths[:, None]
        at = (self.offsets[rows][:, None] + places)[mask]
        ids = np.full(mask.shape, self.pad, np.int64)
        ids[mask] = self.flat[at]
        found = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask.astype(np.int64))}
        if self.segments is not None:
            kinds = np.zeros(mask.shape, np.int64)
            kinds[mask] = self.segments[at]
            found["token_type_ids"] = torch.from_numpy(kinds)
        return found


def flattened(token_ids: Sequence[Sequence[int]], segments: Sequence[Sequence[int]] | None) -> dict[str, np.ndarray]:
    """`flat` int32 and `lengths` int64 (N,); `segments` int8 where there are such."""
    lengths = np.fromiter((len(t) for t in token_ids), np.int64, len(token_ids))

    def flat(lists: Sequence[Sequence[int]], dtype: Any) -> np.ndarray:
        return np.fromiter(itertools.chain.from_iterable(lists), dtype, int(lengths.sum()))

    found = {"flat": flat(token_ids, np.int32), "lengths": lengths}
    return found if segments is None else found | {"segments": flat(segments, np.int8)}


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
