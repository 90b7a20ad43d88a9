"""What readers of graphs share: what they give, and files of arrays that are read without a pickle."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.data.graphs import Graph, Relation
from bench.sources import DataError, NoData

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

SPLITS = ("train", "dev", "test")


@dataclass(frozen=True)
class Read:
    """A graph, the classes of target nodes, labels, and which nodes are in which split.

    labels: (target nodes,) class numbers, int64, IGNORED where a node has none; of several (target nodes, C), float32.
    DataError: splits share a node, hold one that is not there or has no label, or a label is no class.
    """

    graph: Graph
    classes: tuple[str, ...]
    labels: np.ndarray
    splits: Mapping[str, np.ndarray]

    def __post_init__(self) -> None:
        count, seen = self.graph.count(self.graph.target), np.zeros(len(self.labels), np.int64)
        if len(self.labels) != count:
            raise DataError(f"{len(self.labels)} labels of {self.graph.target}, and there are {count} of them")
        for name, rows in self.splits.items():
            if len(outside := rows[(rows < 0) | (rows >= count)]):
                raise DataError(f"{name} holds {self.graph.target} {outside[0]}, and there are {count}, from 0 on")
            np.add.at(seen, rows, 1)
        if len(twice := np.flatnonzero(seen > 1)):
            raise DataError(f"{self.graph.target} {twice[0]} is in two splits, or twice in one")
        used = self.labels[seen > 0]
        if self.labels.ndim == 1 and len(wrong := used[(used < 0) | (used >= len(self.classes))]):
            raise DataError(f"{wrong[0]} is no label; there are 0 to {len(self.classes) - 1}")


def both_ways(edges: Mapping[tuple[str, str], tuple[np.ndarray, np.ndarray]]) -> dict[str, Relation]:
    """For each pair of types the edges from the first to the second, each once, and back."""
    found = {}
    for (one, two), pairs in edges.items():
        firsts, seconds = np.unique(np.stack(pairs), axis=1) if len(pairs[0]) else pairs
        found[f"{one} to {two}"] = Relation(one, two, firsts, seconds)
        found[f"{two} to {one}"] = Relation(two, one, seconds, firsts)
    return found


def bags(rows: Sequence[Iterable[str]], least: int = 1) -> csr_matrix:
    """(N, D), 1 where a row holds a word; words that fewer than `least` rows hold are left out."""
    from sklearn.feature_extraction.text import CountVectorizer

    vectoriser = CountVectorizer(analyzer=lambda row: row, binary=True, min_df=least, dtype=np.float32)
    return vectoriser.fit_transform(rows).tocsr()


def numbered(count: int) -> csr_matrix:
    """(N, N): every node is known by its number alone, as a row of a table."""
    from scipy.sparse import identity

    return identity(count, np.float32, "csr")


def array(path: Path, kinds: str = "iufb") -> np.ndarray:
    """A .npy file of numbers. DataError: not there, or something else, such as a pickle."""
    try:
        found = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise NoData(f"no {path.name} in {path.parent}") from None
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{path} is no array of numbers; objects, which are pickles, are not read ({error})") from None
    if not isinstance(found, np.ndarray) or found.dtype.kind not in kinds:
        raise DataError(f"{path} is no array of numbers")
    return found


def arrays(path: Path, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Those arrays of a .npz file. DataError: not there, damaged, or without one of them."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in names}
    except FileNotFoundError:
        raise NoData(f"no {path.name} in {path.parent}") from None
    except (OSError, ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path} holds no arrays {', '.join(names)} that can be read without pickles ({error})"
        ) from None


def matrix(path: Path) -> csr_matrix:
    """A sparse matrix as scipy saves it, by rows or by entries. DataError: something else."""
    from scipy.sparse import load_npz

    try:
        return load_npz(path).tocsr()  # scipy reads without pickles
    except FileNotFoundError:
        raise NoData(f"no {path.name} in {path.parent}") from None
    except Exception as error:  # a damaged archive fails in one of a dozen ways
        raise DataError(f"{path} is no sparse matrix that can be read ({error})") from None


def whole(values: Any, place: str) -> np.ndarray:
    """Whole numbers as int64 (N,). DataError: they are not."""
    try:
        found = np.asarray(values)
        exact = found.astype(np.int64)
    except (OverflowError, TypeError, ValueError):  # beyond int64, or no numbers
        raise DataError(f"{place}: no list of whole numbers") from None
    if found.ndim != 1 or (found != exact).any():
        raise DataError(f"{place}: no list of whole numbers")
    return exact


def there_and_back(relations: Mapping[str, Relation], target: str) -> tuple[tuple[str, ...], ...]:
    """Meta-paths of one or two relations from the target to itself."""
    out = {name: r for name, r in relations.items() if r.source == target}
    alone: list[tuple[str, ...]] = [(name,) for name, r in out.items() if r.end == target]
    two = [(one, n) for one, r in out.items() for n, s in relations.items() if s.source == r.end != target == s.end]
    return (*alone, *two)
