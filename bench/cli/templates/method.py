"""Embeddings behind a projection: the student learns what the teacher sees in an input, and the labels where there are.

    L = L_task + weight * mean over B and D_T of (W s + b - t)^2

s (B, D_S) and t (B, D_T) are the embeddings of student and teacher, W and b a projection that is trained beside the
student and thrown away. L_task is the task's own loss: cross-entropy of classes, squared error of values ...

After Romero et al. 2015, FitNets, https://arxiv.org/abs/1412.6550, with embeddings in the place of inner layers.
Needs from the teacher: the embedding, computed once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch.nn.functional as F
from pydantic import NonNegativeFloat, PositiveFloat
from torch import nn

from bench.inputs import Batch
from bench.method import Losses, Method, Run, Stage
from bench.signals import Signals


class Template(Method):
    title = "Embeddings behind a projection"
    needs = frozenset({"embedding"})

    @dataclass(frozen=True)
    class Settings:
        weight: NonNegativeFloat = 1.0  # of the embeddings, beside the labels
        lr: PositiveFloat | None = None  # none: the rate of the student's architecture

    def __init__(self, settings: Settings, run: Run) -> None:
        super().__init__(settings, run)
        self.project = nn.Linear(run.student_width, run.teacher_width)

    def stages(self) -> Iterable[Stage]:
        yield self.stage("distil", self.losses, needs=self.needs, wants=self.needs | {"output"})

    def losses(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        near = F.mse_loss(self.project(student.embedding), teacher.embedding)
        losses = {"embedding": self.settings.weight * near}
        return losses if batch.labels is None else losses | {"labels": self.goal.loss(student, batch)}
