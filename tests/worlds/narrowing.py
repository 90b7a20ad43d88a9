"""The mean of word vectors, some of whose columns can be taken away: what is left is a smaller network."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import RequestError
from bench.network import Network
from bench.networks.words import WordNetwork
from bench.students.bow import Bow, Mean
from bench.task import Task


class NarrowNetwork(WordNetwork):
    def blueprint(self) -> dict[str, Any]:
        return {"width": self.width}

    @torch.no_grad()
    def narrowed(self, kept: Tensor) -> NarrowNetwork:
        """A network of these columns alone, (D,) bool."""
        small = copy.deepcopy(self)
        columns = self.table.weight[:, kept].clone()
        small.table = nn.Embedding.from_pretrained(columns, freeze=False, padding_idx=self.tokens.pad)
        small.body, small.width = Mean(columns.shape[1]), columns.shape[1]
        return small


class Narrowing(Bow):
    def build(self, size: str, task: Task, teacher: Network | None) -> NarrowNetwork:
        return NarrowNetwork(Mean(int(self.check(size))), self.settings, task, teacher)

    def rebuild(self, blueprint: Mapping[str, Any], size: str, task: Task, teacher: Network | None) -> NarrowNetwork:
        if blueprint and set(blueprint) != {"width"}:
            raise RequestError(f"no blueprint of a narrowing network: {dict(blueprint)}")
        return self.build(str(blueprint.get("width", size)), task, teacher)
