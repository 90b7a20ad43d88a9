"""DistilBERT's losses on a task: soft targets, labels, and the direction of the last hidden states.

    L = 5 tau^2 mean_b KL(softmax(z_T / tau) || softmax(z_S / tau)) + 2 CE(y, z_S) + 1 mean_t (1 - cos(h_S, h_T))

h are last hidden states (B, L, D) of tokens that are no padding, tau = 2.

Sanh, Debut, Chaumond, Wolf 2019, arXiv:1910.01108; losses and weights as in the released distillation code of
huggingface/transformers. That is pre-training: its soft targets are over the vocabulary and its labels are masked
words, on general text. Here the same three terms are taken on the task's own classes and texts, which the paper does
only with soft targets (its second, task-specific step); so this is no reproduction of DistilBERT. Its released student
starts from layers 0, 2, 4, 7, 9 and 11 of 12; `bert:6` takes 1, 3, 5, 7, 9 and 11 (`--set bert.init=gap`). Needs from
the teacher: logits and hidden states, in every step, at the student's width and with its tokenizer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch.nn.functional as F
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor

from bench.errors import RequestError
from bench.inputs import Batch
from bench.losses import aligned
from bench.method import Losses, Method, Run, Stage
from bench.signals import Signals


class Distilbert(Method):
    """Soft targets, labels and a cosine between last hidden states."""

    title = "DistilBERT's losses, on task data"
    citation = "Sanh, Debut, Chaumond, Wolf. arXiv:1910.01108"
    needs = frozenset({"logits", "hidden"})

    @dataclass(frozen=True)
    class Settings:
        soft: NonNegativeFloat = 5.0  # alpha_ce
        hard: NonNegativeFloat = 2.0  # alpha_mlm, here of the labels
        cosine: NonNegativeFloat = 1.0  # alpha_cos
        temperature: PositiveFloat = 2.0
        lr: PositiveFloat | None = None  # none: the architecture's

    def __init__(self, settings: Settings, run: Run) -> None:
        super().__init__(settings, run)
        ours, theirs = run.student_shape.hidden[-1:], run.teacher_shape.hidden[-1:]
        if ours != theirs:
            raise RequestError(f"distilbert compares hidden states of one width; here they are {ours} and {theirs}")

    def stages(self) -> Iterable[Stage]:
        wants = {"output", "hidden"}
        yield self.stage("distil", self.three, needs=self.needs, wants=wants)

    def three(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        s = self.settings
        return {
            "soft": s.soft * self.goal.match(*self.goal.pair(student, teacher, batch), s.temperature),
            "hard": s.hard * self.goal.loss(student, batch),
            "cosine": s.cosine * direction(student.hidden[-1], teacher.hidden[-1], aligned(student, teacher)),
        }


def direction(ours: Tensor, theirs: Tensor, mask: Tensor) -> Tensor:
    """mean over real tokens of 1 - cos, (B, L, D) and mask (B, L)."""
    return ((1 - F.cosine_similarity(ours, theirs.detach(), dim=-1)) * mask).sum() / mask.sum()
