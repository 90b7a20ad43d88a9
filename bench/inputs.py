"""What a task hands to networks: pools of raw inputs, groups of them with labels, and the batches of a stage."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from bench.errors import RequestError
from bench.scoring.scores import Ragged

IGNORED = -100  # a label that no loss reads: what lies behind the shorter rows of a batch


class Pool(Sequence[Any], ABC):
    """Raw inputs of one sort. Networks read what they know of it; the engine reads what is here."""

    digest: str  # content key

    @abstractmethod
    def take(self, rows: Sequence[int] | np.ndarray) -> Pool:
        """These inputs, in this order."""

    @abstractmethod
    def sizes(self) -> np.ndarray:
        """(N,) how large the inputs are, in whatever grows with the work of reading one."""

    def of_length(self, tokens: int) -> Pool | None:
        """One input of so many tokens or more, for a network to cut; None: these inputs have no length."""
        return None


class Texts(Pool):
    """Texts in columns: one of single texts, two of pairs. Of queries and documents in one pool, `limits` (N,): tokens
    that each is cut to, and `queries` (N,) bool: which they are, for models that read the two otherwise."""

    split = False  # whether a text is a list of words

    def __init__(
        self, *columns: Sequence[Any], limits: np.ndarray | None = None, queries: np.ndarray | None = None
    ) -> None:
        self.columns, self.limits, self.queries = columns, limits, queries

    def __len__(self) -> int:
        return len(self.columns[0])

    def __getitem__(self, row: Any) -> Any:
        """An input; of a slice, a pool."""
        found = tuple(column[row] for column in self.columns)
        if isinstance(row, slice):
            return self.of(found, row)
        return found if len(found) > 1 else found[0]

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and [*self] == [*other]

    def take(self, rows: Sequence[int] | np.ndarray) -> Texts:
        return self.of([[column[i] for i in rows] for column in self.columns], np.asarray(rows, np.int64))

    def of(self, columns: Iterable[Sequence[Any]], rows: Any = slice(None)) -> Texts:
        """Other texts in the place of these rows."""
        limits, queries = (None if each is None else each[rows] for each in (self.limits, self.queries))
        return type(self)(*columns, limits=limits, queries=queries)

    def apart(self) -> list[Texts]:
        """Each column by itself."""
        return [self.of([column]) for column in self.columns]

    def within(self, limit: int) -> list[tuple[int, np.ndarray, Texts]]:
        """(limit, rows, their texts) of the inputs that a reader, who has a limit too, cuts alike."""
        if self.limits is None or not len(self):
            return [(limit, np.arange(len(self)), self)]
        limits, bare = self.limits.clip(max=limit), type(self)(*self.columns)
        parts = [(int(each), np.flatnonzero(limits == each)) for each in np.unique(limits)]
        return [(each, rows, bare.take(rows)) for each, rows in parts]

    def __add__(self, other: Texts) -> Texts:
        """Both, one behind the other. ValueError: one of them alone has limits, or roles."""
        columns = ([*ours, *theirs] for ours, theirs in zip(self.columns, other.columns, strict=True))
        limits, queries = joined(self.limits, other.limits), joined(self.queries, other.queries)
        return type(self)(*columns, limits=limits, queries=queries)

    def sizes(self) -> np.ndarray:
        """Characters of all columns."""
        return np.array([sum(map(len, row)) for row in zip(*self.columns, strict=True)], np.int64)

    @cached_property
    def digest(self) -> str:  # type: ignore[override]
        said = [each.tolist() for each in (self.limits, self.queries) if each is not None]
        if len(said) == 2 and len(set(zip(*said, strict=True))) == len(set(said[0])):
            said.pop()  # the limits tell them apart
        found = self.content()
        return digest_texts([found, *map(repr, said)]) if said else found

    def content(self) -> str:
        """The digest of the texts alone."""
        if len(self.columns) == 1:
            return digest_texts(self.columns[0])
        return digest_texts(["pairs", *(text for row in zip(*self.columns, strict=True) for text in row)])

    def lines(self) -> list[str]:
        """Each input as one line."""
        return ["\t".join(row) for row in zip(*self.columns, strict=True)]

    def of_length(self, tokens: int) -> Texts:
        """All texts joined; of pairs, a pair of them."""
        joined = " ".join(self.lines()).replace("\t", " ")
        long = " ".join([joined] * (1 + 20 * tokens // max(1, len(joined))))
        return type(self)(*([long] for _ in self.columns))


class Words(Texts):
    """Sentences that are cut into words already: tuples of words."""

    split = True

    def lines(self) -> list[str]:
        return [" ".join(words) for words in self.columns[0]]

    def content(self) -> str:
        return digest_texts(["words", *("\t".join(words) for words in self.columns[0])])

    def of_length(self, tokens: int) -> Words:
        words = [word for sentence in self.columns[0] for word in sentence]
        return Words([tuple(words * (1 + tokens // max(1, len(words))))])


def joined(one: np.ndarray | None, other: np.ndarray | None) -> np.ndarray | None:
    """ValueError: there is one of them alone."""
    both = [each for each in (one, other) if each is not None]
    if len(both) == 1:
        raise ValueError("inputs with limits or roles and inputs without them are not one pool")
    return np.concatenate(both) if both else None


def pool(inputs: Sequence[Any]) -> Pool:
    """The inputs as a pool: what is one already, else texts, or pairs of texts."""
    if isinstance(inputs, Pool):
        return inputs
    pairs = bool(len(inputs)) and not isinstance(inputs[0], str)
    return Texts(*(list(c) for c in zip(*inputs, strict=True))) if pairs else Texts(inputs)


def texts(inputs: Sequence[Any]) -> Texts:
    """The inputs, which have to be texts. RequestError: they are something else."""
    found = pool(inputs)
    if not isinstance(found, Texts):
        raise RequestError(f"this network reads text, and these inputs are {type(found).__name__.lower()}")
    return found


class Mixture(Protocol):
    """How the inputs of one batch are mixed with each other, and what becomes of their labels."""

    def inputs(self, read: Mapping[str, Tensor]) -> dict[str, Tensor]: ...

    def targets(self, labels: Tensor) -> Tensor: ...


class Mixing(Protocol):
    """Draws a mixture for each batch. `mixes`: whether inputs change, and not labels alone: no teacher's signals of
    them can be stored then."""

    @property
    def mixes(self) -> bool: ...

    def draw(self, seed: Sequence[int]) -> Mixture: ...


@dataclass(frozen=True)
class Examples:
    """A training set: a pool of raw inputs, and groups of them by index.

    Inputs are a `Pool`, or a list of texts or of pairs of texts. `groups` is (N, K): K=1 for single inputs, 2 for
    (anchor, positive), 3 for (anchor, positive, negative). `labels` are None or one row an example: (N,) class numbers,
    int64, or values, float32; (N, K) grades; `Ragged` rows of any length.
    Teacher and student encode the pool on their own; batches are keyed by pool row. With `views` > 1 every input has
    so many augmented forms, and row r in view v is row r + v * len(inputs). `mixing` changes the inputs and labels of a
    batch; an epoch shows an example `repeats` times, and so many fewer of them (Hoffer et al. 2020).
    """

    inputs: Sequence[Any]
    groups: np.ndarray
    labels: Any = None
    views: int = 1
    mixing: Mixing | None = None
    repeats: int = 1

    def __len__(self) -> int:
        return len(self.groups)

    @property
    def mixed(self) -> bool:
        """Whether inputs of a batch are mixed with each other."""
        return self.mixing is not None and self.mixing.mixes

    @cached_property
    def digest(self) -> str:
        """Content key of the pool: the teacher store files signals under it."""
        return pool(self.inputs).digest

    def targets(self, rows: np.ndarray) -> Tensor | None:
        """The labels of these examples; rows of unlike lengths are padded with IGNORED."""
        if self.labels is None:
            return None
        chosen = self.labels[rows]
        return torch.from_numpy(padded(chosen, IGNORED) if isinstance(chosen, Ragged) else chosen)


def single(inputs: Sequence[Any], labels: np.ndarray | Ragged | None = None, views: int = 1) -> Examples:
    """A training set of inputs that stand alone."""
    return Examples(inputs, np.arange(len(inputs))[:, None], labels, views)


def flat(rows: np.ndarray) -> np.ndarray:
    """Rows of a pool column by column: groups (B, K) -> (K*B,); rows (B,) as they are."""
    return np.asarray(rows).T.reshape(-1)


def padded(rows: Ragged, fill: Any) -> np.ndarray:
    """(B, L): all rows, `fill` behind the shorter ones."""
    places = np.arange(rows.lengths.max(initial=0)) < rows.lengths[:, None]
    found = np.full((*places.shape, *rows.flat.shape[1:]), fill, rows.flat.dtype)
    found[places] = rows.flat
    return found


def digest_inputs(inputs: Sequence[Any]) -> str:
    """Content key of raw inputs."""
    return pool(inputs).digest


def digest_texts(texts: Iterable[str]) -> str:
    """sha256 over texts and their boundaries."""
    digest = hashlib.sha256()
    for text in texts:
        data = text.encode()
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


@dataclass
class Batch:
    """One training batch. Signals come flattened column by column: B anchors, then B positives, then B negatives."""

    rows: Tensor  # (B,) example numbers
    columns: int
    labels: Any = None  # (B, ...) tensor; None: there are none
    inputs: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)  # by role, what each network reads
    progress: float = 0.0  # share of the stage that is done before this update
    examples: int = 0  # in the training set

    def split(self, x: Tensor) -> tuple[Tensor, ...]:
        """(K*B, ...) -> K tensors (B, ...)."""
        return x.chunk(self.columns)
