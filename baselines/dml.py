"""Deep mutual learning: two students teach each other; there is no teacher.

    L_1 = CE(z_1, y) + KL(sg p_2 || p_1)        L_2 = CE(z_2, y) + KL(sg p_1 || p_2)

p are softmax probabilities at temperature 1. Both are updated in every step. The first is the student that is kept,
fixed in advance and not the better one; the second has the same architecture and other first weights, and its cost is
in the run's time. Where first weights are copied from a checkpoint or a teacher, the last layer alone differs. Where
the recipe clips gradients, one norm is taken over both networks.

Zhang, Xiang, Hospedales, Lu, CVPR 2018, arXiv:1706.00384. Needs from the teacher: nothing. The official code is
TensorFlow for person re-identification alone; the paper updates the two in turn, here at once, which it also allows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import PositiveFloat

from bench.inputs import Batch
from bench.method import Losses, Method, Run, Stage
from bench.signals import Signals


class Dml(Method):
    """Two networks that learn from labels and from each other."""

    title = "Deep mutual learning (DML)"
    citation = "Zhang, Xiang, Hospedales, Lu. CVPR 2018, arXiv:1706.00384"
    wants = frozenset({"logits"})
    version = 2

    @dataclass(frozen=True)
    class Settings:
        lr: PositiveFloat | None = None  # none: the architecture's

    def __init__(self, settings: Settings, run: Run) -> None:
        super().__init__(settings, run)
        self.peer = run.new_student("peer")

    def stages(self) -> Iterable[Stage]:
        yield self.stage("mutual", self.mutual)

    def mutual(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        peer = self.peer(dict(batch.inputs["student"]), frozenset({"logits"}))
        ours, theirs = self.goal.pair(student, peer, batch)[0], self.goal.pair(peer, student, batch)[0]
        return {
            "hard": self.goal.loss(student, batch),
            "soft": self.goal.match(ours, theirs.detach()),
            "peer_hard": self.goal.loss(peer, batch),
            "peer_soft": self.goal.match(theirs, ours.detach()),
        }
