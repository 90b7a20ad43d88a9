"""RandAugment: a few operations on an image, drawn from fifteen, all of one magnitude.

Cubuk et al., "RandAugment", arXiv:1909.13719, in the form that DeiT trains with: `rand-m9-mstd0.5-inc1` of
rwightman/pytorch-image-models. Two operations are drawn with replacement, each is carried out with probability 1/2, and
its level is N(magnitude, 0.5) between 0 and 10. Operations grow stronger with the level ("increasing"), geometric ones
and enhancements in a random direction. What a moved image leaves is filled with the mean colour of the data set.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

COUNT, CHANCE, DEVIATION, MOST = 2, 0.5, 0.5, 10.0
ANGLE, SHEAR, SHIFT, ENHANCE, ADD, HALF = 30.0, 0.3, 0.45, 0.9, 110, 128  # at the highest level

Colour = tuple[int, int, int]
Operation = Callable[[Any, float, float, Colour], Any]  # (image, level from 0 to 1, 1 or -1, fill) -> image


def randaugment(image: Any, rng: np.random.Generator, magnitude: float, fill: Colour) -> Any:
    """A PIL image changed by operations that `rng` draws."""
    names = list(OPERATIONS)
    for number in rng.integers(len(names), size=COUNT):
        carried_out, sign = rng.random() < CHANCE, 1.0 if rng.random() < 0.5 else -1.0
        level = float(np.clip(rng.normal(magnitude, DEVIATION), 0, MOST)) / MOST
        if carried_out:
            image = OPERATIONS[names[number]](image, level, sign, fill)
    return image


def moved(image: Any, matrix: tuple[float, ...], fill: Colour) -> Any:
    """(x, y) of the result is (a x + b y + c, d x + e y + f) of the image, between pixels bicubic."""
    return image.transform(image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC, fillcolor=fill)


def enhanced(kind: Any) -> Operation:
    """Away from, or towards, the image without the property: black, grey, blurred."""
    return lambda image, level, sign, fill: kind(image).enhance(1 + sign * level * ENHANCE)


def solarized_below(image: Any, level: float, sign: float, fill: Colour) -> Any:
    """What is darker than the middle gets lighter."""
    add = int(level * ADD)
    return image.point([min(255, v + add) if v < HALF else v for v in range(256)] * 3)


OPERATIONS: dict[str, Operation] = {
    "autocontrast": lambda image, level, sign, fill: ImageOps.autocontrast(image),
    "equalize": lambda image, level, sign, fill: ImageOps.equalize(image),
    "invert": lambda image, level, sign, fill: ImageOps.invert(image),
    "rotate": lambda image, level, sign, fill: image.rotate(
        sign * level * ANGLE, Image.Resampling.BICUBIC, fillcolor=fill
    ),
    "posterize": lambda image, level, sign, fill: posterized(image, 4 - int(level * 4)),
    "solarize": lambda image, level, sign, fill: ImageOps.solarize(image, 256 - int(level * 256)),
    "solarize_add": solarized_below,
    "color": enhanced(ImageEnhance.Color),
    "contrast": enhanced(ImageEnhance.Contrast),
    "brightness": enhanced(ImageEnhance.Brightness),
    "sharpness": enhanced(ImageEnhance.Sharpness),
    "shear_x": lambda image, level, sign, fill: moved(image, (1, sign * level * SHEAR, 0, 0, 1, 0), fill),
    "shear_y": lambda image, level, sign, fill: moved(image, (1, 0, 0, sign * level * SHEAR, 1, 0), fill),
    "translate_x": lambda image, level, sign, fill: moved(
        image, (1, 0, sign * level * SHIFT * image.width, 0, 1, 0), fill
    ),
    "translate_y": lambda image, level, sign, fill: moved(
        image, (1, 0, 0, 0, 1, sign * level * SHIFT * image.height), fill
    ),
}


def posterized(image: Any, bits: int) -> Any:
    """The highest bits of each value; at the highest level none is left."""
    return ImageOps.posterize(image, bits) if bits else Image.new("RGB", image.size)
