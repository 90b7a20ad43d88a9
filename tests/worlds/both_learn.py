"""The teacher learns beside the student, from the labels and from the student, at a rate of its own.

    L = CE(y, z_S) + CE(y, z_T) + KL(z_T || z_S) + KL(z_S || z_T)

After LEAD (Sun et al., WWW 2024), whose two encoders learn from each other. The run's own teacher stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor

from bench.inputs import Batch
from bench.method import Losses, Method, Part, Role, Stage, Step
from bench.optimiser import Optimiser
from bench.signals import Signals


class BothLearn(Method):
    needs = frozenset({"output"})

    def stages(self) -> Iterable[Stage]:
        parts = {
            "student": Part(lambda m: list(m["student"].parameters()), self.recipe()),
            "teacher": Part(lambda m: list(m["teacher"].parameters()), Optimiser(lr=1e-3, schedule="linear")),
        }
        yield Stage(
            name="both", data="supervised", updates=self.run.track.updates, batch_size=self.run.track.batch_size,
            roles={"student": Role("student", trains=True), "teacher": Role("teacher", trains=True)},
            steps=[Step(self.both, moves=("student", "teacher"))], parts=parts,
        )  # fmt: skip

    def both(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        return {
            "student": self.goal.loss(student, batch), "teacher": self.goal.loss(teacher, batch),
            "to student": self.match(student, teacher, batch), "to teacher": self.match(teacher, student, batch),
        }  # fmt: skip

    def match(self, one: Signals, other: Signals, batch: Batch) -> Tensor:
        return self.goal.match(*self.goal.pair(one, other, batch))
