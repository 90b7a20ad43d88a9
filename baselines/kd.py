"""Knowledge distillation of an embedding: regression on the teacher's vectors.

    u_i = W f_s(x_i) + b        L = mean over B and D of (u_i - sg(f_t(x_i)))^2

The 'KD' baseline of DisCo (Gao et al., https://arxiv.org/abs/2112.05638; batch and rate as in its official code) and
the loss of Reimers & Gurevych 2020 (https://arxiv.org/abs/2004.09813). Vectors are compared as the two models emit
them: a model whose own pipeline normalises is compared normalised. W is trained beside the student and thrown away;
it exists only where the widths differ, since a free W between equal widths leaves the student's own geometry open.
Needs from the teacher: the embedding, computed once. Deviation from the official code: none known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor, nn

from bench.inputs import Batch
from bench.method import Losses, Method, Optimiser, Run, Stage
from bench.signals import Signals


class Kd(Method):
    """Mean squared error between projected student embeddings and teacher embeddings."""

    title = "Knowledge distillation (embedding regression)"
    citation = "Reimers, Gurevych. EMNLP 2020; Gao et al. arXiv:2112.05638"
    needs = frozenset({"embedding"})
    kinds = frozenset({"embed"})

    @dataclass(frozen=True)
    class Settings:
        lr: PositiveFloat = 2e-4  # official code of DisCo, MSE-KD

    def __init__(self, settings: Settings, run: Run) -> None:
        super().__init__(settings, run)
        same = run.student_width == run.teacher_width
        self.project = nn.Identity() if same else nn.Linear(run.student_width, run.teacher_width)

    def stages(self) -> Iterable[Stage]:
        track, optimiser = (
            self.run.track,
            Optimiser(lr=self.settings.lr, clip=0.0),
        )  # the official MSE run clips nothing
        yield Stage("regression", "distil", self.regression, track.updates, track.batch_size, optimiser, self.needs)

    def regression(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        return {"mse": embedding_mse(self.project(student.embedding), teacher.embedding)}


def embedding_mse(u: Tensor, v: Tensor) -> Tensor:
    """mean (u - sg(v))^2 over (B, D)."""
    return F.mse_loss(u, v.detach())
