"""Oracle Teacher: the student learns from a teacher that was told the answer beside the input. A reconstruction.

    L = L_task(student, y) + weight D(student, oracle)
    l2    D = mean over frames (or target pieces) of || softmax(z_S) - softmax(z_O) ||^2
    kl    D = mean of KL(softmax(z_O) || softmax(z_S))

The oracle reads input and target, of which half is masked while it is taught, and is taught as any teacher, once
(`students/oracle_speech.py`, `oracle_scene.py`, `oracle_translation.py`, which say what is ours in them). It teaches
beside the run's own teacher, which this method does not ask: that one has the row on test, and an oracle has none, as
nobody tells it the answers there. CTC is divided by frames as D is, so their ratio is that of sums over an utterance.

Yoon et al., arXiv:2111.03664 (v1 with machine translation; IEEE/ACM TASLP 2023 of CTC models alone). The distance is
the softmax-level L2 of the group's TutorNet, as far as is known; weight and sizes are ours. An oracle's own loss says
nothing of how well it teaches: its record holds what it emits, and its loss under another input's sound or picture.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor

from bench.inputs import Batch
from bench.losses import soft_divergence
from bench.method import Losses, Method, Stage
from bench.signals import Signals


class Oracle(Method):
    """Supervised training, and the outputs of a teacher that is told the answers."""

    title = "Oracle Teacher (reconstruction)"
    citation = "Yoon, Kim, Lee, Ahn, Kim. arXiv:2111.03664"
    needs = frozenset({"output"})
    kinds = frozenset({"ctc", "generate"})
    defaults = {
        "image": {"oracle": "oracle_scene"},
        "text": {"oracle": "oracle_translation", "distance": "kl"},  # token-level, as machine translation is distilled
    }  # fmt: skip

    @dataclass(frozen=True)
    class Settings:
        oracle: str = "oracle_speech"  # the teacher that is told, as --teacher takes one
        distance: Literal["l2", "kl"] = "l2"
        weight: NonNegativeFloat = 0.3  # lambda; our choice
        lr: PositiveFloat | None = None  # none: the architecture's

    @staticmethod
    def teachers(settings: Settings) -> Sequence[str]:
        return (settings.oracle,)

    def stages(self) -> Iterable[Stage]:
        yield self.stage("oracle", self.told, needs=self.needs, teacher=self.settings.oracle, data="supervised")

    def told(self, student: Signals, oracle: Signals, batch: Batch) -> Losses:
        ours, theirs = self.goal.pair(student, oracle, batch)
        distance = squared if self.settings.distance == "l2" else soft_divergence
        return {
            "supervised": self.goal.loss(student, batch),
            self.settings.distance: self.settings.weight * distance(ours, theirs),
        }


def squared(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean over rows of the squared distance of two distributions; logits (N, C), the teacher's without gradient."""
    return (student.softmax(-1) - teacher.detach().softmax(-1)).square().sum(-1).mean()
