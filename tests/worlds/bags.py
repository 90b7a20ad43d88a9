"""Bags of words: the mean of word vectors, whose gradients are sparse, and a layer above it; the table may be frozen.

The deep averaging network of Iyyer et al. (ACL 2015), as Sparse Distillation (Ye et al., NAACL 2022) trains it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from bench.data.tokens import TokenArrays
from bench.inputs import texts
from bench.network import Network
from bench.networks.words import checked, task_tokens
from bench.optimiser import Optimiser
from bench.signals import Signals
from bench.student import Student
from bench.task import Task


class Bags(Student):
    offers = frozenset({"embedding"})
    sizes = "WIDTH"
    default = "8"

    @dataclass(frozen=True)
    class Settings:
        frozen: bool = False  # the table stays as it was made, as the body of a prompted model does

    @classmethod
    def check(cls, size: str) -> str:
        return checked(size, "[1-9][0-9]{0,3}", cls)

    def build(self, size: str, task: Task, teacher: Network | None) -> BagsNetwork:
        network = BagsNetwork(int(size), task)
        network.table.requires_grad_(not self.settings.frozen)
        return network


class BagsNetwork(Network):
    offers = frozenset({"embedding", "logits"})
    optimiser = Optimiser(lr=0.01, weight_decay=0.0)

    def __init__(self, width: int, task: Task) -> None:
        super().__init__()
        self.goal, self.width, self.tokens = task.goal, width, task_tokens(task, 500)
        self.table = nn.EmbeddingBag(self.tokens.size, width, mode="sum", sparse=True)
        self.layer, self.head = nn.Linear(width, width), self.goal.head(width)

    def encode(self, inputs: Sequence[Any], max_length: int | None = None) -> TokenArrays:
        return self.tokens.read(texts(inputs), max_length or 64)

    def forward(self, batch: dict[str, Tensor], want: frozenset[str]) -> Signals:
        mask = batch["attention_mask"].to(self.table.weight.dtype)
        mean = self.table(batch["input_ids"], per_sample_weights=mask / mask.sum(1, keepdim=True))
        return self.goal.complete(Signals(embedding=F.relu(self.layer(mean))), self.head, batch)

    def embedding_parameters(self) -> int:
        return self.table.weight.numel()
