"""What a task gives for scoring, and what scoring gives. Imports no torch: records are read without it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bench.base.files import sha256
from bench.errors import RequestError


@dataclass(frozen=True, eq=False)
class Ragged:
    """N rows of any length, one after the other: flat (M,) or (M, k), of numbers or text; lengths (N,) of sum M.

    RequestError: lengths that are not those of the rows.
    """

    flat: np.ndarray
    lengths: np.ndarray

    def __post_init__(self) -> None:
        whole, size = self.lengths.ndim == 1 and self.lengths.dtype.kind in "iu", len(self.flat)
        inside = whole and self.lengths.min(initial=0) >= 0 and self.lengths.max(initial=0) <= size
        if not inside or self.lengths.sum() != size:  # of lengths that are not inside, the sum may wrap around
            raise RequestError(f"the lengths of rows are not whole numbers that add up to their {size} values")

    @classmethod
    def of(cls, rows: Sequence[Any], dtype: Any = None, columns: tuple[int, ...] = ()) -> Ragged:
        """From a sequence of rows; the type and the columns of rows that are all empty are told, else found."""
        filled = [np.asarray(row, dtype) for row in rows if len(row)]
        flat = np.concatenate(filled) if filled else np.empty((0, *columns), dtype)
        return cls(flat, np.array([len(row) for row in rows], np.int32))

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(np.split(self.flat, np.cumsum(self.lengths)[:-1])) if len(self) else iter(())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ragged) and all(map(np.array_equal, self.arrays, other.arrays))

    __hash__ = None  # type: ignore[assignment]  # arrays have none either

    def __getitem__(self, rows: np.ndarray) -> Ragged:
        """Chosen rows, by number or by a mask, as an array gives them."""
        lengths = self.lengths[rows]
        return Ragged(self.flat[np.repeat(self.starts[rows], lengths) + positions(lengths)], lengths)

    @cached_property
    def starts(self) -> np.ndarray:
        """Where each row begins in `flat`, (N,)."""
        return np.cumsum(self.lengths) - self.lengths

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        return self.flat, self.lengths

    def tolist(self) -> list[list[Any]]:
        return [row.tolist() for row in self]

    @property
    def owner(self) -> np.ndarray:
        """The row of each value, (M,)."""
        return np.repeat(np.arange(len(self)), self.lengths)


def positions(lengths: np.ndarray) -> np.ndarray:
    """The place of each value in its row, from 0 on, (M,)."""
    return np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)


Array = np.ndarray | Ragged
# {data set: {"prediction": N rows, "gold": N rows, each an Array, "units": (N, k) ids of what was sampled, optional}};
# stored ones hold the teacher's too, as "teacher", and those of references, as "reference.bm25"
Predictions = dict[str, dict[str, Any]]
TEACHER, REFERENCE = "teacher", "reference."
Scores = dict[str, dict[str, float]]  # {data set: {metric: value}}


def digest(found: Mapping[str, Mapping[str, Array]]) -> str:
    """Equal for the same arrays under the same names, on any machine."""
    parts = [
        f"{data}/{name}:{part.dtype.kind}{part.shape}".encode() + part.astype(part.dtype.newbyteorder("<")).tobytes()
        for data, arrays in sorted(found.items()) for name, array in sorted(arrays.items())
        for part in (array.arrays if isinstance(array, Ragged) else (array,))
    ]  # fmt: skip
    return sha256(b"".join(parts))


def same(one: Array, two: Array) -> bool:
    """Whether both hold the same rows."""
    if isinstance(one, Ragged) or isinstance(two, Ragged):
        return isinstance(one, Ragged) and one == two
    return np.array_equal(one, two)


def undefined(scores: Scores) -> dict[str, str]:
    """{"data set.metric": what it gave} of the metrics that gave no finite number."""
    found = {f"{data}.{name}": float(value) for data, own in scores.items() for name, value in own.items()}
    return {where: str(value) for where, value in found.items() if not np.isfinite(value)}


def headline(scores: Scores, metric: str) -> tuple[str, float]:
    """(data set, value) of the main metric: the only data set, or the unweighted mean over all."""
    values = [float(s[metric]) for s in scores.values()]
    return (next(iter(scores)) if len(values) == 1 else f"average of {len(values)}"), float(np.mean(values))
