"""Heterogeneous graph transformers: attention over all edges that lead to a node, with weights by type and relation.

    k, q, v = K_a h, Q_a h, V_a h for the type a of a node, H heads of width d each
    alpha_ij = softmax over all edges of i, of every relation:  (k_j R_r . q_i) p_r / sqrt(d)
    m_i = sum_j alpha_ij v_j M_r        h_i' = s O_a gelu(m_i) + (1 - s) h_i,   s = sigmoid(skip_a)

As torch-geometric's HGTConv has it; skip_a and p_r (for each head) start at 1. Before the first layer features pass a
ReLU, as in its example; dropout after each layer. A node without edges has m_i = 0.

Hu, Dong, Wang, Sun, "Heterogeneous Graph Transformer", WWW 2020, arXiv:2003.01332.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from bench.data.graphs import Graph, graph_of
from bench.network import Network
from bench.networks.graphs import Ends, GraphNetwork, Placed, depth_and_width, layers_of, shared_softmax
from bench.networks.sparse import at_columns, at_rows, by_heads
from bench.student import Student
from bench.task import Task


class Hgt(Student):
    offers = frozenset({"embedding", "nodes"})
    reads = "graph"
    sizes = "LAYERSxWIDTH: 2x64, 2x16; WIDTH is shared by the heads"
    default = "2x16"

    @dataclass(frozen=True)
    class Settings:
        heads: PositiveInt = 4  # torch-geometric's example has 2, the paper 8 at width 256
        dropout: NonNegativeFloat = 0.5  # ours; the paper's is 0.2

    @classmethod
    def check(cls, size: str) -> str:
        return depth_and_width(size or cls.default, "hgt")

    def build(self, size: str, task: Task, teacher: Network | None) -> Network:
        depth_and_width(size, "hgt", self.settings.heads)
        return HgtNetwork(*layers_of(size), task, self.settings.heads, self.settings.dropout)


class HgtNetwork(GraphNetwork):
    offers = Hgt.offers

    def __init__(self, layers: int, width: int, task: Task, heads: int, dropout: float) -> None:
        super().__init__(task, width, dropout)
        self.layers = nn.ModuleList(Attention(graph_of(task), width, heads) for _ in range(layers))

    def spread(self, graph: Placed, features: dict[str, Tensor]) -> dict[str, Tensor]:
        features = {kind: x.relu() for kind, x in features.items()}
        for layer in self.layers:
            features = {kind: self.drop(x) for kind, x in layer(graph, features).items()}
        return features


class Attention(nn.Module):
    """One layer of H heads."""

    def __init__(self, graph: Graph, width: int, heads: int) -> None:
        super().__init__()
        self.heads, each, kinds = heads, width // heads, list(graph.features)
        self.kqv = nn.ModuleDict({kind: nn.Linear(width, 3 * width) for kind in kinds})
        self.out = nn.ModuleDict({kind: nn.Linear(width, width) for kind in kinds})
        self.skip = nn.ParameterDict({kind: torch.ones(1) for kind in kinds})
        self.prior = nn.ParameterDict({name: torch.ones(heads) for name in graph.relations})
        self.keys = nn.ParameterDict({name: drawn(heads, each) for name in graph.relations})
        self.values = nn.ParameterDict({name: drawn(heads, each) for name in graph.relations})

    def forward(self, graph: Placed, features: dict[str, Tensor]) -> dict[str, Tensor]:
        parts = {kind: self.kqv[kind](x).unflatten(1, (3, self.heads, -1)).unbind(1) for kind, x in features.items()}
        shares = shared_softmax(graph, {name: self.scores(name, r, parts) for name, r in graph.relations.items()})
        heard = {kind: torch.zeros_like(x) for kind, x in features.items()}
        for name, r in graph.relations.items():
            values = torch.einsum("nhd,hde->nhe", parts[r.source][2], self.values[name])
            heard[r.end] = heard[r.end] + by_heads(r.pattern, values, shares[name])
        return {kind: self.updated(kind, x, heard[kind]) for kind, x in features.items()}

    def updated(self, kind: str, x: Tensor, heard: Tensor) -> Tensor:
        """(nodes, width) of a type, from what it was and what it has heard."""
        share = self.skip[kind].sigmoid()
        found: Tensor = share * self.out[kind](functional.gelu(heard)) + (1 - share) * x
        return found

    def scores(self, name: str, r: Ends, parts: dict[str, tuple[Tensor, ...]]) -> Tensor:
        """(E, H) of a relation's edges, before softmax."""
        keys = torch.einsum("nhd,hde->nhe", parts[r.source][0], self.keys[name])
        pairs = at_columns(r.pattern, keys.flatten(1)) * at_rows(r.pattern, parts[r.end][1].flatten(1))
        return pairs.unflatten(1, (self.heads, -1)).sum(2) * self.prior[name] / math.sqrt(keys.shape[2])


def drawn(heads: int, width: int) -> Tensor:
    """(H, d, d) first weights, each head's by itself."""
    return torch.stack([nn.init.xavier_uniform_(torch.empty(width, width)) for _ in range(heads)])
