"""The student starts from a run's weights and learns from the mean of three teachers, two of which are runs too.

L = mean over teachers of tau^2 KL(softmax(z_T / tau) || softmax(z_S / tau)),  tau = 1
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from bench.inputs import Batch
from bench.method import Losses, Method, Stage, Wanted
from bench.signals import Signals

TEACHERS = ("teacher", "first", "second")


class Started(Method):
    needs = frozenset({"output"})

    @dataclass(frozen=True)
    class Settings:
        start: str = ""  # the student that training starts from; empty: from nothing
        helpers: tuple[str, str] = ("", "")

    @staticmethod
    def wanted(settings: Any) -> Sequence[Wanted]:
        one, two = settings.helpers
        runs = [Wanted("first", one), Wanted("second", two, method="finetune")]
        if settings.start:
            runs.append(Wanted("start", settings.start, method="finetune", use="starts"))
        return runs

    def stages(self) -> Iterable[Stage]:
        yield self.stage("several", self.several, needs=self.needs, teacher=TEACHERS)

    def several(self, student: Signals, teachers: Sequence[Signals], batch: Batch) -> Losses:
        parts = [self.goal.match(*self.goal.pair(student, teacher, batch)) for teacher in teachers]
        return {"soft": torch.stack(parts).mean()}
