"""Teacher signals kept row by row: an array as large as the pool, on disk only where a row was computed.

For what would be too much to compute whole: the 162 views of every image, the tokens of every text, pools of which a
run reads a small part. A run says which rows it will read; those that no run read before are computed, and no others.

    <cache>/signals/<key>/{meta.json, sums.npy, 0.npy, 1.npy ...}    one signal; a file for each of its layers

A row is there once its checksum is, which is written after its values: one that an interrupted write left behind, or
that a disk has lost, is computed again.
"""

from __future__ import annotations

import json
import math
import os
import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bench.base.files import replace
from bench.base.processes import main_first
from bench.errors import BenchError
from bench.store import folders

Layers = Sequence[np.ndarray]  # of one signal: for each layer (B, ...)
Compute = Callable[[np.ndarray], Iterable[tuple[np.ndarray, dict[str, Layers]]]]  # rows -> (rows of a batch, signals)


@dataclass(frozen=True)
class Layout:
    """How a row of one signal looks: a shape for each layer, whose dimensions `tokens` are as long as the row."""

    shapes: tuple[tuple[int, ...], ...]
    tokens: tuple[int, ...] = ()

    def shape(self, layer: int, length: int) -> tuple[int, ...]:
        return tuple(length if d in self.tokens else n for d, n in enumerate(self.shapes[layer]))

    def sizes(self, layer: int, lengths: np.ndarray) -> np.ndarray:
        """(N,) numbers that rows of these lengths take."""
        fixed = math.prod(n for d, n in enumerate(self.shapes[layer]) if d not in self.tokens)
        return fixed * lengths.astype(np.int64) ** len(self.tokens)

    def bytes(self, lengths: np.ndarray, dtype: str) -> int:
        """What rows of these lengths take on disk."""
        numbers = sum(int(self.sizes(layer, lengths).sum()) for layer in range(len(self.shapes)))
        return numbers * np.dtype(dtype).itemsize


class Rows:
    """One signal of one teacher over one pool. `lengths` (N,): the tokens of each row."""

    def __init__(self, key: str, meta: dict[str, Any], layout: Layout, lengths: np.ndarray, dtype: str) -> None:
        self.key, self.layout, self.lengths, self.dtype = key, layout, lengths, dtype
        self.folder: Path = folders.root() / "signals" / key
        self.meta = meta | {"dtype": dtype, "of": len(lengths), "rows": 0, "seconds": 0.0}

    @cached_property
    def _starts(self) -> list[np.ndarray]:
        """For each layer (N + 1,): where a row's numbers begin, and the last one's end."""
        layers = range(len(self.layout.shapes))
        return [np.concatenate([[0], np.cumsum(self.layout.sizes(layer, self.lengths))]) for layer in layers]

    def starts(self, layer: int, rows: Any) -> Any:
        """Where these rows' numbers begin; where all rows are alike no table of them is made."""
        if self.layout.tokens:
            return self._starts[layer][rows]
        return rows * math.prod(self.layout.shapes[layer])

    @cached_property
    def files(self) -> dict[str, np.ndarray]:
        """`sums` and the layers, memory-mapped; made anew where they are not there, or damaged. Under the lock."""
        try:
            known = json.loads((self.folder / "meta.json").read_text())
            known["seconds"] += 0.0 * known["rows"]  # both numbers, or it is no such file
            self.meta = known
            return self._mapped()
        except (OSError, ValueError, KeyError, TypeError, EOFError):
            self.meta |= {"rows": 0, "seconds": 0.0}
            self._create()
            return self._mapped()

    def _wanted(self) -> dict[str, tuple[Any, int]]:
        """{file: (type, numbers)}"""
        count, layers = len(self.lengths), range(len(self.layout.shapes))
        return {
            "sums": ("uint32", count),  # of each row; 0: it is not there
            **{str(layer): (self.dtype, int(self.starts(layer, count))) for layer in layers},
        }

    def _mapped(self) -> dict[str, np.ndarray]:
        wanted, found = self._wanted(), {}
        for name, (dtype, count) in wanted.items():
            found[name] = np.load(self.folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            if found[name].dtype != np.dtype(dtype) or found[name].shape != (count,):
                raise ValueError("of another shape")
        return found

    def _create(self) -> None:
        """Empty files: they take no room on disk before something is written into them."""
        with folders.appearing(self.folder) as new:
            for name, (dtype, count) in self._wanted().items():
                np.lib.format.open_memmap(new / f"{name}.npy", "w+", np.dtype(dtype), (count,))
            self._note(new)

    def _note(self, folder: Path) -> None:
        replace(folder / "meta.json", json.dumps(self.meta, indent=1).encode(), alone=True)

    def missing(self, rows: np.ndarray) -> np.ndarray:
        """Those of `rows` that are not computed yet, or are not what was written."""
        sums = self.files["sums"][rows].tolist()
        return rows[
            [known != self._sum(row) if known else True for row, known in zip(rows.tolist(), sums, strict=True)]
        ]

    def _sum(self, row: int) -> int:
        """The checksum of what is stored of a row."""
        layers = range(len(self.layout.shapes))
        return summed(self.files[str(n)][self.starts(n, row) : self.starts(n, row + 1)] for n in layers)

    def write(self, rows: np.ndarray, layers: Layers) -> None:
        """Values of these rows, padded to the longest of them. Under the lock. BenchError: a number too large."""
        written = list[Sequence[bytes]]()
        for layer, values in enumerate(layers):
            kept = narrowed(values, self.dtype)
            shapes = [self.layout.shape(layer, int(self.lengths[row])) for row in rows]
            parts = [v[tuple(slice(n) for n in shape)].tobytes() for v, shape in zip(kept, shapes, strict=True)]
            self._put(str(layer), self.starts(layer, rows), parts)
            written.append(parts)
        sums = np.array([summed(parts) for parts in zip(*written, strict=True)], np.uint32)
        self._put("sums", rows, [found.tobytes() for found in sums])

    def _put(self, name: str, starts: np.ndarray, parts: Sequence[bytes]) -> None:
        """Through the file and not the map, where a full disk would end the process without a word."""
        array = self.files[name]
        with (self.folder / f"{name}.npy").open("r+b") as file:
            for start, part in zip(starts, parts, strict=True):
                file.seek(array.offset + int(start) * array.itemsize)  # type: ignore[attr-defined]
                file.write(part)

    def used(self, rows: int, seconds: float) -> None:
        """Note that so many rows were computed, and that the signal is in use. Under the lock."""
        if rows:
            self.meta["rows"] += rows
            self.meta["seconds"] += seconds
            self._note(self.folder)
        os.utime(self.folder / "meta.json")

    def read(self, rows: np.ndarray) -> list[np.ndarray]:
        """For each layer float32 (B, ...), padded with 0 to the longest of these rows."""
        length = int(self.lengths[rows].max(initial=0))
        return [self._layer(layer, rows, length) for layer in range(len(self.layout.shapes))]

    def _layer(self, layer: int, rows: np.ndarray, length: int) -> np.ndarray:
        array = self.files[str(layer)]
        if not self.layout.tokens:
            found: np.ndarray = array.reshape(-1, *self.layout.shapes[layer])[rows].astype(np.float32)
            return found
        found = np.zeros((len(rows), *self.layout.shape(layer, length)), np.float32)
        for place, row, start in zip(found, rows, self.starts(layer, rows), strict=True):
            shape = self.layout.shape(layer, int(self.lengths[row]))
            place[tuple(slice(n) for n in shape)] = array[start : start + math.prod(shape)].reshape(shape)
        return found


def summed(parts: Iterable[Any]) -> int:
    """CRC-32 of a row's layers, one behind the other; never 0."""
    found = 0
    for part in parts:
        found = zlib.crc32(part, found)
    return found or 1


def narrowed(values: np.ndarray, dtype: str) -> np.ndarray:
    """The values in a smaller type. BenchError: one is too large for it."""
    with np.errstate(over="ignore"):
        found = values.astype(dtype)
    if found.dtype != values.dtype and not np.isfinite(found).all():
        raise BenchError(f"a signal of the teacher is too large for {dtype}: leave --set signals={dtype} out")
    return found


@main_first
def fill(stores: dict[str, Rows], rows: np.ndarray, compute: Compute) -> tuple[int, float]:
    """Compute and keep those of `rows` that any signal lacks; (how many, seconds). Others that need them wait."""
    with ExitStack() as held, folders.told(folders.root() / "signals"):
        for key in sorted(s.key for s in stores.values()):  # in one order, so that two runs never wait for each other
            held.enter_context(folders.locked(key))
        lacking = np.unique(np.concatenate([s.missing(rows) for s in stores.values()]))
        started = time.perf_counter()
        for batch, found in compute(lacking) if len(lacking) else ():
            for name, layers in found.items():
                stores[name].write(batch, layers)
        seconds = time.perf_counter() - started if len(lacking) else 0.0
        for s in stores.values():
            s.used(len(lacking), seconds)
    return len(lacking), seconds
