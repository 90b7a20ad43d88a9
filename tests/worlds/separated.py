"""Columns that the teacher's loss does not need are taken away while the student learns.

    importance_d <- 0.9 importance_d + 0.1 |sum_w v_wd dL_soft/dv_wd|        the gradient of the soft loss alone
    L = L_soft + c mean f_S^2

After GRAIN (gradient-based intra-attention pruning, Yang et al., ACL 2023): gradients of the two losses are kept apart,
masks grow with the updates, and in the end the network is cut to what the masks leave.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from bench.inputs import Batch
from bench.method import Losses, Method, Part, Role, Run, Stage, Step, learning
from bench.network import Network
from bench.signals import Signals


class Separated(Method):
    needs = frozenset({"output"})
    kinds = frozenset({"embed"})

    @dataclass(frozen=True)
    class Settings:
        remain: float = 0.5  # share of the columns

    def __init__(self, settings: Any, run: Run) -> None:
        super().__init__(settings, run)
        self.project = nn.Linear(run.student_width, run.teacher_width)
        self.register_buffer("importance", torch.zeros(run.student_width))
        self.register_buffer("kept", torch.ones(run.student_width, dtype=torch.bool))
        self.measured = Step(self.soft, moves=())

    def stages(self) -> Iterable[Stage]:
        yield Stage(
            name="prune", data="distil", updates=self.run.track.updates, batch_size=self.run.track.batch_size,
            roles={"student": Role("student", trains=True), "teacher": Role("teacher")},
            steps=[self.measured, Step(self.small, roles=["student"])],
            parts={"all": Part(learning, self.recipe())}, keep="last",
        )  # fmt: skip

    def soft(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        return {"soft": F.mse_loss(self.project(student.embedding), teacher.embedding)}

    def small(self, student: Signals, batch: Batch) -> Losses:
        return {"small": 0.01 * student.embedding.square().mean()}

    def after_backward(self, step: Step) -> None:
        if step is self.measured:
            table = self.run.student.table.weight
            new = (table.grad * table.detach()).sum(0).abs()
            self.importance.mul_(0.9).add_(new, alpha=0.1)

    def after_update(self, progress: float) -> None:
        columns = len(self.kept)
        remain = columns - round(progress * (1 - self.settings.remain) * columns)
        self.kept.fill_(False)[self.importance.topk(remain).indices] = True
        with torch.no_grad():
            self.run.student.table.weight.mul_(self.kept)

    def finish(self, student: Network, teacher: Network) -> Network:
        return student.narrowed(self.kept)
