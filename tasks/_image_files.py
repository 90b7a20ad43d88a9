"""Files that hold images: batches of CIFAR, parquet tables, folders of JPEG. None of them can run code."""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.data.decoded import decoded, key_of
from bench.data.images import Images
from bench.errors import RequestError
from bench.sources import DataError, find_columns, read_bytes


@dataclass(frozen=True)
class Pool:
    """Labelled images that may not be decoded yet, N of them."""

    keys: np.ndarray  # (N,) uint64, evenly spread: what the hashed cuts and orders are made by
    labels: np.ndarray  # (N,) int64
    pixels: Callable[[np.ndarray], np.ndarray]  # rows (B,) -> uint8 (B, 3, H, W)

    def select(self, rows: np.ndarray) -> tuple[Images, np.ndarray]:
        return Images(self.pixels(rows)), self.labels[rows]


def share(keys: np.ndarray) -> np.ndarray:
    """Keys as numbers from 0 to 1."""
    return keys.astype(np.float64) / 2.0**64


def key(data: bytes) -> int:
    """The first 64 bits of sha256."""
    return int.from_bytes(hashlib.sha256(data).digest()[:8], "big")


def decoded_pool(pixels: np.ndarray, labels: Sequence[int] | np.ndarray, classes: int, place: object) -> Pool:
    """Keyed by content, so that the same image is on the same side of a cut wherever it was read from."""
    if not all(isinstance(label, (int, np.integer)) for label in labels):
        raise DataError(f"{place}: a label is no whole number")
    if len(labels) != len(pixels) or not len(labels):
        raise DataError(f"{place}: {len(labels)} labels for {len(pixels)} images")
    if min(labels) < 0 or max(labels) >= classes:
        raise DataError(f"{place}: a label is not one of 0 to {classes - 1}")
    found = np.asarray(labels, np.int64)
    keys = np.array([key(image.tobytes()) for image in pixels], np.uint64)
    return Pool(keys, found, lambda rows: pixels[rows])


def joined(pools: Sequence[Pool]) -> Pool:
    pixels = np.concatenate([p.pixels(np.arange(len(p.labels))) for p in pools])
    keys, labels = (np.concatenate([getattr(p, name) for p in pools]) for name in ("keys", "labels"))
    return Pool(keys, labels, lambda rows: pixels[rows])


class Unpickler(pickle.Unpickler):
    """Reads arrays, and nothing that could run code."""

    def find_class(self, module: str, name: str) -> Any:
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "_reconstruct":
            return np.empty(0).__reduce__()[0]
        if module == "numpy" and name in ("ndarray", "dtype"):
            return getattr(np, name)
        if module in ("numpy.core.numeric", "numpy._core.numeric") and name == "_frombuffer":  # of protocol 5
            return from_buffer
        if module in ("numpy.core.multiarray", "numpy._core.multiarray") and name == "scalar":
            return scalar
        if (module, name) == ("_codecs", "encode"):  # how Python 3 writes bytes in the old protocol
            return latin1
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def latin1(text: str, encoding: str) -> bytes:
    """What `_codecs.encode` is called for in such a file, and that alone."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it asks for the encoding {encoding}")
    return text.encode("latin1")


def from_buffer(buffer: bytes, dtype: np.dtype, shape: tuple[int, ...], order: str, *axes: Any) -> np.ndarray:
    """An array of plain numbers from its bytes; of objects numpy makes none."""
    if order not in ("C", "F") or axes not in ((), (None,)):
        raise pickle.UnpicklingError(f"it asks for an array in the order {order!r}")
    return np.frombuffer(buffer, dtype).reshape(shape, order=order)  # type: ignore[call-overload]


def scalar(dtype: np.dtype, data: bytes) -> Any:
    """A number of numpy's."""
    return np.frombuffer(data, dtype, count=1)[0]


def read_batch(path: Path, label: str, classes: int) -> Pool:
    """A file of CIFAR's Python form: rows of 3072 bytes, red, green and blue planes of 32 x 32."""
    try:
        loaded = Unpickler(io.BytesIO(read_bytes(path)), encoding="bytes").load()
        found = {k.decode() if isinstance(k, bytes) else k: v for k, v in loaded.items()}
        data, labels = found["data"], list(found[label])
        if type(data) is not np.ndarray or data.dtype != np.uint8 or data.shape[1:] != (3072,):
            raise ValueError("its data is not uint8 (N, 3072)")
    except DataError:
        raise
    except Exception as error:  # a broken or hostile pickle fails in every way there is
        raise DataError(f"{path} is refused as a batch of CIFAR: {type(error).__name__}: {error}") from None
    return decoded_pool(data.reshape(-1, 3, 32, 32), labels, classes, path)


def read_table(table: Any, image: str, label: str, classes: int, place: object) -> Pool:
    """An arrow table with encoded images, as on the Hub."""
    find_columns((image, label), table.column_names, str(place))
    data = [encoded(cell, f"{place}, row {n}") for n, cell in enumerate(table.column(image).to_pylist(), 1)]
    if not data:
        raise DataError(f"{place} holds no images")
    pixels = np.stack([decode(d, (32, 32), f"{place}, row {n}") for n, d in enumerate(data, 1)])
    return decoded_pool(pixels, table.column(label).to_pylist(), classes, place)


def encoded(cell: Any, place: str) -> bytes:
    """The bytes of an image as the Hub keeps it, in a struct, or bare. DataError: null, a text, or a path alone."""
    found = cell.get("bytes") if isinstance(cell, dict) else cell
    if not isinstance(found, bytes):
        raise DataError(f"{place}: {'nothing' if found is None else type(found).__name__} in place of an image's bytes")
    return found


def decode(source: bytes | Path, size: tuple[int, int], place: object, fit: bool = False) -> np.ndarray:
    """An encoded image as uint8 (3, H, W); `fit`: shorter side to 256 / 224 of the size, bicubic, and the centre."""
    image_module = pillow()
    try:
        with image_module.open(io.BytesIO(source) if isinstance(source, bytes) else source) as opened:
            image = opened.convert("RGB")
    except Exception as error:  # Pillow's readers raise many unrelated types
        raise DataError(f"{place} cannot be read as an image: {type(error).__name__}: {error}") from None
    height, width = size
    if fit:
        scale = round(height * 256 / 224) / min(image.size)
        image = image.resize([max(height, round(side * scale)) for side in image.size], image_module.Resampling.BICUBIC)
        left, top = (image.width - width) // 2, (image.height - height) // 2
        image = image.crop((left, top, left + width, top + height))
    if image.size != (width, height):
        raise DataError(f"{place}: {image.width} x {image.height} pixels, expected {width} x {height}")
    return np.asarray(image).transpose(2, 0, 1)


def pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise RequestError("reading encoded images needs Pillow: pip install 'bench-kd[vision]'") from None
    return Image


def read_parquet(path: Path) -> Any:
    from pyarrow import parquet

    try:
        return parquet.read_table(path)
    except Exception as error:
        raise DataError(f"cannot read {path}: {type(error).__name__}: {str(error)[:200]}") from None


@dataclass(frozen=True)
class FilePool:
    """Labelled files. Keyed by name, since a content key would decode images that are not used."""

    keys: np.ndarray
    labels: np.ndarray
    files: Sequence[Path]
    size: int  # of the decoded images, in both directions
    fit: bool = False

    def select(self, rows: np.ndarray) -> tuple[Images, np.ndarray]:
        """These images, decoded once for all runs and mapped into memory."""
        chosen, side = [self.files[row] for row in rows], self.size
        key = key_of(chosen, size=side, fit=self.fit, pillow=pillow().__version__)
        read = lambda n: decode(chosen[n], (side, side), chosen[n], self.fit)  # noqa: E731
        return decoded(key, (len(rows), 3, side, side), read), self.labels[rows]

    def pixels(self, rows: np.ndarray) -> np.ndarray:
        return self.select(rows)[0].pixels


def files_pool(files: Sequence[Path], labels: Sequence[int], size: int, fit: bool = False) -> FilePool:
    keys = np.array([key(path.name.encode()) for path in files], np.uint64)
    return FilePool(keys, np.asarray(labels, np.int64), files, size, fit)
