"""Networks whose time is known, for tests of the clock. A module of its own: the measuring process imports it."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from bench.data.tokens import TokenArrays
from bench.network import Network
from bench.signals import Signals

LIMIT = 512  # tokens


class Spinning(Network):
    """Takes `ms` a call, whatever it reads: a loop on the clock, which no scheduler makes shorter."""

    offers = frozenset({"embedding"})

    def __init__(self, ms: float) -> None:
        super().__init__()
        self.ns, self.width = round(ms * 1e6), 2
        self.weight = nn.Parameter(torch.ones(2))

    def encode(self, inputs: Sequence[str], max_length: int | None = None) -> TokenArrays:
        return TokenArrays.of([[1] * min(max_length or LIMIT, LIMIT, 1 + len(x.split())) for x in inputs])

    def forward(self, batch: dict[str, Tensor], want: frozenset[str]) -> Signals:
        until = time.perf_counter_ns() + self.ns
        while time.perf_counter_ns() < until:
            pass
        return Signals(embedding=self.weight.expand(len(batch["input_ids"]), 2))


class Failing(Spinning):
    def forward(self, batch: dict[str, Tensor], want: frozenset[str]) -> Signals:
        raise RuntimeError("out of order")


class Products(Spinning):
    """Matrix products, as real networks are made of; FLOPs of a token: 2 * width^2 * layers."""

    def __init__(self, width: int = 256, layers: int = 4) -> None:
        super().__init__(0)
        self.layers = nn.ModuleList(nn.Linear(width, width, bias=False) for _ in range(layers))
        self.table = nn.Embedding(2, width)

    def forward(self, batch: dict[str, Tensor], want: frozenset[str]) -> Signals:
        x = self.table(batch["input_ids"])
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return Signals(embedding=x.mean(1))
