"""Character trigrams, hashed into a table of vectors, and their mean: neither tokenizer nor vocabulary.

e = (1 / n) sum_i v_{h(g_i)} over the n trigrams g_i of the text, h a hash into the rows of the table.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from bench.data.tokens import TokenArrays
from bench.errors import RequestError
from bench.inputs import texts
from bench.kind import Kind
from bench.network import Network
from bench.optimiser import Optimiser
from bench.signals import Signals
from bench.student import Student
from bench.task import Task

LONGEST = 1024  # trigrams read of a text: a guard against stray documents


class Template(Student):
    offers = frozenset({"embedding"})
    sizes = "WIDTH"
    default = "128"

    @dataclass(frozen=True)
    class Settings:
        rows: int = 20_000  # of the table; trigrams that share a row share a vector

    @classmethod
    def check(cls, size: str) -> str:
        if not (size or cls.default).isdecimal() or not int(size or cls.default):
            raise RequestError(f"'{size}' is no size of template: give a width, as in template:128")
        return str(int(size or cls.default))

    def build(self, size: str, task: Task, teacher: Network | None) -> Network:
        return TemplateNetwork(int(size), self.settings.rows, task.goal)


class TemplateNetwork(Network):
    offers = Template.offers
    optimiser = Optimiser(lr=1e-3)  # under every method; left out: AdamW at 5e-5, at which tables learn little

    def __init__(self, width: int, rows: int, goal: Kind) -> None:
        super().__init__()
        self.width, self.rows, self.goal = width, rows, goal
        self.table = nn.Embedding(rows + 1, width, padding_idx=0)
        self.classifier = goal.head(width)  # none where vectors are judged

    def encode(self, inputs: Sequence[Any], max_length: int | None = None) -> TokenArrays:
        return TokenArrays.of([trigrams(text, self.rows) for text in texts(inputs).lines()])

    def forward(self, batch: dict[str, Tensor], want: frozenset[str]) -> Signals:
        mask = batch["attention_mask"]  # (B, L)
        vectors = self.table(batch["input_ids"])  # (B, L, D), zeros where there is padding
        body = Signals(embedding=vectors.sum(1) / mask.sum(1, keepdim=True), mask=mask)
        return self.goal.complete(body, self.classifier, batch)


def trigrams(text: str, rows: int) -> list[int]:
    """Rows of the table, from 1 on, since row 0 is padding. An empty text has one trigram too."""
    text = f" {text.lower()} "[: LONGEST + 2]
    return [1 + zlib.crc32(text[i : i + 3].encode()) % rows for i in range(max(1, len(text) - 2))]
