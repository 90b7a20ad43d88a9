"""Pairs of an image and a text, each of a pool of its own, so that an image with many captions is read once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.data.images import Images
from bench.inputs import Pool, Texts, flat
from bench.network import Encoded


class Pairs(Pool):
    """N pairs: `numbers` (N, 2) says which image and which text; None: every image with every text, image by image."""

    def __init__(self, images: Images, texts: Texts, numbers: np.ndarray | None = None) -> None:
        self.images, self.texts = images, texts
        self.numbers = None if numbers is None else np.ascontiguousarray(numbers, np.int32)

    def __len__(self) -> int:
        return len(self.images) * len(self.texts) if self.numbers is None else len(self.numbers)

    def __getitem__(self, row: Any) -> Any:
        """(image, text) of a number; of a slice, a pool."""
        if isinstance(row, slice):
            return self.take(np.arange(len(self))[row])
        image, text = self.sides(np.array(row))
        return self.images[image], self.texts[text]

    def sides(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The images and the texts of these pairs, by number."""
        if self.numbers is None:
            return rows // len(self.texts), rows % len(self.texts)
        return self.numbers[rows, 0], self.numbers[rows, 1]

    def take(self, rows: Sequence[int] | np.ndarray) -> Pairs:
        """With the images and texts of these pairs alone."""
        (images, image), (texts, text) = (numbered(side) for side in self.sides(np.asarray(rows, np.int64)))
        return Pairs(self.images.take(images), self.texts.take(texts), np.stack([image, text], 1))

    def sizes(self) -> np.ndarray:
        """Characters of the text: all images are of one size."""
        return self.texts.sizes()[self.sides(np.arange(len(self)))[1]]

    @cached_property
    def digest(self) -> str:  # type: ignore[override]
        digest = hashlib.sha256(f"pairs {self.images.digest} {self.texts.digest} ".encode())
        digest.update(b"all" if self.numbers is None else self.numbers.data)
        return digest.hexdigest()


class PairArrays:
    """Pairs made ready for a network that reads images and texts; a batch holds each image and each text once."""

    def __init__(self, pairs: Pairs, images: Encoded, texts: Encoded, image_cost: int | None = None) -> None:
        """`image_cost`: tokens of work of an image; None: as its own encoding says."""
        self.pairs, self.images, self.texts = pairs, images, texts
        self.axes: dict[str, np.ndarray] = {}
        each = int(images.lengths.max(initial=0)) if image_cost is None else image_cost
        text = pairs.sides(np.arange(len(pairs)))[1]
        self.lengths = (each + texts.lengths[text]).astype(np.int32)  # tokens of an image and its text

    def __len__(self) -> int:
        return len(self.pairs)

    def batch(self, rows: np.ndarray) -> dict[str, Tensor]:
        """The tensors of the distinct images and texts, and `image_of` and `text_of` (P,): which ones each pair has."""
        (images, image), (texts, text) = (numbered(side) for side in self.pairs.sides(flat(rows)))
        where = {"image_of": torch.from_numpy(image), "text_of": torch.from_numpy(text)}
        return self.images.batch(images) | self.texts.batch(texts) | where


class PairVectors:
    """The same pairs where every image and every text was read already, once: vectors (I, D) and (T, D)."""

    def __init__(self, pairs: Pairs, images: Tensor, texts: Tensor) -> None:
        self.pairs, self.images, self.texts = pairs, images, texts
        self.lengths = np.ones(len(pairs), np.int16)  # the work of a pair is a product of two vectors
        self.axes: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.pairs)

    def batch(self, rows: np.ndarray) -> dict[str, Tensor]:
        """`image_vectors` and `text_vectors` (P, D)."""
        image, text = (torch.from_numpy(side.astype(np.int64)) for side in self.pairs.sides(flat(rows)))
        return {"image_vectors": self.images[image], "text_vectors": self.texts[text]}


def numbered(side: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct numbers, ascending, and each as its place among them."""
    distinct, places = np.unique(side, return_inverse=True)
    return distinct.astype(np.int64), places.reshape(-1).astype(np.int64)
