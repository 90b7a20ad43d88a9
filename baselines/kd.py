"""Knowledge distillation: the student learns what the teacher gives out: classes, values or vectors.

Distributions (classes, tags, ranked candidates), z logits (N, C), tau a temperature, `alpha` the teacher's weight:

    hinton    (1 - alpha) CE(y, z_S) + alpha tau^2 mean_b KL(softmax(z_T / tau) || softmax(z_S / tau))
    repdistiller   the same with alpha 0.9, tau 4 (RepDistiller's CIFAR-100 table: r 0.1, a 0.9)
    simkd     CE + tau^2 KL, both with weight 1 (the KD row of the SimKD toolbox, tau 4)
    mean      hinton with the KL divided by B C instead of B (nn.KLDivLoss's default: official code of PKD and TAKD)
    soft_ce   mean_b -softmax(z_T / tau) . log softmax(z_S / tau), no labels and no tau^2 (TextBrewer, GRAIN)
    logits    mean over B and C of (z_S - z_T)^2, no labels (Ba & Caruana 2014)

Where candidates are ranked, hinton with `alpha=1` is listwise distillation, the DistillKLDivLoss of
sentence-transformers; soft_ce is its cross-entropy form, whose gradient is the same at temperature 1.

Values: (1 - alpha) (z_S - y)^2 + alpha (z_S - z_T)^2 in every form, as a softmax over one output is constant.
Where a training set has no labels, the teacher's part is all, with weight 1.

Embeddings: u_i = W f_s(x_i) + b        L = mean over B and D of (u_i - sg(f_t(x_i)))^2

The embedding form is the 'KD' baseline of DisCo (Gao et al., https://arxiv.org/abs/2112.05638; batch and rate as in its
official code) and the loss of Reimers & Gurevych 2020 (https://arxiv.org/abs/2004.09813). Vectors are compared as the
two models emit them. W is trained beside the student and thrown away; it exists only where the widths differ, since a
free W between equal widths leaves the student's own geometry open.
Needs from the teacher: its output, computed once. Sources of the class forms: Hinton et al. 2015, arXiv:1503.02531;
Tian et al. 2020 and its code RepDistiller; Chen et al. 2022 (SimKD); Sun et al. 2019 (PKD); Mirzadeh et al. 2020.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor, nn

from bench.errors import RequestError
from bench.inputs import Batch
from bench.losses import mean_square, soft_divergence
from bench.method import Losses, Method, Run, Stage, Tuned
from bench.optimiser import Optimiser
from bench.signals import Signals

# (weight of the labels, weight of the teacher, temperature) of a form, where --set gives none
FORMS = {
    "hinton": (0.5, 0.5, 4.0),
    "repdistiller": (0.1, 0.9, 4.0),
    "simkd": (1.0, 1.0, 4.0),
    "mean": (0.3, 0.7, 20.0),  # PKD's released preset of plain KD
    "soft_ce": (0.0, 1.0, 1.0),
    "logits": (0.0, 1.0, 1.0),
}


class Kd(Method):
    """The teacher's outputs as targets."""

    title = "Knowledge distillation"
    citation = "Hinton, Vinyals, Dean. arXiv:1503.02531; for embeddings Reimers, Gurevych. EMNLP 2020"
    needs = frozenset({"output"})
    recipes = {"embed": Optimiser(lr=2e-4, clip=0.0)}  # official code of DisCo, MSE-KD, which clips nothing

    @dataclass(frozen=True)
    class Settings:
        # hinton | repdistiller | simkd | mean | soft_ce | logits
        form: Literal["hinton", "repdistiller", "simkd", "mean", "soft_ce", "logits"] = "hinton"
        # weight of the teacher, the labels' is 1 - alpha; none: the form's own
        alpha: Annotated[float | None, Tuned(0, 1, without={"embed"})] = None
        # none: the form's own
        temperature: Annotated[PositiveFloat | None, Tuned(1, 16, log=True, without={"embed", "regress"})] = None
        lr: PositiveFloat | None = None  # none: the recipe's

    def __init__(self, settings: Settings, run: Run) -> None:
        super().__init__(settings, run)
        labels, teacher, temperature = FORMS[settings.form]
        if settings.alpha is not None:
            if not 0 <= settings.alpha <= 1:
                raise RequestError(f"alpha must be between 0 and 1, not {settings.alpha}")
            labels, teacher = 1 - settings.alpha, settings.alpha
        self.weights, self.temperature = (labels, teacher), settings.temperature or temperature
        ours, theirs = self.goal.width(run.student_width), self.goal.width(run.teacher_width)
        self.project = nn.Identity() if ours == theirs else nn.Linear(ours, theirs)

    def stages(self) -> Iterable[Stage]:
        yield self.stage("kd", self.soft_targets, needs=self.needs)

    def soft_targets(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        labels, soft = (0.0, 1.0) if batch.labels is None else self.weights
        losses = {"soft": soft * self.match(student, teacher, batch)}
        return losses | ({"hard": labels * self.goal.loss(student, batch)} if labels else {})

    def match(self, student: Signals, teacher: Signals, batch: Batch) -> Tensor:
        ours, theirs = self.goal.pair(student, teacher, batch)
        if self.goal.distributions:
            if self.settings.form == "logits":
                return mean_square(ours, theirs, self.goal.real(theirs))
            return divergence(self.settings.form, ours, theirs, self.temperature)
        return self.goal.match(self.project(ours), theirs)


def divergence(form: str, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """The teacher's part of a form of distributions; logits (N, C), the teacher's without gradient."""
    if form == "soft_ce":
        return F.cross_entropy(student / temperature, (teacher / temperature).softmax(-1))
    scale = student.shape[-1] if form == "mean" else 1
    return soft_divergence(student, teacher, temperature) / scale
