"""Two networks side by side, one for images and one for texts, whose vectors are compared: CLIP, SigLIP, small ones.

    i = unit(image tower)    t = unit(text tower)    score = scale i . t + bias

Radford et al. 2021, arXiv:2103.00020: the scale is learned as its logarithm, from 1 / 0.07, and is at most 100. The
bias is SigLIP's (Zhai et al. 2023, arXiv:2303.15343); a softmax does not see it, and a sigmoid needs it.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bench.data.images import Images
from bench.data.pairs import PairArrays, Pairs, PairVectors
from bench.inputs import pool, texts
from bench.losses import unit
from bench.network import Encoded, Network
from bench.networks.inference import length_batches, to_device
from bench.signals import Signals

HOTTEST = 100.0  # the largest scale: CLIP's


class Towers(Network):
    """Reads pairs, or images alone, or texts alone; of these `embedding` is the unit vector that an index keeps.

    Of pairs it is both unit vectors side by side, and `sides` (P, 2, D) those whose product is the score without the
    bias: scale i, and t.
    """

    offers = frozenset({"embedding", "sides", "logits"})
    bias: Any  # a tensor, or 0

    @property
    @abstractmethod
    def scale(self) -> Tensor:
        """What the cosine is multiplied by."""

    @abstractmethod
    def encode_images(self, images: Images) -> Encoded:
        """Images made ready for the image tower."""

    @abstractmethod
    def encode_texts(self, given: Any, max_length: int | None) -> Encoded:
        """Texts made ready for the text tower."""

    @abstractmethod
    def see(self, batch: dict[str, Tensor]) -> Tensor:
        """(I, D) of `pixels`."""

    @abstractmethod
    def read(self, batch: dict[str, Tensor]) -> Tensor:
        """(T, D) of `input_ids`."""

    @property
    def index_width(self) -> int:
        return self.width // 2

    def encode(self, inputs: Sequence[Any], max_length: int | None = None) -> Encoded:
        given = pool(inputs)
        if isinstance(given, Images):
            return self.encode_images(given)
        if not isinstance(given, Pairs):
            return self.encode_texts(texts(given), max_length)
        return PairArrays(given, self.encode_images(given.images), self.encode_texts(given.texts, max_length))

    @torch.no_grad()
    def once(self, encoded: Encoded) -> Encoded:
        """Each image and each text is read once, and pairs are products of what was read."""
        if not isinstance(encoded, PairArrays):
            return encoded
        return PairVectors(encoded.pairs, self._all(encoded.images), self._all(encoded.texts))

    def _all(self, encoded: Encoded) -> Tensor:
        """(N, D) unit vectors, in order, on the network's device."""
        found = torch.empty(len(encoded.lengths), self.index_width, device=self.device)
        for rows in length_batches(encoded.lengths):
            found[torch.from_numpy(rows)] = self.alone(to_device(encoded.batch(rows), self.device))
        return found

    def alone(self, batch: dict[str, Tensor]) -> Tensor:
        """Unit vectors (N, D) of images or of texts."""
        return unit(self.see(batch) if "pixels" in batch else self.read(batch)).float()

    def forward(self, batch: dict[str, Tensor], want: frozenset[str]) -> Signals:
        if "image_vectors" in batch:
            return self.compare(batch["image_vectors"], batch["text_vectors"])
        if "image_of" not in batch:
            return Signals(embedding=self.alone(batch))
        return self.compare(unit(self.see(batch))[batch["image_of"]], unit(self.read(batch))[batch["text_of"]])

    def compare(self, images: Tensor, texts: Tensor) -> Signals:
        """Signals of pairs of unit vectors (P, D)."""
        sides = torch.stack([self.scale * images, texts], 1)
        logits = sides.prod(1).sum(1, keepdim=True) + self.bias
        return Signals(logits=logits, sides=sides, embedding=torch.cat([images, texts], 1))


class JoinedTowers(Towers):
    """Two networks of this suite, each behind a linear layer into the common width. `locked`: the text tower learns
    nothing, and its dropout is off; the layer behind it learns (Zhai et al. 2022, LiT, arXiv:2111.07991, locks images).
    """

    def __init__(self, image: Network, text: Network, width: int, locked: bool = False) -> None:
        super().__init__()
        self.locked = locked
        text.requires_grad_(not locked)
        self.image, self.text, self.width = image, text, 2 * width
        self.project_image = nn.Linear(image.width, width, bias=False)
        self.project_text = nn.Linear(text.width, width, bias=False)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))
        self.bias = nn.Parameter(torch.zeros(()))

    def train(self, mode: bool = True) -> JoinedTowers:
        super().train(mode)
        self.text.train(mode and not self.locked)
        return self

    @property
    def scale(self) -> Tensor:
        return self.log_scale.exp().clamp(max=HOTTEST)

    def encode_images(self, images: Images) -> Encoded:
        return self.image.encode(images)

    def encode_texts(self, given: Any, max_length: int | None) -> Encoded:
        return self.text.encode(given, max_length)

    def see(self, batch: dict[str, Tensor]) -> Tensor:
        found: Tensor = self.project_image(self.image(batch, frozenset({"embedding"})).embedding)
        return found

    def read(self, batch: dict[str, Tensor]) -> Tensor:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.locked):
            read = self.text(batch, frozenset({"embedding"})).embedding
        found: Tensor = self.project_text(read)
        return found
