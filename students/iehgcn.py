"""Attention over types after a mean over neighbours: a reconstruction of ie-HGCN's layer.

    y_i^r = mean_{j in N_r(i)} W_r h_j for each relation r that ends in the type of i, and y_i^self = W_self h_i
    e_i^r = elu(a_a . [W_k y_i^r ; W_q y_i^self])      alpha_i = softmax over the relations and self      a: type of i
    h_i' = elu(sum_r alpha_i^r y_i^r)          dropout after it

W_k, W_q and a_a (keys and queries of width 64) are each type's own. ie-HGCN has layers of widths 64, 32, 16 and 8 whose
last one gives classes, and normalises adjacency by row as here; here L layers of one width end in an embedding, and the
task's head reads that.

Yang, Guan, Li, Zhao, Cui, Wang, "Interpretable and Efficient Heterogeneous Graph Convolutional Network", TKDE 2021,
arXiv:2005.13183.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional

from bench.data.graphs import Graph, graph_of
from bench.network import Network
from bench.networks.graphs import GraphNetwork, Placed, depth_and_width, layers_of
from bench.networks.sparse import mean
from bench.student import Student
from bench.task import Task


class IeHgcn(Student):
    offers = frozenset({"embedding", "nodes"})
    reads = "graph"
    sizes = "LAYERSxWIDTH: 2x64, 2x16, 4x16"
    default = "2x16"

    @dataclass(frozen=True)
    class Settings:
        attention: PositiveInt = 64  # width of keys and queries
        dropout: NonNegativeFloat = 0.5

    @classmethod
    def check(cls, size: str) -> str:
        return depth_and_width(size or cls.default, "iehgcn")

    def build(self, size: str, task: Task, teacher: Network | None) -> Network:
        return IeHgcnNetwork(*layers_of(size), task, self.settings)


class IeHgcnNetwork(GraphNetwork):
    offers = IeHgcn.offers

    def __init__(self, layers: int, width: int, task: Task, settings: IeHgcn.Settings) -> None:
        super().__init__(task, width, settings.dropout)
        graph = graph_of(task)
        self.layers = nn.ModuleList(Layer(graph, width, settings.attention) for _ in range(layers))

    def spread(self, graph: Placed, features: dict[str, Tensor]) -> dict[str, Tensor]:
        for layer in self.layers:
            features = {kind: self.drop(functional.elu(x)) for kind, x in layer(graph, features).items()}
        return features


class Layer(nn.Module):
    """One layer, before its ELU."""

    def __init__(self, graph: Graph, width: int, attention: int) -> None:
        super().__init__()
        kinds = list(graph.features)
        self.itself = nn.ModuleDict({kind: nn.Linear(width, width, bias=False) for kind in kinds})
        self.relations = nn.ModuleDict({name: nn.Linear(width, width, bias=False) for name in graph.relations})
        self.key = nn.ModuleDict({kind: nn.Linear(width, attention, bias=False) for kind in kinds})
        self.query = nn.ModuleDict({kind: nn.Linear(width, attention, bias=False) for kind in kinds})
        self.score = nn.ModuleDict({kind: nn.Linear(2 * attention, 1, bias=False) for kind in kinds})

    def forward(self, graph: Placed, features: dict[str, Tensor]) -> dict[str, Tensor]:
        heard = {kind: [self.itself[kind](x)] for kind, x in features.items()}
        for name, r in graph.relations.items():
            heard[r.end].append(mean(r.pattern, self.relations[name](features[r.source])))
        return {kind: self.weighed(kind, torch.stack(parts, 1)) for kind, parts in heard.items()}

    def weighed(self, kind: str, parts: Tensor) -> Tensor:
        """(nodes, 1 + R, width), of which the first is the node's own -> (nodes, width)."""
        keys, query = self.key[kind](parts), self.query[kind](parts[:, :1])
        scores = functional.elu(self.score[kind](torch.cat([keys, query.expand_as(keys)], 2)))
        return (scores.softmax(1) * parts).sum(1)
