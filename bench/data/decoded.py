"""Images that are decoded once: one array in the store, which all runs map into memory and none has to hold there.

    <cache>/images/<key>/{meta.json, pixels.npy}       uint8 (N, 3, H, W)

Pages that were read can be dropped by the system whenever it needs the room, so a data set may be larger than memory.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from bench.base.processes import main_first
from bench.data.images import CHUNK, Images, begun
from bench.store import folders

Shape = tuple[int, int, int, int]


@main_first
def decoded(key: str, shape: Shape, read: Callable[[int], np.ndarray]) -> Images:
    """The images under this content key. Where they are not there, `read(n)` gives image n, uint8 (3, H, W), in several
    threads. BenchError: the store is full; what `read` raises: nothing is left then."""
    folder = folders.root() / "images" / key
    with folders.locked(folders.lock_name("images", key)):
        try:
            return opened(folder, shape)
        except (OSError, ValueError, KeyError, TypeError):  # not there, or damaged
            write(folder, shape, read)
            return opened(folder, shape)


def opened(folder: Path, shape: Shape) -> Images:
    """Mapped, each page when it is read. ValueError: it is not what was written."""
    meta = json.loads((folder / "meta.json").read_text())
    pixels = np.load(folder / "pixels.npy", mmap_mode="c", allow_pickle=False)
    if pixels.dtype != np.uint8 or pixels.shape != shape:
        raise ValueError("of another shape")
    (folder / "meta.json").touch()  # last use, shown by `bench store ls`
    return Images(pixels, content=meta["content"])


def write(folder: Path, shape: Shape, read: Callable[[int], np.ndarray]) -> None:
    """Through a file and not a map, whose pages would stay in memory until they are on disk."""
    digest = begun(shape)
    with folders.appearing(folder) as new, (new / "pixels.npy").open("wb") as file:
        header: Any = {
            "descr": np.lib.format.dtype_to_descr(np.dtype(np.uint8)),
            "fortran_order": False,
            "shape": shape,
        }
        np.lib.format.write_array_header_1_0(file, header)
        for part in parts(shape[0], read):
            file.write(part)
            digest.update(part)
        file.close()
        (new / "meta.json").write_text(json.dumps({"content": digest.hexdigest(), "images": shape[0]}))


def parts(count: int, read: Callable[[int], np.ndarray]) -> Iterator[bytes]:
    """The bytes of all images in order, some at a time: decoders work outside Python's lock."""
    with ThreadPoolExecutor() as pool:
        for start in range(0, count, CHUNK):
            images = pool.map(read, range(start, min(start + CHUNK, count)))
            yield b"".join(np.ascontiguousarray(image).tobytes() for image in images)


def key_of(files: list[Path], **how: Any) -> str:
    """Content key of files without reading them: their names, sizes and times of change, and how they are decoded."""
    digest = hashlib.sha256(json.dumps(how, sort_keys=True).encode())
    for file in files:
        known = file.stat()
        digest.update(f"{file.parent.name}/{file.name} {known.st_size} {known.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:24]
