"""Files of images that tests write: batches of CIFAR, JPEGs."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np


def write_batch(path: Path, pixels: np.ndarray, labels: list[int], name: str = "labels", **more) -> Path:
    """A batch in the Python form: bytes keys, protocol 2."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {b"data": pixels.reshape(len(pixels), -1), name.encode(): labels, **more}
    path.write_bytes(pickle.dumps(content, protocol=2))
    return path


def noise(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 3, 32, 32), dtype=np.uint8)


def jpeg(path: Path, width: int, height: int, left: int = 0) -> None:
    """Black, but for red from column `left` on."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.zeros((height, width, 3), np.uint8)
    array[:, left:, 0] = 255
    Image.fromarray(array).save(path, quality=95)
