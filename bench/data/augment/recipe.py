"""What an image's numbered views show: a crop, mirrored or not, RandAugment, and a part that is erased.

View 0 is the image itself. View v of image r is drawn by the numbers (v, r) alone, so that it is the same pixels in
every run, for teacher and student alike, and what a teacher says of it can be kept.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

VIEWS = 1024  # of each image: more than an image is seen in 300 epochs of three repeats
PAD = 4  # pixels of black around an image that is cropped at its size
RATIOS = (3 / 4, 4 / 3)  # width to height of a resized crop: Szegedy et al. 2015
AREAS, SHAPES, TRIES = (0.02, 1 / 3), (0.3, 1 / 0.3), 10  # of what is erased: Zhong et al. 2020, arXiv:1708.04896


@dataclass(frozen=True)
class Recipe:
    """Settings of DeiT's table 9 in brackets."""

    randaugment: float = 0.0  # magnitude from 0 (none) to 10 [9]
    erasing: float = 0.0  # probability that a part of the image is noise [0.25]
    resized: float = 0.0  # least share of the image's area that a crop shows, resized; 0: crops of its size [0.08]
    moves: bool = True  # crops and mirror images mean the same; of digits they do not
    fill: tuple[int, int, int] = (0, 0, 0)  # what a moved image leaves

    def view(self, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """uint8 (3, H, W) to the same."""
        from PIL import Image

        from bench.data.augment.operations import randaugment

        image = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
        if self.moves:
            image = resized(image, rng, self.resized) if self.resized else cropped(image, rng)
            if rng.random() < 0.5:
                image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if self.randaugment:
            image = randaugment(image, rng, self.randaugment, self.fill)
        return np.asarray(image).transpose(2, 0, 1)

    def erase(self, image: Tensor, rng: np.random.Generator) -> None:
        """Put N(0, 1) in the place of a part of a normalised image (3, H, W), with the recipe's probability."""
        if rng.random() < self.erasing and (box := erased(image.shape[1], image.shape[2], rng)):
            top, left, height, width = box
            noise = torch.from_numpy(rng.standard_normal((3, height, width), np.float32))
            image[:, top : top + height, left : left + width] = noise.to(image.device)


def cropped(image: Any, rng: np.random.Generator) -> Any:
    """A crop of its size out of the image with a border of black: He et al. 2016."""
    x, y = (int(n) - PAD for n in rng.integers(2 * PAD + 1, size=2))
    return image.crop((x, y, x + image.width, y + image.height))


def resized(image: Any, rng: np.random.Generator, least: float) -> Any:
    """A part of this share of the image's area or more, at the image's size, bicubic; all of it after ten tries."""
    from PIL import Image

    box = part(image.height, image.width, rng, (least, 1.0), RATIOS, inside=False)
    top, left, height, width = box or (0, 0, image.height, image.width)
    return image.resize(image.size, Image.Resampling.BICUBIC, (left, top, left + width, top + height))


def erased(height: int, width: int, rng: np.random.Generator) -> tuple[int, int, int, int] | None:
    """(top, left, height, width) of what is erased; None: no try fits."""
    return part(height, width, rng, AREAS, SHAPES, inside=True)


def part(
    height: int, width: int, rng: np.random.Generator, areas: tuple[float, float], ratios: tuple[float, float],
    inside: bool,
) -> tuple[int, int, int, int] | None:  # fmt: skip
    """A rectangle (top, left, height, width): a uniform share of the area, a log-uniform ratio of width to height, a
    uniform place. `inside`: it is smaller than the image in both directions."""
    for _ in range(TRIES):
        area = rng.uniform(*areas) * height * width
        ratio = math.exp(rng.uniform(math.log(ratios[0]), math.log(ratios[1])))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < h <= height - inside and 0 < w <= width - inside:
            return int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1)), h, w
    return None
