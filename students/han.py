"""Hierarchical attention: over the neighbours at the other end of each meta-path, then over meta-paths.

    z_i = W h_i, H heads of width d       alpha_ij^p = softmax over N_p(i): leaky_relu(a_p . z_i + b_p . z_j), slope 0.2
    z_i^p = relu(sum_j alpha_ij^p z_j)    w_p = mean_i q . tanh(V z_i^p + c)      h_i' = sum_p softmax(w)_p z_i^p

As torch-geometric's HANConv has it: one W for all meta-paths (HAN's code has one each, and an ELU). The features are
projected once, without another layer before: this is the whole network, and only target nodes are embedded, so nothing
that compares types applies to it. Meta-paths are the task's, as relations that follow one another; a pair of nodes is
an edge however many paths join it. Where there are many pairs (DBLP's through conferences are millions) it is slow.

Wang et al., "Heterogeneous Graph Attention Network", WWW 2019, arXiv:1903.07293: 8 heads, dropout 0.6.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from bench.data.graphs import Graph, graph_of
from bench.errors import RequestError
from bench.network import Network
from bench.networks.graphs import GraphNetwork, Placed
from bench.networks.sparse import at_columns, at_rows, by_heads, softmax
from bench.student import Student
from bench.task import Task

SLOPE = 0.2


class Han(Student):
    offers = frozenset({"embedding"})
    reads = "graph"
    sizes = "WIDTH, shared by the heads: 64, 16"
    default = "16"

    @dataclass(frozen=True)
    class Settings:
        heads: PositiveInt = 8
        dropout: NonNegativeFloat = 0.6  # of attention, and of features

    @classmethod
    def check(cls, size: str) -> str:
        size = size or cls.default
        if not size.isdecimal() or not int(size):
            raise RequestError(f"'{size}' is no size of han: write han:WIDTH, as in han:64")
        return str(int(size))

    def build(self, size: str, task: Task, teacher: Network | None) -> Network:
        if int(size) % self.settings.heads:
            raise RequestError(f"{self.settings.heads} heads cannot share a width of {size}: --set han.heads=4")
        return HanNetwork(int(size), task, self.settings)


class HanNetwork(GraphNetwork):
    offers = Han.offers

    def __init__(self, width: int, task: Task, settings: Han.Settings) -> None:
        super().__init__(task, width, settings.dropout)
        self.paths = list(self.read(graph_of(task)).relations)
        self.inward = nn.ModuleDict({self.target: self.inward[self.target]})  # no other type is read
        each = width // settings.heads
        self.of_end, self.of_source = (
            nn.ParameterDict({p: nn.init.xavier_uniform_(torch.empty(settings.heads, each)) for p in self.paths})
            for _ in range(2)
        )
        self.key, self.query = nn.Linear(width, width), nn.Parameter(torch.randn(width) / width**0.5)

    def read(self, graph: Graph) -> Graph:
        if not graph.paths:
            raise RequestError(f"this graph has no meta-paths from {graph.target} to {graph.target}, which han reads")
        return graph.joined

    def spread(self, graph: Placed, features: dict[str, Tensor]) -> dict[str, Tensor]:
        z = features[self.target]
        found = torch.stack([self.along(graph, path, z) for path in self.paths])
        weights = (self.key(found).tanh().mean(1) @ self.query).softmax(0)
        return {self.target: (weights[:, None, None] * found).sum(0)}

    def along(self, graph: Placed, path: str, z: Tensor) -> Tensor:
        """(nodes, width) of one meta-path."""
        pattern, heads = graph.relations[path].pattern, z.unflatten(1, self.of_end[path].shape)
        ours, theirs = (heads * self.of_end[path]).sum(2), (heads * self.of_source[path]).sum(2)
        scores = functional.leaky_relu(at_rows(pattern, ours) + at_columns(pattern, theirs), SLOPE)
        return by_heads(pattern, heads, self.drop(softmax(pattern, scores))).relu()
