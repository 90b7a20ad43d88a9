"""The student starts from a network of another task, and keeps near what that network says of its inputs.

L = CE(y, z) + w mean over B and D of (f_S - f_other)^2
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F

from bench.inputs import Batch
from bench.method import Losses, Method, Stage, Wanted
from bench.signals import Signals


class Elsewhere(Method):
    needs = frozenset({"embedding"})

    @dataclass(frozen=True)
    class Settings:
        task: str = ""  # whose network it is
        student: str = ""
        weight: float = 0.1

    @staticmethod
    def wanted(settings: Any) -> Sequence[Wanted]:
        run = {"student": settings.student, "method": "finetune", "task": settings.task}
        return [Wanted("other", **run), Wanted("start", **run, use="starts")]

    def stages(self) -> Iterable[Stage]:
        wants = {"output", "embedding"}
        yield self.stage("near", self.near, needs=self.needs, wants=wants, teacher="other")

    def near(self, student: Signals, other: Signals, batch: Batch) -> Losses:
        near = self.settings.weight * F.mse_loss(student.embedding, other.embedding)
        return {"hard": self.goal.loss(student, batch), "near": near}
