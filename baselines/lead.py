"""LEAD: the student ranks candidates as its teacher does, in the output and in drawn layers; the teacher learns too.

    L     = NLL(s_S) + NLL(s_T) + KL(p_T || p_S) + KL(p_S || p_T) + L_lyr
    L_lyr = sum_k w_k KL(p_T^{a_k} || p_S^{b_k})        w = softmax_k(-NLL(s_T^{a_k}) / tau)

s are the scores of each query with all candidates of the batch, p = softmax(s); of p on the left of a KL the scores are
divided by T. NLL is the kind's supervised loss. a_1 < ... < a_K are layers of the teacher and b_1 < ... < b_K of the
student, drawn apart every 10 updates, from the seed and the update alone; the embedding output is none of them. Better
teacher layers weigh more, and w takes no gradient. Only scores are compared, so teacher and student may differ in
tokenizer, width and depth.

`teacher=mutual` (default): gradients of all terms reach the teacher, a copy that learns beside the student with an
optimiser of its own. The copy is thrown away: the student alone is kept, scored and exported, and the teacher's row is
that of the given one. `teacher=frozen`: the official code without --train_de; NLL(s_T) and KL(p_S || p_T) are gone.

Sun, Liu, Gong, Dong, Lu, Zhang, Yang, Majumder, Duan, WSDM 2024, arXiv:2212.05225; official code microsoft/SimXNS,
folder LEAD: all weights 1, in-batch negatives, linear schedule, no weight decay, each network's gradients clipped at 2.
Needs the embedding and that of each layer, in every step where the teacher learns, else from the store.
Deviations: a layer is scored as the output is, by 20 cosines of vectors that the network's own pooling makes. There it
is the inner product of [CLS] vectors, which is the output's score as well; in encoders that pool by the mean they say
nothing before the last layer (all-MiniLM-L6-v2 on CACM: NLL = ln 64 of 64 candidates). Teacher and student start as
they are given, without the official 20,000 updates of warm-up and negatives mined by it. The warm-up of the rate is our
engine's: there it is an argument that no script sets.

Teachers that compare single tokens (ColBERT) or read query and candidate together (cross-encoders) score a query's own
candidates, and then p and NLL are over these alone, in the student too: the official code does so for cross-encoders,
and takes ColBERT's scores of the whole batch. Their layers are scored as `bench.networks.late` and
`bench.networks.rankers` say.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from bench.errors import RequestError
from bench.inputs import Batch
from bench.method import Losses, Method, Part, Role, Run, Stage, Step
from bench.signals import Signals

MOST = 5  # layers that are matched where all networks are deep enough: official code, passages; 6 for documents


class Lead(Method):
    """Rankings of the output and of drawn layers; teacher and student learn from each other."""

    title = "LEAD (layers as rankings, mutual)"
    citation = "Sun, Liu, Gong, Dong, Lu, Zhang, Yang, Majumder, Duan. WSDM 2024, arXiv:2212.05225"
    needs = frozenset({"output", "pooled"})
    kinds = frozenset({"rank"})
    goal: Any  # the kind rank, which scores a whole batch

    @dataclass(frozen=True)
    class Settings:
        teacher: Literal["mutual", "frozen"] = "mutual"
        layers: PositiveInt | None = None  # K; none: 5, or all of the shallower network's
        every: PositiveInt = 10  # updates between two draws; official save_steps
        temperature: PositiveFloat = 1.0  # T
        layer_temperature: PositiveFloat = 10.0  # tau
        lr: PositiveFloat | None = None  # none: the architecture's; official 5e-5
        teacher_lr: PositiveFloat = 5e-5  # official, 12-layer dual encoder; 2e-5 of ColBERT

    def __init__(self, settings: Settings, run: Run) -> None:
        super().__init__(settings, run)
        self.depths = run.teacher_shape.layers, run.student_shape.layers
        self.count = settings.layers or min(MOST, *self.depths)
        if self.count > min(self.depths):
            raise RequestError(
                f"lead matches {self.count} layers, and the teacher has {self.depths[0]}, the student {self.depths[1]}"
            )
        self.mutual = settings.teacher == "mutual"

    def stages(self) -> Iterable[Stage]:
        track = self.run.track
        rates = {"student": None} | ({"teacher": self.settings.teacher_lr} if self.mutual else {})
        yield Stage(
            name="lead", data="supervised", updates=track.updates, batch_size=track.batch_size,
            roles={n: Role(n, self.needs, trains=n in rates) for n in ("student", "teacher")},
            steps=[Step(self.rankings, moves=tuple(rates))],
            parts={name: self.part(name, rate) for name, rate in rates.items()},
        )  # fmt: skip

    def part(self, role: str, rate: float | None) -> Part:
        """All of a network's parameters, with the official optimiser."""
        optimiser = self.recipe(lr=rate, betas=(0.9, 0.999), weight_decay=0.0, schedule="linear", clip=2.0)
        return Part(partial(parameters, role), optimiser)

    def drawn(self, update: int) -> list[tuple[int, int]]:
        """The layers of teacher and student that are matched in this update, both ascending, from 1."""
        rng = np.random.default_rng((self.run.seed, 4, update // self.settings.every))
        chosen = [sorted(1 + rng.choice(depth, self.count, replace=False)) for depth in self.depths]
        return [(int(a), int(b)) for a, b in zip(*chosen, strict=True)]

    def rankings(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        pairs = self.drawn(round(batch.progress * self.run.track.updates))
        ours = self.alike(student, teacher, batch)
        losses = {
            "student": self.goal.loss(ours, batch),
            "output": self.divergence(teacher, ours, batch),
            "layers": self.layers(student, teacher, batch, pairs),
        }
        if self.mutual:
            losses["teacher"] = self.goal.loss(teacher, batch)
            losses["output_back"] = self.divergence(ours, teacher, batch)
        return losses

    def alike(self, student: Signals, teacher: Signals, batch: Batch) -> Signals:
        """The student's, whose candidates are those that the teacher scores: of the batch, or a query's own."""
        return self.goal.own(student, batch) if "scores" in teacher else student

    def layers(self, student: Signals, teacher: Signals, batch: Batch, pairs: list[tuple[int, int]]) -> Tensor:
        """The weighted sum over (teacher layer, student layer)."""
        theirs = [layer(teacher, a) for a, _ in pairs]
        ours = [self.alike(layer(student, b), teacher, batch) for _, b in pairs]
        gaps = torch.stack([self.divergence(t, s, batch) for t, s in zip(theirs, ours, strict=True)])
        return (self.weights(theirs, batch) * gaps).sum()

    @torch.no_grad()
    def weights(self, layers: list[Signals], batch: Batch) -> Tensor:
        """(K,) of the teacher's layers, which sum to 1: the better one finds what is relevant, the larger."""
        losses = torch.stack([self.goal.loss(layer, batch) for layer in layers])
        return (-losses / self.settings.layer_temperature).softmax(0)

    def divergence(self, target: Signals, learner: Signals, batch: Batch) -> Tensor:
        """mean_b KL(softmax(target / T) || softmax(learner)) over the batch's candidates, with gradient in both."""
        p = self.goal.batch_scores(target, batch) / self.settings.temperature
        q = self.goal.batch_scores(learner, batch)
        return F.kl_div(q.log_softmax(1), p.log_softmax(1), reduction="batchmean", log_target=True)


def layer(signals: Signals, number: int) -> Signals:
    """One layer as an output: the vector that it makes of an input, or the score of a pair."""
    if "layer_scores" in signals:
        return Signals(scores=signals.layer_scores[number])
    return Signals(embedding=signals.pooled[number])


def parameters(role: str, networks: Any) -> list[nn.Parameter]:
    return list(networks[role].parameters())
