"""Annealing-KD: first the teacher's logits, made small and grown step by step, then the labels alone.

    stage 1, no labels    L = mean over B and C of (z_S - phi(T) sg(z_T))^2     phi(T) = 1 - (T - 1) / T_max
    stage 2               L = CE(y, z_S)                                         (squared error of a regression)

T falls from T_max to 1 in T_max equal parts of stage 1, so phi rises from 1 / T_max to 1. No temperature is on the
student, and logits are compared, not probabilities.

Jafari, Rezagholizadeh, Sharma, Ghodsi, "Annealing Knowledge Distillation", EACL 2021, arXiv:2104.07163; official code
huawei-noah/Efficient-NLP, Annealing_KD. Needs from the teacher: its logits, computed once. Deviations: the official
code gives each T a whole number of epochs and so may pass phi = 1 where T_max does not divide them, which equal parts
cannot; it squares (B, 1) outputs against (B,) labels, which broadcasts to (B, B), and here they are squeezed; and it
chooses CIFAR checkpoints on the test set, here as everywhere on dev. Both stages together make the track's updates,
so that the method gets the updates of every other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import PositiveFloat, PositiveInt

from bench.errors import RequestError
from bench.inputs import Batch
from bench.losses import annealed, mean_square, tail
from bench.method import Losses, Method, Run, Stage
from bench.signals import Signals


class Annealing(Method):
    """Regression on growing teacher logits, then supervised training."""

    title = "Annealing-KD"
    citation = "Jafari, Rezagholizadeh, Sharma, Ghodsi. EACL 2021, arXiv:2104.07163"
    needs = frozenset({"logits"})
    defaults = {"image": {"t_max": 10, "share": 0.5}}  # official CIFAR run: 200 epochs each

    @dataclass(frozen=True)
    class Settings:
        t_max: PositiveInt = 7  # official GLUE run
        share: PositiveFloat = 0.75  # of the updates in stage 1, our choice: the official GLUE run has 14 of 18 epochs
        lr: PositiveFloat | None = None  # none: the architecture's; official 2e-5 (GLUE), 0.1 (CIFAR)

    def __init__(self, settings: Settings, run: Run) -> None:
        super().__init__(settings, run)
        if settings.share >= 1:
            raise RequestError(f"share is the part of the updates in stage 1, below 1, not {settings.share}")

    def stages(self) -> Iterable[Stage]:
        first, second = tail(self.run.track.updates, self.settings.share)
        yield self.stage("anneal", self.anneal, needs=self.needs, updates=first)
        yield self.stage("supervised", self.labels, data="supervised", updates=second)

    def anneal(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        ours, theirs = self.goal.pair(student, teacher, batch)
        scaled = annealed(batch.progress, self.settings.t_max) * theirs
        return {"logits": mean_square(ours, scaled, self.goal.real(theirs))}

    def labels(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        return {"hard": self.goal.loss(student, batch)}
