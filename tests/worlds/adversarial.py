"""A judge tells the student's embeddings from the teacher's; the student learns the labels, and to mislead it.

    judge     L = BCE(d(f_T), 1) + BCE(d(W f_S), 0)
    student   L = CE(y, z_S) + w BCE(d(W f_S), 1)

After ACKD. The judge moves with an optimiser of its own, first; the student's step leaves it alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.inputs import Batch
from bench.method import Losses, Method, Part, Role, Run, Stage, Step
from bench.optimiser import Optimiser
from bench.signals import Signals


class Adversarial(Method):
    needs = frozenset({"embedding"})

    @dataclass(frozen=True)
    class Settings:
        weight: float = 0.1

    def __init__(self, settings: Any, run: Run) -> None:
        super().__init__(settings, run)
        self.project = nn.Linear(run.student_width, run.teacher_width)
        self.judge = nn.Linear(run.teacher_width, 1)

    def stages(self) -> Iterable[Stage]:
        own = Part(lambda m: [*m["student"].parameters(), *m["method"].project.parameters()], self.recipe())
        judge = Part(lambda m: list(m["method"].judge.parameters()), Optimiser(lr=1e-2, kind="sgd", clip=0))
        both = {"output", "embedding"}
        yield Stage(
            name="adversarial", data="distil", updates=self.run.track.updates, batch_size=self.run.track.batch_size,
            roles={"student": Role("student", both, trains=True), "teacher": Role("teacher", self.needs)},
            steps=[Step(self.judging, moves=["judge"]), Step(self.misleading, moves=["student"])],
            parts={"student": own, "judge": judge},
        )  # fmt: skip

    def judging(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        return {"judge": self.real(teacher.embedding, 1) + self.real(self.project(student.embedding).detach(), 0)}

    def misleading(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        misled = self.settings.weight * self.real(self.project(student.embedding), 1)
        return {"hard": self.goal.loss(student, batch), "misled": misled}

    def real(self, embedding: Tensor, truth: float) -> Tensor:
        said = self.judge(embedding)
        return F.binary_cross_entropy_with_logits(said, torch.full_like(said, truth))
