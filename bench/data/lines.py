"""Text without labels, as it lies on disk: one text a line, read where it is asked for and not before."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bench.sources import DataError, encoding_of, files_in, no_text

UTF8 = "utf-8-sig"  # with a byte-order mark, which is no part of the first line
BLOCK = 1 << 26  # bytes in which line ends are looked for at a time


class Lines(Sequence[str]):
    """The lines of a UTF-8 file, or of all *.txt files of a folder in the order of their names; empty ones are left
    out. It holds 16 bytes a line in memory, and none of the text."""

    def __init__(self, place: str | Path) -> None:
        """DataError: neither file nor folder, or there is no text in it."""
        path = Path(place).expanduser()
        self.files = [path] if path.is_file() else files_in(path, "**/*.txt")
        if not self.files:
            raise DataError(f"no text at {place}: give a file with a text in each line, or a folder of *.txt files")
        self.bytes = [mapped(file) for file in self.files]
        for file, data in zip(self.files, self.bytes, strict=True):
            encoding = encoding_of(data[:4].tobytes())
            if what := no_text(data[:1000].tobytes()) or (encoding.upper() if encoding not in ("", UTF8) else ""):
                raise DataError(f"{file} is {what}, and has to be UTF-8 text")
        bounds = [bounds_of(data) for data in self.bytes]
        self.starts, self.ends = (np.concatenate([part[side] for part in bounds]) for side in (0, 1))
        self.firsts = np.cumsum([0, *(len(part[0]) for part in bounds)])
        if not len(self.starts):
            raise DataError(f"{place} holds no text: every line is empty")

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return [self._line(n) for n in range(*at.indices(len(self)))]
        return self._line(range(len(self))[at])

    def _line(self, number: int) -> str:
        file = int(np.searchsorted(self.firsts, number, "right")) - 1
        data = self.bytes[file][self.starts[number] : self.ends[number]].tobytes()
        try:
            return data.decode()
        except UnicodeDecodeError:
            line = int((self.bytes[file][: self.starts[number]] == ord("\n")).sum()) + 1
            raise DataError(f"{self.files[file]}, line {line}: not UTF-8 text") from None

    @cached_property
    def digest(self) -> str:
        """Content key of the files."""
        digest = hashlib.sha256()
        for file in self.files:
            with file.open("rb") as handle:
                digest.update(hashlib.file_digest(handle, "sha256").digest())
        return digest.hexdigest()[:16]


class Chosen(Sequence[str]):
    """Some of many lines, by number, in this order: the text is read where it is asked for."""

    def __init__(self, lines: Sequence[str], rows: np.ndarray) -> None:
        self.lines, self.rows = lines, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return [self.lines[row] for row in self.rows[at].tolist()]
        return self.lines[int(self.rows[at])]


def mapped(file: Path) -> np.ndarray:
    """The bytes of a file, which the system reads as they are asked for."""
    return np.memmap(file, np.uint8, "r") if file.stat().st_size else np.zeros(0, np.uint8)


def bounds_of(data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(starts, ends) in bytes of the lines that are not empty, without their line ends."""
    found = places_of("\n", data)
    if not any(map(len, found)) and len(data):
        found = places_of("\r", data)  # a text from before Mac OS X
    ends = np.concatenate([*found, [len(data)]]).astype(np.int64)
    first = 3 if encoding_of(data[:4].tobytes()) == UTF8 else 0
    starts = np.concatenate([[first], ends[:-1] + 1]).astype(np.int64)
    ends -= data[np.maximum(ends - 1, 0)] == ord("\r") if len(data) else 0
    full = starts < ends
    return starts[full], ends[full]


def places_of(end: str, data: np.ndarray) -> list[np.ndarray]:
    return [start + np.flatnonzero(data[start : start + BLOCK] == ord(end)) for start in range(0, len(data), BLOCK)]
