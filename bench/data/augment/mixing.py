"""Mixup, CutMix and label smoothing: what becomes of the images and the labels of a batch.

    smoothed   y_bc = (1 - s) [c is the class of b] + s / C
    Mixup      x~ = l x + (1 - l) x'      y~ = l y + (1 - l) y'      l ~ Beta(a, a), x' the batch in reverse order
    CutMix     x~ is x with a rectangle of x'; l the share of x that is left, a rectangle of 1 - l before it is cut off

Zhang et al. 2018 (arXiv:1710.09412), Yun et al. 2019 (arXiv:1905.04899), in the form that DeiT trains with (Mixup of
rwightman/pytorch-image-models, one mixture a batch): where both are on, CutMix is taken with probability 1/2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SWITCH = 0.5


@dataclass(frozen=True)
class Mixing:
    """Settings of DeiT's table 9 in brackets; `classes` C, `size` (H, W)."""

    classes: int
    size: tuple[int, int]
    mixup: float = 0.0  # a of Mixup; 0: none [0.8]
    cutmix: float = 0.0  # a of CutMix; 0: none [1.0]
    smoothing: float = 0.0  # s [0.1]

    @property
    def mixes(self) -> bool:
        """Whether images change, and not their labels alone."""
        return bool(self.mixup or self.cutmix)

    def draw(self, seed: Sequence[int]) -> Mixture:
        """The mixture of a batch."""
        rng = np.random.default_rng(seed)
        if not self.mixes:
            return Mixture(self, 1.0)
        cuts = bool(self.cutmix) and (not self.mixup or rng.random() < SWITCH)
        a = self.cutmix if cuts else self.mixup
        share = float(rng.beta(a, a))
        if not cuts:
            return Mixture(self, share)
        box = rectangle(self.size, share, rng)
        return Mixture(self, left(self.size, box), box)


Box = tuple[int, int, int, int]  # top, bottom, left, right


@dataclass(frozen=True)
class Mixture:
    """One batch's: `share` of an image itself, the rest is of the other one; `box`: a part that is the other one's."""

    of: Mixing
    share: float
    box: Box | None = None

    def inputs(self, read: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What a network reads, with `pixels` (B, 3, H, W) mixed."""
        x = read["pixels"]
        if self.box:
            top, bottom, first, last = self.box
            x = x.clone()
            x[:, :, top:bottom, first:last] = read["pixels"].flip(0)[:, :, top:bottom, first:last]
        elif self.share < 1:
            x = torch.lerp(x.flip(0), x, self.share)
        return {**read, "pixels": x}

    def targets(self, labels: Tensor) -> Tensor:
        """Class numbers (B,) -> shares of the classes (B, C)."""
        count, s = self.of.classes, self.of.smoothing
        smooth = F.one_hot(labels, count) * (1 - s) + s / count
        return torch.lerp(smooth.flip(0), smooth, self.share)


def rectangle(size: tuple[int, int], share: float, rng: np.random.Generator) -> Box:
    """1 - share of the area, with its middle anywhere in the image, cut off at the image's edge."""
    height, width = size
    h, w = (int(n * (1 - share) ** 0.5) for n in size)
    y, x = int(rng.integers(height)), int(rng.integers(width))
    top, bottom = (min(max(n, 0), height) for n in (y - h // 2, y + h // 2))
    first, last = (min(max(n, 0), width) for n in (x - w // 2, x + w // 2))
    return top, bottom, first, last


def left(size: tuple[int, int], box: Box) -> float:
    """The share of an image that is outside the rectangle."""
    top, bottom, first, last = box
    return 1 - (bottom - top) * (last - first) / (size[0] * size[1])
