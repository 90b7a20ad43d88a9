"""Each node reads the mean of its neighbours, twice (Kipf & Welling, ICLR 2017): all nodes are computed for any."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.errors import RequestError
from bench.inputs import flat
from bench.network import Network
from bench.optimiser import Optimiser
from bench.signals import Signals
from bench.student import Student
from bench.task import Task


class Propagation(Student):
    offers = frozenset({"embedding"})
    reads = "graph"
    sizes = "WIDTH"
    default = "6"

    @classmethod
    def check(cls, size: str) -> str:
        if not size.isdecimal() or not int(size):
            raise RequestError(f"'{size}' is not a width")
        return str(int(size))

    def build(self, size: str, task: Task, teacher: Network | None) -> PropagationNetwork:
        return PropagationNetwork(int(size), task)


class Whole:
    """A graph whose every batch is all of it, and the nodes that are asked for."""

    axes: dict[str, np.ndarray] = {}

    def __init__(self, graph: Any) -> None:
        self.nodes, self.lengths = graph.nodes, graph.sizes()
        self.features, self.edges = torch.from_numpy(graph.features), torch.from_numpy(graph.edges)

    def batch(self, rows: np.ndarray) -> dict[str, Tensor]:
        """`features` (M, D) and `edges` (2, E) of the graph, `asked` (B,)."""
        return {"features": self.features, "edges": self.edges, "asked": torch.from_numpy(self.nodes[flat(rows)])}


class PropagationNetwork(Network):
    optimiser = Optimiser(lr=0.03)
    offers = frozenset({"embedding", "logits"})

    def __init__(self, width: int, task: Task) -> None:
        super().__init__()
        self.goal, self.width = task.goal, width
        read = task.examples("distil").inputs.features.shape[1]
        self.layers = nn.ModuleList([nn.Linear(2 * read, width), nn.Linear(2 * width, width)])
        self.head = self.goal.head(width)

    def encode(self, inputs: Any, max_length: int | None = None) -> Whole:
        return Whole(inputs)

    def forward(self, batch: dict[str, Tensor], want: frozenset[str]) -> Signals:
        x, (to, of) = batch["features"], batch["edges"]
        degree = torch.bincount(to, minlength=len(x)).clamp(min=1)[:, None]
        for layer in self.layers:
            neighbours = torch.zeros_like(x).index_add(0, to, x[of]) / degree
            x = layer(torch.cat([x, neighbours], 1)).relu()
        return self.goal.complete(Signals(embedding=x[batch["asked"]]), self.head, batch)
