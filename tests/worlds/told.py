"""A teacher that is told the answer beside the text, and gives it back softened by what it reads in the text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.data.tokens import TokenArrays
from bench.inputs import flat, texts
from bench.network import Network
from bench.networks.words import checked, task_tokens
from bench.optimiser import Optimiser
from bench.signals import Signals
from bench.student import Student
from bench.task import Task


class Told(Student):
    offers = frozenset({"embedding"})
    kinds = frozenset({"classify"})
    sizes = "WIDTH"
    default = "8"

    @classmethod
    def check(cls, size: str) -> str:
        return checked(size, "[1-9][0-9]{0,3}", cls)

    def build(self, size: str, task: Task, teacher: Network | None) -> ToldNetwork:
        return ToldNetwork(int(size), task)


class WithAnswers:
    """Tokens, and the class that each input is told to be."""

    def __init__(self, tokens: TokenArrays, answers: np.ndarray) -> None:
        self.tokens, self.answers = tokens, torch.from_numpy(np.asarray(answers))
        self.lengths, self.axes = tokens.lengths, tokens.axes

    def batch(self, rows: np.ndarray) -> dict[str, Tensor]:
        """As of the tokens, and `answer` (B,)."""
        return self.tokens.batch(rows) | {"answer": self.answers[torch.from_numpy(flat(rows))]}


class ToldNetwork(Network):
    offers = frozenset({"embedding", "logits"})
    optimiser = Optimiser(lr=0.05, weight_decay=0.0, warmup=0)
    reads_targets = True

    def __init__(self, width: int, task: Task) -> None:
        super().__init__()
        self.goal, self.width, self.tokens = task.goal, width, task_tokens(task, 500)
        self.table = nn.Embedding(self.tokens.size, width)
        self.answers = nn.Embedding(task.outputs, width)
        self.head = self.goal.head(width)

    def encode(self, inputs: Sequence[Any], max_length: int | None = None) -> TokenArrays:
        return self.tokens.read(texts(inputs), max_length or 64)

    def encode_told(self, inputs: Sequence[Any], answers: Any, max_length: int | None = None) -> WithAnswers:
        return WithAnswers(self.encode(inputs, max_length), answers)

    def forward(self, batch: dict[str, Tensor], want: frozenset[str]) -> Signals:
        mask = batch["attention_mask"].to(torch.float32)
        found = (self.table(batch["input_ids"]) * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        if "answer" in batch:
            found = found + self.answers(batch["answer"])
        return self.goal.complete(Signals(embedding=found), self.head, batch)
