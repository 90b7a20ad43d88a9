"""Soft targets and every other hidden state of a teacher of the same shape: what GRAIN is where nothing goes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from bench.inputs import Batch
from bench.method import Losses, Method, Run, Stage
from bench.signals import Signals

TAU = 8.0


class Matching(Method):
    needs = frozenset({"logits", "hidden"})

    @dataclass(frozen=True)
    class Settings:
        lr: float | None = None

    def __init__(self, settings: Any, run: Run) -> None:
        super().__init__(settings, run)
        self.maps = nn.ModuleList(nn.Linear(width, width) for width in run.student_shape.hidden[::2])
        for linear in self.maps:
            linear.weight.data.copy_(torch.eye(len(linear.weight)))
            linear.bias.data.zero_()

    def stages(self) -> Iterable[Stage]:
        recipe = self.recipe(schedule="linear")
        yield self.stage("match", self.both, needs=self.needs, wants=self.needs, optimiser=recipe, keep="last")

    def both(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        targets = torch.softmax(teacher.logits / TAU, 1)
        soft = -(targets * torch.log_softmax(student.logits / TAU, 1)).sum(1).mean()
        real = student.mask.bool()
        states = zip(self.maps, student.hidden[::2], teacher.hidden[::2], strict=True)
        return {"soft": soft, "hidden": sum(((m(s)[real] - t[real]) ** 2).mean() for m, s, t in states)}
