"""Deep mutual learning: two students teach each other; there is no teacher.

    L_1 = CE(z_1, y) + KL(sg p_2 || p_1)        L_2 = CE(z_2, y) + KL(sg p_1 || p_2)

p are softmax probabilities at temperature 1. Both are updated in every step. The first is the student that is kept,
fixed in advance and not the better one; the second has the same architecture and other first weights, and its cost is
in the run's time. Where the first weights are copied from a checkpoint or a teacher only the rest, as the last layer,
differs. Where the recipe clips gradients, one norm is taken over both networks.

Zhang, Xiang, Hospedales, Lu, CVPR 2018, arXiv:1706.00384. Needs from the teacher: nothing. The official code is
TensorFlow for person search alone; the paper updates the two in turn, here at once, which it also allows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from pydantic import PositiveFloat

from bench.inputs import Batch
from bench.losses import match_outputs, supervised
from bench.method import Losses, Method, Run, Stage
from bench.signals import Signals


class Dml(Method):
    """Two networks that learn from labels and from each other."""

    title = "Deep mutual learning (DML)"
    citation = "Zhang, Xiang, Hospedales, Lu. CVPR 2018, arXiv:1706.00384"
    kinds = frozenset({"classify", "regress"})

    @dataclass(frozen=True)
    class Settings:
        lr: PositiveFloat | None = None  # none: the architecture's

    def __init__(self, settings: Settings, run: Run) -> None:
        super().__init__(settings, run)
        self.peer = run.new_student("peer")

    def stages(self) -> Iterable[Stage]:
        track, recipe = self.run.track, self.run.optimiser
        optimiser = replace(recipe, lr=self.settings.lr or recipe.lr)
        yield Stage("mutual", "distil", self.mutual, track.updates, track.batch_size, optimiser)

    def mutual(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        peer = self.peer(dict(batch.inputs), frozenset({"logits"}))
        return {
            "hard": supervised(student.logits, batch.labels),
            "soft": match_outputs(student.logits, peer.logits),
            "peer_hard": supervised(peer.logits, batch.labels),
            "peer_soft": match_outputs(peer.logits, student.logits),
        }
