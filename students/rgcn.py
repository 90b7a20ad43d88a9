"""Relational graph convolutions: each relation brings the mean of its sources, through weights of its own.

    h_i' = ReLU(W_0 h_i + b + sum_r W_r mean_{j in N_r(i)} h_j)      dropout after it

W_0 is one matrix for all types, as in the paper, whose W_r of the last layer end in classes; here L layers of one width
end in an embedding, and the task's head reads that. No basis or block decomposition: there are few relations.

Schlichtkrull et al., "Modeling Relational Data with Graph Convolutional Networks", ESWC 2018, arXiv:1703.06103.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from pydantic import NonNegativeFloat
from torch import Tensor, nn

from bench.data.graphs import graph_of
from bench.network import Network
from bench.networks.graphs import GraphNetwork, Placed, depth_and_width, layers_of
from bench.networks.sparse import mean
from bench.student import Student
from bench.task import Task


class Rgcn(Student):
    offers = frozenset({"embedding", "nodes"})
    reads = "graph"
    sizes = "LAYERSxWIDTH: 2x64, 2x16, 1x8"
    default = "2x16"

    @dataclass(frozen=True)
    class Settings:
        dropout: NonNegativeFloat = 0.5  # HGB's

    @classmethod
    def check(cls, size: str) -> str:
        return depth_and_width(size or cls.default, "rgcn")

    def build(self, size: str, task: Task, teacher: Network | None) -> Network:
        return RgcnNetwork(*layers_of(size), task, self.settings.dropout)


class RgcnNetwork(GraphNetwork):
    offers = Rgcn.offers

    def __init__(self, layers: int, width: int, task: Task, dropout: float) -> None:
        super().__init__(task, width, dropout)
        names = list(graph_of(task).relations)
        self.layers = nn.ModuleList(Convolution(names, width) for _ in range(layers))

    def spread(self, graph: Placed, features: dict[str, Tensor]) -> dict[str, Tensor]:
        for layer in self.layers:
            features = {kind: self.drop(x.relu()) for kind, x in layer(graph, features).items()}
        return features


class Convolution(nn.Module):
    """One layer, before its ReLU."""

    def __init__(self, relations: list[str], width: int) -> None:
        super().__init__()
        self.root = nn.Linear(width, width)
        self.weights = nn.ParameterDict({n: nn.init.xavier_uniform_(torch.empty(width, width)) for n in relations})

    def forward(self, graph: Placed, features: dict[str, Tensor]) -> dict[str, Tensor]:
        found = {kind: self.root(x) for kind, x in features.items()}
        for name, r in graph.relations.items():
            found[r.end] = found[r.end] + mean(r.pattern, features[r.source]) @ self.weights[name]
        return found
