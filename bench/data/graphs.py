"""Heterogeneous graphs, and pools of nodes of one: every input of such a pool is read with the whole graph around it.

A graph has nodes of several types, and relations between two of them. One type is the target: its nodes are the inputs
of a task, and have the labels. All of this is transductive: the nodes of dev and test, and their features, are part of
what is read while a network is trained; their labels are not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.errors import RequestError
from bench.inputs import Pool
from bench.sources import DataError

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from bench.task import Task


@dataclass(frozen=True)
class Relation:
    """Directed edges (E,) from nodes `sources` of one type to nodes `ends` of another: what a source says, an end
    hears. An edge counts as often as it is there."""

    source: str
    end: str
    sources: np.ndarray
    ends: np.ndarray


@dataclass(frozen=True, eq=False)
class Graph:
    """`features` of each type (nodes, D); signals hold the nodes of all types in this order. Relations by name.

    DataError: an edge to a node that is not there, of its relation.
    A node without edges is a node: it hears nothing, and keeps what it says of itself.
    """

    features: Mapping[str, csr_matrix]
    relations: Mapping[str, Relation]
    target: str
    paths: Sequence[Sequence[str]] = field(default=())  # meta-paths from the target to itself, as relations' names

    def __post_init__(self) -> None:
        for name, relation in self.relations.items():
            for kind, nodes in ((relation.source, relation.sources), (relation.end, relation.ends)):
                outside = nodes[(nodes < 0) | (nodes >= self.count(kind))]
                if len(outside):
                    there = self.count(kind)
                    raise DataError(f"{name}: an edge leads to {kind} {outside[0]}, and there are {there}, from 0 on")

    def count(self, kind: str) -> int:
        """Nodes of a type."""
        return int(self.features[kind].shape[0])

    @cached_property
    def looped(self) -> Graph:
        """The same with an edge from every node to itself; those of each type are a relation of their own."""
        numbers = {kind: np.arange(self.count(kind)) for kind in self.features}
        loops = {f"itself {kind}": Relation(kind, kind, n, n) for kind, n in numbers.items()}
        return replace(self, relations={**self.relations, **loops})

    @cached_property
    def joined(self) -> Graph:
        """The target's nodes alone; relations are the pairs that each meta-path joins, once however many ways do."""
        pairs = {" ".join(path): self._pairs(path) for path in self.paths}
        return replace(self, features={self.target: self.features[self.target]}, relations=pairs)

    def _pairs(self, path: Sequence[str]) -> Relation:
        found = reduce(lambda before, step: (before @ step).sign(), map(self._matrix, path)).tocoo()
        return Relation(self.target, self.target, found.row.astype(np.int64), found.col.astype(np.int64))

    def _matrix(self, name: str) -> csr_matrix:
        """(sources, ends), 1 where there is an edge."""
        from scipy.sparse import csr_matrix

        r = self.relations[name]
        shape = self.count(r.source), self.count(r.end)
        return csr_matrix((np.ones(len(r.ends), np.float32), (r.sources, r.ends)), shape).sign()

    @cached_property
    def digest(self) -> str:
        """Content key: a node's neighbours decide what is said of it."""
        found = hashlib.sha256(f"graph {self.target} {[list(path) for path in self.paths]}".encode())
        for kind, matrix in self.features.items():
            found.update(f"{kind} {matrix.shape}".encode())
            for part, dtype in ((matrix.indptr, "<i8"), (matrix.indices, "<i8"), (matrix.data, "<f4")):
                found.update(np.ascontiguousarray(part, dtype).data)
        for name, relation in self.relations.items():
            found.update(f"{name} {relation.source} {relation.end} {len(relation.ends)}".encode())
            for part in (relation.sources, relation.ends):
                found.update(np.ascontiguousarray(part, "<i8").data)
        return found.hexdigest()


class Nodes(Pool):
    """Nodes of the target type of a graph, by their numbers (N,)."""

    def __init__(self, graph: Graph, rows: Sequence[int] | np.ndarray) -> None:
        self.graph, self.rows = graph, np.asarray(rows, np.int64)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: Any) -> Any:
        return Nodes(self.graph, self.rows[row]) if isinstance(row, slice) else int(self.rows[row])

    def take(self, rows: Sequence[int] | np.ndarray) -> Nodes:
        return Nodes(self.graph, self.rows[np.asarray(rows, np.int64)])

    def sizes(self) -> np.ndarray:
        """One for each: any node costs a pass over the whole graph."""
        return np.ones(len(self), np.int64)

    @cached_property
    def digest(self) -> str:  # type: ignore[override]
        return hashlib.sha256(self.graph.digest.encode() + self.rows.astype("<i8").tobytes()).hexdigest()


def graph_of(task: Task) -> Graph:
    """The graph that a task is about. RequestError: none."""
    return nodes_of(task.examples("supervised").inputs).graph


def nodes_of(inputs: Any) -> Nodes:
    """The inputs, which have to be nodes. RequestError: they are something else."""
    if not isinstance(inputs, Nodes):
        raise RequestError(f"this network reads nodes of a graph, and these inputs are {type(inputs).__name__.lower()}")
    return inputs
