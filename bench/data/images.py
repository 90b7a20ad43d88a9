"""Images as one array of bytes, their augmented forms by number, and what networks that read them share.

A crop of the image padded by 4 pixels, mirrored or not, is one of 9 x 9 x 2 = 162 views. Drawing a view number is
drawing that augmentation, so that an image in view v is the same pixels in every run, and what a teacher says of it can
be kept. View 0 is the image itself. Images with a `Recipe` (`bench.data.augment`) have other views by the same rule.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from bench.data.augment.recipe import Recipe
from bench.errors import BenchError, RequestError
from bench.inputs import Pool, flat
from bench.network import Network
from bench.task import Task

PAD = 4  # pixels of black around an image: He et al. 2016, section 4.2, as in Lee et al. 2015
PLACES = 2 * PAD + 1  # where a crop may start, in either direction
VIEWS = 2 * PLACES**2
CENTRE = PLACES**2 // 2  # the place (4, 4), which view 0 is to have

WORK = 16  # pixels that count as one token of work: batches of 128 images at 32 x 32, of 2 at 224 x 224
RESIDENT = 8 * 2**30  # bytes of images that are moved to the network's device as a whole
SAMPLE = 10_000  # images that mean and deviation are taken from
CHUNK = 16  # images that are read at a time where all are read: 2.4 MB at 224 x 224


class Images(Pool):
    """N images of one size in one array, uint8 (N, 3, H, W). A number gives an image, a slice or an array Images."""

    def __init__(self, pixels: np.ndarray, recipe: Recipe | None = None, content: str = "") -> None:
        """`recipe`: what their views show; None: crops. `content`: the content key of the bytes, where it is known.
        BenchError: the array is not of that shape and type."""
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1] != 3:
            raise BenchError(f"images are uint8 (N, 3, H, W), not {pixels.dtype} {pixels.shape}")
        self.pixels, self.recipe, self.known = np.ascontiguousarray(pixels), recipe, content

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: Any) -> Any:
        found = self.pixels[index]
        return Images(found, self.recipe) if found.ndim == 4 else found

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(self.pixels)

    @property
    def size(self) -> tuple[int, int]:
        """(H, W)"""
        return self.pixels.shape[2], self.pixels.shape[3]

    def take(self, rows: Sequence[int] | np.ndarray) -> Images:
        return Images(self.pixels[np.asarray(rows, np.int64)], self.recipe)

    def seen(self, recipe: Recipe | None) -> Images:
        """The same images with other views."""
        return Images(self.pixels, recipe, self.known)

    def sizes(self) -> np.ndarray:
        """All images are of one size."""
        return np.ones(len(self), np.int64)

    @cached_property
    def digest(self) -> str:  # type: ignore[override]
        """Content key: sha256 over the shape and every byte; where there is a recipe, of that and the recipe."""
        content = self.known or self._content()
        if not self.recipe:
            return content
        return hashlib.sha256(f"{content} {json.dumps(asdict(self.recipe))}".encode()).hexdigest()

    def _content(self) -> str:
        digest = begun(self.pixels.shape)
        digest.update(self.pixels.data)
        return digest.hexdigest()

    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each channel, float64 (3,), of pixels from 0 to 1.

        Exact, from the counts of the 256 values, in at most SAMPLE images spread over all of them.
        """
        rows, values = np.unique(np.linspace(0, len(self) - 1, SAMPLE).astype(int)), np.arange(256) / 255
        parts = (self.pixels[rows[at : at + CHUNK]] for at in range(0, len(rows), CHUNK))
        counts = np.zeros((3, 256), np.int64)
        for part in parts:
            counts += np.stack([np.bincount(part[:, c].ravel(), minlength=256) for c in range(3)])
        shares = counts / counts.sum(1, keepdims=True)
        mean = shares @ values
        return mean, np.sqrt(np.maximum(shares @ values**2 - mean**2, 0))


def begun(shape: tuple[int, ...]) -> Any:
    """The digest of images of this shape, before their bytes."""
    return hashlib.sha256(f"images {shape} ".encode())


def pictures(work: float) -> Iterator[tuple[Images, dict[str, Tensor]]]:
    """Black images that cost a network so much, squares first, and each as a batch. None: no such sides are whole."""
    side = round((work * WORK) ** 0.5)
    for height, width in ((side, side), (side // 2, 2 * side), (2 * side, side // 2)):
        if height and height * width == round(work * WORK):
            yield Images(np.zeros((1, 3, height, width), np.uint8)), {"pixels": torch.zeros(1, 3, height, width)}


@dataclass(frozen=True)
class Views:
    """What virtual rows stand for, each (B,): the image, where its crop starts in the padded image, and mirroring."""

    row: Tensor
    y: Tensor
    x: Tensor
    flip: Tensor


def decode(rows: Tensor, count: int) -> Views:
    """Virtual rows r + v * count, int64 (B,), of `count` images. RequestError: there is no such view."""
    view, row = rows // count, rows % count
    if len(rows) and (int(rows.min()) < 0 or int(view.max()) >= VIEWS):
        raise RequestError(f"images have {VIEWS} views: rows 0 to {VIEWS * count - 1} of {count} images")
    flip, place = view // PLACES**2, (view + CENTRE) % PLACES**2
    return Views(row, place // PLACES, place % PLACES, flip)


def gather(pixels: Tensor, rows: Tensor) -> Tensor:
    """Virtual rows (B,) of images uint8 (N, 3, H, W) -> uint8 (B, 3, H, W), on the pixels' device.

    The crop is taken first and mirrored then. What lies outside the image is black.
    """
    if not len(rows) or int(rows.max()) < len(pixels):
        return pixels[rows.to(pixels.device)]
    views = decode(rows, len(pixels))
    row, y, x, flip = (t.to(pixels.device) for t in (views.row, views.y, views.x, views.flip))
    padded = functional.pad(pixels[row], (PAD, PAD, PAD, PAD))
    height, width = (torch.arange(n, device=pixels.device) for n in pixels.shape[2:])
    down = y[:, None] + height  # (B, H)
    across = x[:, None] + torch.where(flip[:, None] == 1, width.flip(0), width)  # (B, W)
    images = torch.arange(len(row), device=pixels.device)[:, None, None]
    # Channels last while indexing: one index reads three bytes that lie together.
    return padded.permute(0, 2, 3, 1)[images, down[:, :, None], across[:, None, :]].permute(0, 3, 1, 2)


class ImageArrays:
    """Images made ready for a network: bytes in one tensor, normalised and augmented a batch at a time."""

    def __init__(self, images: Images, mean: Tensor, deviation: Tensor) -> None:
        """`mean` and `deviation` (3,) of pixels from 0 to 1, on the device that the pixels are to be on."""
        pixels = torch.from_numpy(images.pixels)
        self.images, self.recipe = images, images.recipe
        self.pixels = pixels.to(mean.device) if pixels.nbytes <= RESIDENT and not self.recipe else pixels
        self.scale = (1 / (255 * deviation)).reshape(1, 3, 1, 1)
        self.shift = (-mean / deviation).reshape(1, 3, 1, 1)
        height, width = images.size
        # All alike, so that no bucketing takes place; in proportion to the size, so that batches fit into memory.
        self.lengths = np.full(len(images), max(1, height * width // WORK))
        self.axes: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.lengths)

    def batch(self, rows: np.ndarray) -> dict[str, Tensor]:
        """`pixels`, float32 (B, 3, H, W) = (byte / 255 - mean) / deviation, of these virtual rows."""
        rows = np.asarray(flat(rows), np.int64)
        if self.recipe:
            return {"pixels": self._augmented(self.recipe, rows)}
        return {"pixels": self._normalised(gather(self.pixels, torch.from_numpy(rows)))}

    def _normalised(self, found: Tensor) -> Tensor:
        return torch.addcmul(self.shift, found.to(self.scale.device).contiguous().float(), self.scale)

    def _augmented(self, recipe: Recipe, rows: np.ndarray) -> Tensor:
        """Each view drawn by its own numbers: what changes bytes before they are normalised, what is erased after."""
        views, images = np.divmod(rows, len(self))
        drawn = [np.random.default_rng((view, row)) for view, row in zip(views, images, strict=True)]
        seen = [
            recipe.view(self.images[int(row)], rng) if view else self.images[int(row)]
            for view, row, rng in zip(views, images, drawn, strict=True)
        ]
        found = self._normalised(torch.from_numpy(np.stack(seen)))
        for image, view, rng in zip(found, views, drawn, strict=True):
            if view:
                recipe.erase(image, rng)
        return found


class ImageNetwork(Network):
    """A network that reads images, and keeps the mean and deviation that it was made for among its weights.

    What it exposes is what its body gives, and the logits of the head that the task's kind puts on it.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.goal = task.goal
        mean, deviation = training_images(task).statistics()
        self.register_buffer("mean", torch.from_numpy(mean).float())
        self.register_buffer("deviation", torch.from_numpy(np.maximum(deviation, 1 / 255)).float())

    def encode(self, inputs: Sequence[Any], max_length: int | None = None) -> ImageArrays:
        """`inputs` are Images; `max_length` is about texts."""
        if not isinstance(inputs, Images):
            inputs = Images(np.stack(inputs))
        return ImageArrays(inputs, self.mean, self.deviation)


def training_images(task: Task) -> Images:
    """What the task trains on. RequestError: no images."""
    inputs = task.examples("supervised").inputs
    if not isinstance(inputs, Images):
        raise RequestError(f"the task '{task.name}' is not about images: choose a student that reads text")
    return inputs
