"""Continuation-KD: from the teacher's shrunken logits, within a margin, to the labels, in one smooth stage.

    L     = psi CE(y, z_S) + (1 - psi) L_CNT                           (squared error of a regression)
    L_CNT = mean_b max(0, ||z_S - phi(T) sg(z_T)||^2 - m phi(T))       phi(T) = 1 - (T - 1) / T_max

T falls from T_max to 1 in T_max equal parts of the stage. psi is the weight of the labels:

    glue     progress x 3/4 up to two thirds of the stage, then 1       (i/40 for i <= 20 of 30 epochs, then 1)
    cifar    min(1, progress x 4/3)                                     (min(1, i/150) of 200 epochs)

Jafari, Kobyzev, Rezagholizadeh, Poupart, Ghodsi, "Continuation KD", Findings of EMNLP 2022, arXiv:2212.05998; no
official code was found. Needs from the teacher: its logits, computed once. Readings of what the paper leaves open: the
hinge is on each example's sum over classes (`reduction=mean`: on its mean); T stops at 1, where the paper's loop would
reach 0 and phi pass 1; psi starts at 0, where its text says so and its formula says 1/40. The margin m is never given
there: 0 is the default, and `--set margin=` takes another, to be chosen on dev. With either psi the labels have all the
weight before phi is 1: the teacher's full logits are never matched. The sum grows with the classes and with the size
of logits: plain convolutional networks under SGD diverged on it here and learnt with the mean.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from bench.inputs import Batch
from bench.losses import annealed
from bench.method import Losses, Method, Stage
from bench.signals import Signals


class Continuation(Method):
    """A weighted sum whose weight moves from the teacher to the labels."""

    title = "Continuation-KD"
    citation = "Jafari, Kobyzev, Rezagholizadeh, Poupart, Ghodsi. Findings of EMNLP 2022, arXiv:2212.05998"
    needs = frozenset({"logits"})
    defaults = {"image": {"t_max": 20, "psi": "cifar"}}  # the paper's, on CIFAR

    @dataclass(frozen=True)
    class Settings:
        t_max: PositiveInt = 10  # the paper's, on GLUE
        margin: NonNegativeFloat = 0.0  # unknown; see above
        psi: Literal["glue", "cifar"] = "glue"
        reduction: Literal["sum", "mean"] = "sum"  # over the classes of an example
        lr: PositiveFloat | None = None  # none: the architecture's; the paper 2e-5 (GLUE), 0.2 (CIFAR)

    def stages(self) -> Iterable[Stage]:
        yield self.stage("continuation", self.both, needs=self.needs)

    def both(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        s, weight = self.settings, psi(self.settings.psi, batch.progress)
        scale = annealed(batch.progress, s.t_max)
        ours, theirs = self.goal.pair(student, teacher, batch)
        match = hinge(ours, theirs, scale, s.margin, s.reduction, self.goal.real(theirs))
        return {"hard": weight * self.goal.loss(student, batch), "match": (1 - weight) * match}


def psi(form: str, progress: float) -> float:
    """The labels' weight when this share of the stage is done."""
    if form == "cifar":
        return min(1.0, progress * 4 / 3)
    return progress * 3 / 4 if progress < 2 / 3 else 1.0


def hinge(
    student: Tensor, teacher: Tensor, scale: float, margin: float, reduction: str, real: Tensor | None = None
) -> Tensor:
    """mean_b max(0, ||z_S - scale z_T||^2 - margin scale); 0, and without gradient, inside the margin. Of entries that
    are not `real`, where that is given, there is no distance."""
    squares = (student - scale * teacher.detach()).square()
    if real is not None:
        squares = squares.masked_fill(~real, 0)
    if reduction == "sum":
        distance = squares.sum(-1)
    else:
        distance = squares.mean(-1) if real is None else squares.sum(-1) / real.sum(-1).clamp(min=1)
    return (distance - margin * scale).relu().mean()
