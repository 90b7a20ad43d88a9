"""Arrays as an .npz, and back from one that may be hostile: no pickles, no file larger than it says, none unpacked."""

from __future__ import annotations

import io
import lzma
import math
import sys
import zipfile
import zlib
from collections.abc import Mapping
from functools import lru_cache

import numpy as np

LARGEST = 2_000_000_000  # bytes of all arrays, uncompressed
SMALL, DENSEST = 32_000_000, 200  # bytes that may be of anything; else so many times those of the file
BROKEN = zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, NotImplementedError, RuntimeError
KINDS = "biufU"  # booleans, numbers, and text of one width


class ArchiveError(ValueError):
    """The file is no archive of plain arrays; the reason, in one sentence."""


def pack(arrays: Mapping[str, np.ndarray]) -> bytes:
    """A compressed .npz with fixed time stamps: the same arrays give the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in sorted(arrays.items()):
            part = io.BytesIO()
            np.save(part, array, allow_pickle=False)
            archive.writestr(
                zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), part.getvalue(), zipfile.ZIP_DEFLATED
            )
    return buffer.getvalue()


def load_arrays(data: bytes, most: int = LARGEST) -> dict[str, np.ndarray]:
    """{name: array of numbers or text}, of at most so many bytes, which is known before any is unpacked.

    ArchiveError: too large, truncated, objects, false sizes, other files.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            size = sum(e.file_size for e in entries)
            if size > min(most, LARGEST) or size > max(SMALL, DENSEST * len(data)):
                raise ArchiveError(f"its arrays are too large to be read ({size:,} bytes)")
            if len({e.filename for e in entries}) < len(entries) or not entries:
                raise ArchiveError("no arrays, or two of one name")
            return {_name(e.filename): _array(archive.read(e)) for e in entries}
    except BROKEN as error:
        raise ArchiveError(f"not a readable .npz ({str(error)[:100]})") from None


def _name(filename: str) -> str:
    if not filename.endswith(".npy"):
        raise ArchiveError(f"holds {filename[:100]!r}, which is no array")
    return filename.removesuffix(".npy")


def _array(data: bytes) -> np.ndarray:
    try:
        start = _start(data)
        shape, fortran, dtype = _header(data[:start])
        if dtype.kind not in KINDS:
            raise ArchiveError(f"an array of {dtype}, which holds neither numbers nor text")
        held = len(data) - start
        size = dtype.itemsize * math.prod(shape)
        if size != held or not shape:
            raise ArchiveError(f"an array that announces {size} bytes and holds {held}")
        if dtype.kind == "U" and np.frombuffer(data, f"{dtype.str[0]}u4", offset=start).max(initial=0) > sys.maxunicode:
            raise ArchiveError("text with characters that do not exist")
        flat = np.frombuffer(data, dtype, offset=start)
        return flat.reshape(shape, order="F" if fortran else "C").copy()
    except ArchiveError:
        raise
    except Exception as error:  # a header is parsed as Python literals, which fail in many ways
        raise ArchiveError(f"a broken array ({type(error).__name__})") from None


def _start(data: bytes) -> int:
    """Where the numbers begin: behind the magic, the version, the header's length and the header."""
    wide = data[6:7] != b"\x01"  # of the length, which is that of format 2 and later
    return 12 + int.from_bytes(data[8:12], "little") if wide else 10 + int.from_bytes(data[8:10], "little")


@lru_cache(maxsize=64)
def _header(head: bytes) -> tuple[tuple[int, ...], bool, np.dtype]:
    """(shape, Fortran's order, type). Parsed once for all runs of a board, whose arrays are alike."""
    stream = io.BytesIO(head)
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(stream)
