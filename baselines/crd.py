"""Contrastive representation distillation: the student's and the teacher's vector of one example against many others.

    h(s, t) = exp(s . t / tau) / Z
    L_one = -1/B sum_b [log h+ / (h+ + K/N + eps) + sum over K negatives of log (K/N) / (h- + K/N + eps)]
    L = CE(y, z_S) + beta (L_one(student against kept teacher vectors) + L_one(teacher against kept student vectors))

s and t are embeddings through a Linear each to 128 and to unit length. N vectors of each side are kept and moved by
momentum; negatives are drawn among the examples of other classes. Z is fixed by the first batch, for each side.

Tian, Krishnan, Isola, ICLR 2020, arXiv:1910.10699; official code HobbitLong/RepDistiller (CRD row: labels 1, beta 0.8).
Needs from the teacher: the embedding. K = 16,384 there; here at most the examples of other classes. `alpha` adds soft
targets (its CRD+KD row: 1). Similarities to all kept vectors are made at once and the negatives taken from them, which
gives the same numbers as gathering the vectors. Negatives are drawn with replacement; the code draws without where
there are enough of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from bench.errors import RequestError
from bench.inputs import Batch
from bench.losses import soft_divergence, unit
from bench.method import Losses, Method, Names, Run, Stage
from bench.signals import Signals

EPS = 1e-7


class Crd(Method):
    """Noise-contrastive estimation with memories of both sides."""

    title = "Contrastive representation distillation (CRD)"
    citation = "Tian, Krishnan, Isola. ICLR 2020, arXiv:1910.10699"
    needs = frozenset({"embedding", "logits"})
    kinds = frozenset({"classify"})

    @dataclass(frozen=True)
    class Settings:
        beta: NonNegativeFloat = 0.8
        alpha: NonNegativeFloat = 0.0  # of soft targets, with temperature 4; 1 in CRD+KD
        negatives: PositiveInt = 16_384
        temperature: PositiveFloat = 0.07
        momentum: NonNegativeFloat = 0.5
        width: PositiveInt = 128
        lr: PositiveFloat | None = None  # none: the architecture's

    order: Tensor  # (N,) examples, class by class
    counts: Tensor  # (C,) examples of each class
    starts: Tensor  # (C,) where each class starts in `order`
    student_memory: Tensor  # (N, W)
    teacher_memory: Tensor  # (N, W)
    scales: Tensor  # (2,) Z of each side; 0 until the first batch

    def __init__(self, settings: Settings, run: Run) -> None:
        super().__init__(settings, run)
        s = settings
        if run.task.examples("distil").mixing:
            raise RequestError("crd: negatives are of other classes, and smoothed or mixed labels are of several")
        labels = torch.from_numpy(np.asarray(run.task.examples("distil").labels))
        if (labels < 0).any():
            raise RequestError("crd draws negatives of other classes, and some of what it reads has no label")
        self.project_student = nn.Linear(run.student_width, s.width)
        self.project_teacher = nn.Linear(run.teacher_width, s.width)
        counts = torch.bincount(labels)
        self.count = min(s.negatives, int(len(labels) - counts.max()))
        order = torch.argsort(labels, stable=True)
        bound = 1 / (s.width / 3) ** 0.5  # the official start of the memories
        for name, value in (
            ("order", order), ("counts", counts), ("starts", counts.cumsum(0) - counts),
            ("student_memory", torch.empty(len(labels), s.width).uniform_(-bound, bound)),
            ("teacher_memory", torch.empty(len(labels), s.width).uniform_(-bound, bound)),
            ("scales", torch.zeros(2)),
        ):  # fmt: skip
            self.register_buffer(name, value)

    @staticmethod
    def needed(settings: Any, names: Names) -> Names:
        return names if settings.alpha else {"embedding"}

    def stages(self) -> Iterable[Stage]:
        needs = self.needed(self.settings, self.needs)
        wants = {"output", "embedding"}
        yield self.stage("crd", self.contrast, needs=needs, wants=wants)

    def contrast(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        s = unit(self.project_student(student.embedding))
        t = unit(self.project_teacher(teacher.embedding.detach()))
        chosen = torch.cat([batch.rows[:, None], self.draw(batch.labels)], 1)
        losses = {
            "hard": self.goal.loss(student, batch),
            "crd": self.settings.beta
            * (self.side(s, self.teacher_memory, chosen, 0) + self.side(t, self.student_memory, chosen, 1)),
        }
        if self.settings.alpha:
            losses["soft"] = self.settings.alpha * soft_divergence(student.logits, teacher.logits, 4.0)
        self.fresh = (batch.rows, s.detach(), t.detach())
        return losses

    def after_update(self, progress: float) -> None:
        """Only now may the kept vectors move: the backward pass reads them."""
        rows, s, t = self.fresh
        self.remember(self.student_memory, s, rows)
        self.remember(self.teacher_memory, t, rows)

    def draw(self, labels: Tensor) -> Tensor:
        """(B,) classes -> (B, K) examples of other classes: positions in class order that jump over the own class."""
        start, size = self.starts[labels][:, None], self.counts[labels][:, None]
        left = len(self.order) - size
        at = (torch.rand(len(labels), self.count, device=labels.device) * left).long().clamp(max=left - 1)
        return self.order[torch.where(at < start, at, at + size)]

    def side(self, anchors: Tensor, memory: Tensor, chosen: Tensor, number: int) -> Tensor:
        """The loss of anchors (B, W) against the kept vectors (N, W) of `chosen` (B, 1 + K), the positive first."""
        h = torch.exp((anchors @ memory.T).gather(1, chosen) / self.settings.temperature)
        first = h.detach().mean() * len(memory)
        scale = torch.where(self.scales[number] > 0, self.scales[number], first)
        self.scales[number] = scale
        return estimation(h / scale, len(memory))

    def remember(self, memory: Tensor, fresh: Tensor, rows: Tensor) -> None:
        m = self.settings.momentum
        memory[rows] = unit(m * memory[rows] + (1 - m) * fresh)


def estimation(h: Tensor, n: int) -> Tensor:
    """h (B, 1 + K) of the positive and K negatives, N kept vectors -> the loss of the batch."""
    noise = (h.shape[1] - 1) / n
    positive = torch.log(h[:, 0] / (h[:, 0] + noise + EPS))
    negative = torch.log(noise / (h[:, 1:] + noise + EPS)).sum(1)
    return -(positive + negative).mean()
