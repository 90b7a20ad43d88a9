"""What networks that read a heterogeneous graph share: the graph on a device, features of one width, and the head."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor, nn

from bench.data.graphs import Graph, graph_of, nodes_of
from bench.errors import RequestError
from bench.inputs import flat
from bench.network import Network
from bench.networks.sparse import Pattern, product, softmax
from bench.optimiser import Optimiser
from bench.signals import Signals
from bench.task import Task

SIZE = re.compile(r"([1-9])x([1-9][0-9]{0,3})")
# Adam with rate 0.01 and decay 5e-4 are ie-HGCN's, and HGB's but for its decay of 1e-4; what is constant there is here
RECIPE = Optimiser(lr=0.01, betas=(0.9, 0.999), weight_decay=5e-4, warmup=0, epochs=0, schedule="constant", clip=0)


PLACED: WeakKeyDictionary[Graph, dict[str, Placed]] = (
    WeakKeyDictionary()
)  # by device, for as long as the graph is there


@dataclass(frozen=True)
class Ends:
    """A relation on a device: `pattern` is (ends, sources), so that a product with it brings sources to ends."""

    source: str
    end: str
    pattern: Pattern


@dataclass(frozen=True)
class Joint:
    """The edges of all relations that end in one type, one relation behind the other: `pattern`'s columns."""

    names: tuple[str, ...]
    pattern: Pattern

    @classmethod
    def of(cls, relations: Mapping[str, Ends], kind: str, count: int) -> Joint:
        """`count`: nodes of the type. Each relation's edges stand in the order of its own pattern."""
        into = {name: r.pattern.rows.numpy() for name, r in relations.items() if r.end == kind}
        ends = np.concatenate([*into.values(), np.empty(0, np.int64)])
        return cls(tuple(into), Pattern.of(ends, np.arange(len(ends)), (count, len(ends))))


@dataclass(frozen=True)
class Placed:
    """A graph's tensors on a device."""

    counts: dict[str, int]  # nodes of each type, in the order in which `nodes` holds them
    features: dict[str, tuple[Pattern, Tensor]]  # of each type the entries of (nodes, D)
    relations: dict[str, Ends]
    joints: dict[str, Joint]  # of each type
    target: str

    @classmethod
    def of(cls, graph: Graph) -> Placed:
        features = {}
        for kind, matrix in graph.features.items():
            entries = matrix.tocoo()
            by_row = np.lexsort((entries.col, entries.row))
            values = torch.from_numpy(entries.data[by_row].astype(np.float32))
            features[kind] = Pattern.of(entries.row, entries.col, matrix.shape), values
        relations = {
            n: Ends(r.source, r.end, Pattern.of(r.ends, r.sources, (graph.count(r.end), graph.count(r.source))))
            for n, r in graph.relations.items()
        }
        joints = {kind: Joint.of(relations, kind, graph.count(kind)) for kind in graph.features}
        return cls({kind: graph.count(kind) for kind in joints}, features, relations, joints, graph.target)

    def to(self, device: torch.device, non_blocking: bool = False) -> Placed:
        """As a tensor does; itself where it is there."""
        if all(values.device == device for _, values in self.features.values()):
            return self
        features = {k: (p.to(device), v.to(device, non_blocking=True)) for k, (p, v) in self.features.items()}
        relations = {n: Ends(r.source, r.end, r.pattern.to(device)) for n, r in self.relations.items()}
        joints = {kind: Joint(j.names, j.pattern.to(device)) for kind, j in self.joints.items()}
        return Placed(self.counts, features, relations, joints, self.target)

    def __len__(self) -> int:
        """All nodes: it is no list of a batch's rows."""
        return sum(self.counts.values())


class Whole:
    """Nodes made ready: every batch is the whole graph, and the nodes that are asked for."""

    axes: dict[str, np.ndarray] = {}

    def __init__(self, nodes: Any, placed: Placed) -> None:
        self.rows, self.lengths, self.placed = nodes.rows, nodes.sizes(), placed

    def batch(self, rows: np.ndarray) -> dict[str, Any]:
        """`graph`, and `asked` (B,), numbers of target nodes."""
        return {"graph": self.placed, "asked": torch.from_numpy(self.rows[flat(rows)])}


class GraphNetwork(Network):
    """Features of every type become H_a (nodes of a, width); a family's `spread` lets them pass along relations.

    The embedding is that of the asked nodes; `nodes` are all types' H, one below the other.
    """

    optimiser = RECIPE

    def __init__(self, task: Task, width: int, dropout: float) -> None:
        super().__init__()
        graph = graph_of(task)
        self.goal, self.width, self.target = task.goal, width, graph.target
        self.inward = nn.ModuleDict({kind: Inward(m.shape[1], width) for kind, m in graph.features.items()})
        self.drop = nn.Dropout(dropout)
        self.head = self.goal.head(width)

    def encode(self, inputs: Sequence[Any], max_length: int | None = None) -> Whole:
        """`inputs` are Nodes. The graph lies on the network's device once."""
        nodes = nodes_of(inputs)
        return Whole(nodes, placed(self.read(nodes.graph), self.device))

    def read(self, graph: Graph) -> Graph:
        """The form of it that the family passes over: with loops, or the pairs at the ends of meta-paths."""
        return graph

    def forward(self, batch: dict[str, Any], want: frozenset[str]) -> Signals:
        graph: Placed = batch["graph"]
        found = self.spread(graph, {kind: self.drop(self.inward[kind](*graph.features[kind])) for kind in graph.counts})
        whole = torch.cat([found[kind] for kind in graph.counts]) if "nodes" in want else None
        body = Signals(embedding=found[self.target][batch["asked"]], nodes=whole)
        return self.goal.complete(body, self.head, batch)

    def spread(self, graph: Placed, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """Features (nodes, width) of each type -> embeddings (nodes, width) of each type that the family embeds."""
        raise TypeError(f"{type(self).__name__} lets nothing pass along relations")


class Inward(nn.Module):
    """X W + b of sparse features X (N, D): (N, width)."""

    def __init__(self, features: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(features, width)))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, pattern: Pattern, values: Tensor) -> Tensor:
        return product(pattern, self.weight, values) + self.bias


def shared_softmax(graph: Placed, scores: dict[str, Tensor]) -> dict[str, Tensor]:
    """Scores (E, H) of every relation's edges -> shares of the same shape: those of all edges that lead to a node sum
    to 1, whatever relation they are of."""
    found: dict[str, Tensor] = {}
    for names, pattern in ((j.names, j.pattern) for j in graph.joints.values() if j.names):
        shares = softmax(pattern, torch.cat([scores[name] for name in names])[pattern.columns])
        parts = shares[pattern.order].split([len(scores[name]) for name in names])
        found |= dict(zip(names, parts, strict=True))
    return found


def placed(graph: Graph, device: torch.device) -> Placed:
    """The graph's tensors, made once."""
    kept = PLACED.setdefault(graph, {})
    if str(device) not in kept:
        kept[str(device)] = Placed.of(graph).to(device)
    return kept[str(device)]


def depth_and_width(size: str, family: str, heads: int = 1) -> str:
    """The size as it is, LAYERSxWIDTH. RequestError: no such size, or a width that its heads do not divide."""
    match = SIZE.fullmatch(size)
    if not match or int(match[2]) % heads:
        divided = f", WIDTH a multiple of {heads}" if heads > 1 else ""
        raise RequestError(f"'{size}' is no size of {family}: write {family}:LAYERSxWIDTH, as in 2x64{divided}")
    return size


def layers_of(size: str) -> tuple[int, int]:
    """(layers, width) of a size."""
    layers, _, width = size.partition("x")
    return int(layers), int(width)
