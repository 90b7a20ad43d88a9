"""Knowledge distillation: the student learns what the teacher gives out, classes and embeddings each in its own way.

Classes, z logits (B, C), tau a temperature, `alpha` the weight of the teacher:

    hinton    (1 - alpha) CE(y, z_S) + alpha tau^2 mean_b KL(softmax(z_T / tau) || softmax(z_S / tau))
    repdistiller   the same with alpha 0.9, tau 4 (RepDistiller's CIFAR-100 table: r 0.1, a 0.9)
    simkd     CE + tau^2 KL, both with weight 1 (the KD row of the SimKD toolbox, tau 4)
    mean      hinton with the KL divided by B C instead of B (nn.KLDivLoss's default: official code of PKD and TAKD)
    soft_ce   mean_b -softmax(z_T / tau) . log softmax(z_S / tau), no labels and no tau^2 (TinyBERT's prediction, GRAIN)
    logits    mean over B and C of (z_S - z_T)^2, no labels (Ba & Caruana 2014)

Regression: (1 - alpha) (z_S - y)^2 + alpha (z_S - z_T)^2 in every form, as a softmax over one output is constant.

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
from dataclasses import dataclass, replace
from typing import Literal

import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor, nn

from bench.errors import RequestError
from bench.inputs import Batch
from bench.losses import soft_divergence, supervised
from bench.method import Losses, Method, Run, Stage
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

    @dataclass(frozen=True)
    class Settings:
        # hinton | repdistiller | simkd | mean | soft_ce | logits
        form: Literal["hinton", "repdistiller", "simkd", "mean", "soft_ce", "logits"] = "hinton"
        alpha: float | None = None  # weight of the teacher, the labels' is 1 - alpha; none: the form's own
        temperature: PositiveFloat | None = None  # none: the form's own
        lr: PositiveFloat | None = None  # none: the architecture's; of embeddings 2e-4 (official code of DisCo, MSE-KD)

    def __init__(self, settings: Settings, run: Run) -> None:
        super().__init__(settings, run)
        labels, teacher, temperature = FORMS[settings.form]
        if settings.alpha is not None:
            if not 0 <= settings.alpha <= 1:
                raise RequestError(f"alpha must be between 0 and 1, not {settings.alpha}")
            labels, teacher = 1 - settings.alpha, settings.alpha
        self.weights, self.temperature = (labels, teacher), settings.temperature or temperature
        same = run.student_width == run.teacher_width or run.task.kind != "embed"
        self.project = nn.Identity() if same else nn.Linear(run.student_width, run.teacher_width)

    def stages(self) -> Iterable[Stage]:
        track, embeds = self.run.track, self.run.task.kind == "embed"
        # the official MSE run of embeddings clips nothing
        recipe = Optimiser(lr=2e-4, clip=0.0) if embeds else self.run.optimiser
        optimiser = replace(recipe, lr=self.settings.lr or recipe.lr)
        name, loss = ("regression", self.regression) if embeds else ("kd", self.soft_targets)
        yield Stage(name, "distil", loss, track.updates, track.batch_size, optimiser, self.needs)

    def regression(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        return {"mse": embedding_mse(self.project(student.embedding), teacher.embedding)}

    def soft_targets(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        labels, soft = self.weights
        losses = {"soft": soft * divergence(self.settings.form, student.logits, teacher.logits, self.temperature)}
        return losses | ({"hard": labels * supervised(student.logits, batch.labels)} if labels else {})


def divergence(form: str, student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """The teacher's part of a form; logits (B, C), the teacher's without gradient."""
    if form == "logits" or student.shape[-1] == 1:
        return F.mse_loss(student, teacher.detach())
    if form == "soft_ce":
        return F.cross_entropy(student / temperature, (teacher.detach() / temperature).softmax(-1))
    scale = student.shape[-1] if form == "mean" else 1
    return soft_divergence(student, teacher, temperature) / scale


def embedding_mse(u: Tensor, v: Tensor) -> Tensor:
    """mean (u - sg(v))^2 over (B, D)."""
    return F.mse_loss(u, v.detach())
