"""Patient KD: soft targets, and the [CLS] vectors of intermediate layers, each brought to unit length.

    L    = (1 - alpha) CE(y, z_S) + alpha tau^2 mean_b KL(softmax(z_T / tau) || softmax(z_S / tau)) + beta L_PT
    L_PT = mean over B, layers and D of (h_S / ||h_S|| - h_T / ||h_T||)^2,   h the [CLS] vector of a layer

Student layer m = 1 ... S - 1 is matched with teacher layer floor(m T / S) (`layers=skip`: 2, 4 ... 10 for 6 of 12) or
T - S + m (`layers=last`: 7 ... 11); the last layer is left to the soft targets.

Sun, Cheng, Gan, Liu, EMNLP 2019, arXiv:1908.09355; official code intersun/PKD-for-BERT-Model-Compression. Needs from
the teacher: logits and hidden states, in every step. The paper writes a sum, its code a mean, which is what beta
belongs to. Deviation of the code: its KL is divided by B C and not by B (`replicate=true`); it computes losses in half
precision, which is not copied. Teacher and student need one width, as there is no projection.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import NonNegativeFloat, PositiveFloat

from bench.errors import RequestError
from bench.inputs import Batch
from bench.losses import unit
from bench.method import Losses, Method, Run, Stage
from bench.signals import Signals


class Pkd(Method):
    """Soft targets and intermediate [CLS] vectors."""

    title = "Patient knowledge distillation (PKD)"
    citation = "Sun, Cheng, Gan, Liu. EMNLP 2019, arXiv:1908.09355"
    needs = frozenset({"logits", "hidden"})

    @dataclass(frozen=True)
    class Settings:
        alpha: NonNegativeFloat = 0.7  # the released RTE run; grid of the paper 0.2, 0.5, 0.7
        temperature: PositiveFloat = 10.0  # the same; grid 5, 10, 20
        beta: NonNegativeFloat = 500.0  # the same; grid 10, 100, 500, 1000
        layers: Literal["skip", "last"] = "skip"
        replicate: bool = False  # the official division of the KL by B C
        lr: PositiveFloat | None = None  # none: the architecture's; official 1e-5

    def __init__(self, settings: Settings, run: Run) -> None:
        super().__init__(settings, run)
        s, t = run.student_shape, run.teacher_shape
        if s.hidden[-1:] != t.hidden[-1:] or not 2 <= s.layers <= t.layers:
            raise RequestError(
                f"pkd matches layers of one width without a projection: the teacher has {t.layers} of {t.hidden[-1:]}, "
                f"the student {s.layers} of {s.hidden[-1:]}; take 2 to {t.layers} layers of the teacher's width"
            )
        skip = [m * t.layers // s.layers for m in range(1, s.layers)]
        self.teacher_layers = (
            skip if settings.layers == "skip" else [t.layers - s.layers + m for m in range(1, s.layers)]
        )

    def stages(self) -> Iterable[Stage]:
        wants = {"output", "hidden"}
        yield self.stage("pkd", self.patient, needs=self.needs, wants=wants)

    def patient(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        s = self.settings
        soft = self.goal.match(*self.goal.pair(student, teacher, batch), s.temperature)
        soft = soft / student.logits.shape[-1] if s.replicate else soft
        ours = torch.stack([h[:, 0] for h in student.hidden[1:-1]])
        theirs = torch.stack([teacher.hidden[n][:, 0] for n in self.teacher_layers])
        return {
            "hard": (1 - s.alpha) * self.goal.loss(student, batch),
            "soft": s.alpha * soft,
            "patience": s.beta * (unit(ours) - unit(theirs)).square().mean(),
        }
