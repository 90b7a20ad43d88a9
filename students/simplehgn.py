"""Simple-HGN: graph attention that knows the type of an edge, with residual connections and embeddings of length 1.

    alpha_ij = softmax over all edges of i:  leaky_relu(a_1 . W h_i + a_2 . W h_j + a_3 . W_r e_r)     slope 0.05
    alpha^(l) = (1 - beta) alpha_hat^(l) + beta alpha^(l-1)        h_i' = elu(sum_j alpha_ij W h_j + h_i), H heads
    at the end h / ||h||

e_r is a learned embedding of the relation, of the layer's width for each head; every node has an edge to itself, which
is a relation of its own. In the paper the last layer has one head over classes; here L layers of one width end in an
embedding, and the task's head reads that.

Lv et al., "Are we really making much progress?", KDD 2021, arXiv:2112.14936 (HGB; slope 0.05, beta 0.05, dropout 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from bench.data.graphs import Graph, graph_of
from bench.losses import unit
from bench.network import Network
from bench.networks.graphs import GraphNetwork, Placed, depth_and_width, layers_of, shared_softmax
from bench.networks.sparse import at_columns, at_rows, by_heads
from bench.student import Student
from bench.task import Task

SLOPE = 0.05


class SimpleHgn(Student):
    offers = frozenset({"embedding", "nodes"})
    reads = "graph"
    sizes = "LAYERSxWIDTH: 2x64, 2x16; WIDTH is shared by the heads"
    default = "2x16"

    @dataclass(frozen=True)
    class Settings:
        heads: PositiveInt = 8
        edges: PositiveInt = 64  # width of a relation's embedding
        beta: NonNegativeFloat = 0.05
        dropout: NonNegativeFloat = 0.5

    @classmethod
    def check(cls, size: str) -> str:
        return depth_and_width(size or cls.default, "simplehgn")

    def build(self, size: str, task: Task, teacher: Network | None) -> Network:
        depth_and_width(size, "simplehgn", self.settings.heads)
        return SimpleHgnNetwork(*layers_of(size), task, self.settings)


class SimpleHgnNetwork(GraphNetwork):
    offers = SimpleHgn.offers

    def __init__(self, layers: int, width: int, task: Task, settings: SimpleHgn.Settings) -> None:
        super().__init__(task, width, settings.dropout)
        made = (Attention(self.read(graph_of(task)), width, settings.heads, settings.edges) for _ in range(layers))
        self.layers, self.beta = nn.ModuleList(made), settings.beta

    def read(self, graph: Graph) -> Graph:
        return graph.looped

    def spread(self, graph: Placed, features: dict[str, Tensor]) -> dict[str, Tensor]:
        before: dict[str, Tensor] = {}
        for number, layer in enumerate(self.layers):
            features = {kind: self.drop(x) for kind, x in features.items()} if number else features
            shares: dict[str, Tensor] = layer.shares(graph, features)  # type: ignore[operator]
            before = {n: (1 - self.beta) * x + self.beta * before[n] for n, x in shares.items()} if before else shares
            heard = layer(graph, features, {name: self.drop(x) for name, x in before.items()})
            features = {kind: functional.elu(heard[kind] + x) for kind, x in features.items()}
        return {kind: unit(x) for kind, x in features.items()}


class Attention(nn.Module):
    """One layer of H heads."""

    def __init__(self, graph: Graph, width: int, heads: int, edges: int) -> None:
        super().__init__()
        self.value = nn.Linear(width, width, bias=False)
        self.named = nn.ParameterDict({name: torch.randn(edges) for name in graph.relations})
        self.edge = nn.Linear(edges, edges * heads, bias=False)
        self.of_end, self.of_source, self.of_edge = (first(heads, n) for n in (width // heads, width // heads, edges))

    def values(self, x: Tensor) -> Tensor:
        """(N, width) -> (N, H, d)"""
        return self.value(x).unflatten(1, (len(self.of_end), -1))

    def shares(self, graph: Placed, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """alpha_hat (E, H) of each relation."""
        values, scores = {kind: self.values(x) for kind, x in features.items()}, {}
        for name, r in graph.relations.items():
            of_end, of_source = (values[r.end] * self.of_end).sum(2), (values[r.source] * self.of_source).sum(2)
            found = at_rows(r.pattern, of_end) + at_columns(r.pattern, of_source) + self.of_relation(name)
            scores[name] = functional.leaky_relu(found, SLOPE)
        return shared_softmax(graph, scores)

    def of_relation(self, name: str) -> Tensor:
        """(H,)"""
        return (self.edge(self.named[name]).view_as(self.of_edge) * self.of_edge).sum(1)

    def forward(self, graph: Placed, features: dict[str, Tensor], shares: dict[str, Tensor]) -> dict[str, Tensor]:
        """What each node hears, (nodes, width)."""
        values = {kind: self.values(x) for kind, x in features.items()}
        found = {kind: torch.zeros_like(x) for kind, x in features.items()}
        for name, r in graph.relations.items():
            found[r.end] = found[r.end] + by_heads(r.pattern, values[r.source], shares[name])
        return found


def first(heads: int, width: int) -> nn.Parameter:
    """(H, d) as HGB draws them."""
    return nn.Parameter(nn.init.xavier_normal_(torch.empty(heads, width), gain=2**0.5))
