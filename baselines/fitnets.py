"""FitNets: the student's feature maps at a hint layer, through a regressor, are to be the teacher's.

    stages=1   L = CE(y, z_S) + beta mean (ReLU(BN(r(f_S))) - f_T)^2                 (RepDistiller, beta 100)
    stages=2   first L = 1/2 mean ||r(f_S) - f_T||^2 alone, then KD with labels      (Romero et al.)

r is a 1 x 1 convolution to the teacher's channels; where the two maps differ in size the larger is averaged down, in
place of RepDistiller's strided or transposed convolutions. Hint 2 is the map after the second stage.

Romero et al., ICLR 2015, arXiv:1412.6550; HobbitLong/RepDistiller. Needs from the teacher: feature maps in every step.
The weight has no meaning across architectures, as the loss is not normalised. The paper sums squares where we take the
mean, so that the rate need not follow the size of the maps.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal

import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat
from torch import Tensor, nn

from bench.errors import RequestError
from bench.inputs import Batch
from bench.losses import soft_divergence, tail
from bench.method import Losses, Method, Run, Stage, Weight
from bench.signals import Signals


class Fitnets(Method):
    """Regression on feature maps."""

    title = "FitNets (hints)"
    citation = "Romero et al. ICLR 2015, arXiv:1412.6550"
    needs = frozenset({"maps", "logits"})
    kinds = frozenset({"classify"})

    @dataclass(frozen=True)
    class Settings:
        stages: Literal[1, 2] = 1
        beta: NonNegativeFloat = 100.0  # RepDistiller
        hint: NonNegativeInt = 2  # 0: after the stem; n: after stage n
        share: Annotated[float, Field(gt=0, lt=1)] = 0.5  # of the updates in the first of two stages; our choice
        # of soft targets in the second of two stages, with temperature 4; the labels' is 1 - alpha; our choice
        alpha: Weight = 0.5
        lr: PositiveFloat | None = None  # none: the architecture's

    def __init__(self, settings: Settings, run: Run) -> None:
        super().__init__(settings, run)
        ours, theirs = run.student_shape.hidden, run.teacher_shape.hidden
        if settings.hint >= min(len(ours), len(theirs)):
            raise RequestError(
                f"fitnets: there is no map {settings.hint}; both networks have 0 to {min(len(ours), len(theirs)) - 1}"
            )
        channels = theirs[settings.hint]
        self.regress = nn.Conv2d(ours[settings.hint], channels, 1, bias=settings.stages == 2)
        self.norm = nn.BatchNorm2d(channels) if settings.stages == 1 else nn.Identity()

    def stages(self) -> Iterable[Stage]:
        s = self.settings
        if s.stages == 1:
            yield self.stage("fitnets", self.both, needs={"maps"}, wants={"output", "maps"})
            return
        first, second = tail(self.run.track.updates, s.share)
        yield self.stage("hint", self.hint, needs={"maps"}, wants={"maps"}, updates=first, keep="last")
        yield self.stage("kd", self.soft, needs={"logits"}, updates=second)

    def both(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        ours, theirs = self.maps(student, teacher)
        match = F.mse_loss(F.relu(self.norm(self.regress(ours))), theirs)
        return {"hard": self.goal.loss(student, batch), "hint": self.settings.beta * match}

    def hint(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        ours, theirs = self.maps(student, teacher)
        return {"hint": 0.5 * F.mse_loss(self.regress(ours), theirs)}

    def soft(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        a = self.settings.alpha
        hard = self.goal.loss(student, batch)
        return {"hard": (1 - a) * hard, "soft": a * soft_divergence(student.logits, teacher.logits, 4.0)}

    def maps(self, student: Signals, teacher: Signals) -> tuple[Tensor, Tensor]:
        """Both hint maps at the smaller height and width. RequestError: the teacher has none."""
        if "maps" not in teacher:
            raise RequestError(
                "fitnets: this teacher gives no feature maps: take a convolutional one, as --teacher resnet:20"
            )
        ours, theirs = student.maps[self.settings.hint], teacher.maps[self.settings.hint].detach()
        size = min(ours.shape[-2], theirs.shape[-2]), min(ours.shape[-1], theirs.shape[-1])
        return F.adaptive_avg_pool2d(ours, size), F.adaptive_avg_pool2d(theirs, size)
