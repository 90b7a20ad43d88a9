"""Teacher-assistant KD: the teacher teaches assistants of sizes between, one after the other, the last the student.

    each hop   L = (1 - lambda) CE(y, z) + lambda tau^2 mean_b KL(softmax(z_above / tau) || softmax(z / tau))

Each assistant is a `kd` run of its own, with its record, and is reused by every run that names it; their cost is in
those records. `assistants` goes from large to small, as in `--set takd.assistants='["resnet:14"]'`, its default: for
images, between the teacher resnet:20 and the student resnet:8. Other pairs have to name theirs.

Mirzadeh et al., AAAI 2020, arXiv:1902.03393; official code imirzadeh/Teacher-Assistant-Knowledge-Distillation. Needs
from the last assistant: logits. Deviations of the code, not copied: its KL is divided by B C, its schedule never
leaves the low rate, and it reports the best epoch on test. It searches lambda and tau for each pair; the defaults here
are those of our `kd`, so that the two differ in nothing but the assistants. Settings are of the last hop alone: the
assistants learn with the defaults of `kd`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import PositiveFloat

from bench.errors import RequestError
from bench.inputs import Batch
from bench.method import Losses, Method, Stage, Wanted, Weight
from bench.signals import Signals


class Takd(Method):
    """KD from the last of a chain of assistants."""

    title = "Teacher-assistant KD (TAKD)"
    citation = "Mirzadeh et al. AAAI 2020, arXiv:1902.03393"
    needs = frozenset({"logits"})

    @dataclass(frozen=True)
    class Settings:
        assistants: tuple[str, ...] = ("resnet:14",)  # between resnet:20 and resnet:8, the pair of images
        weight: Weight = 0.5  # lambda
        temperature: PositiveFloat = 4.0
        lr: PositiveFloat | None = None  # none: the architecture's

        def __post_init__(self) -> None:
            if not self.assistants:
                raise RequestError("takd needs an assistant: --set takd.assistants='[\"resnet:14\"]'")

    @staticmethod
    def wanted(settings: Any) -> Sequence[Wanted]:
        names = [f"assistant {n}" for n in range(len(settings.assistants))]
        chain = zip(names, settings.assistants, ["", *names], strict=False)
        return [Wanted(name, student, teacher=before) for name, student, before in chain]

    def stages(self) -> Iterable[Stage]:
        last = self.wanted(self.settings)[-1].name
        yield self.stage("takd", self.soft_targets, needs=self.needs, teacher=last)

    def soft_targets(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        s = self.settings
        return {
            "hard": (1 - s.weight) * self.goal.loss(student, batch),
            "soft": s.weight * self.goal.match(*self.goal.pair(student, teacher, batch), s.temperature),
        }
