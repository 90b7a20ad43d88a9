"""ACKD: learners beside the student's own end work together, against a discriminator that knows the teacher.

A reconstruction: the paper's full text was not at hand and there is no code. What is from its abstract is the student
with auxiliary learners and the module of attention and adversarial learning; all that follows is our reading of it.

    learner 0 is the student, m = 1 ... M are ends of its shape (the last stage, mean, head) with first weights of their
    own, which read the map before the last stage. z_m logits, f_m last maps (B, C, Y, X), d the teacher's width.

    g_m  = BN(W_m mean over places of f_m)                           (B, d)
    a    = softmax over m of w . ReLU(W g_m)                         (B, M + 1), the attention
    F    = sum_m a_m g_m                     z_F = linear(F)         what the learners make together
    D(x) = MLP(d, d / 2, 1) of LayerNorm(x), f_T the teacher's embedding

    taught(z) = (1 - alpha) CE(y, z) + alpha tau^2 KL(softmax(z_T / tau) || softmax(z / tau))
    L_S  = sum_m taught(z_m) + taught(z_F) + beta sum_m tau^2 KL(softmax(sg z_F / tau) || softmax(z_m / tau))
           + gamma BCE(D(F), 1)
    L_D  = BCE(D(f_T), 1) + BCE(D(sg F), 0)

L_S moves the student and all that is beside it, then L_D the discriminator, by an Adam of its own, on the same F.
Learner 0 alone is kept, scored, timed and exported. With M = beta = gamma = 0 this is `kd`.

Liu, Huang, Liu, "Improved Knowledge Distillation via Adversarial Collaboration", arXiv:2111.14356. Ablations:
`gamma=0` (no adversary), `attention=false` (equal shares), `auxiliaries=M` (0: no module, and beta says nothing).
Beside the losses the curve shows, without gradient: the discriminator's accuracy, the entropy of the attention in nats,
and the share of inputs on which two learners disagree. Needs from the teacher: logits, and the embedding for D.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat
from torch import Tensor, nn

from bench.errors import RequestError
from bench.inputs import Batch
from bench.method import Losses, Method, Names, Part, Role, Run, Stage, Step, Weight
from bench.networks.convolutional import ConvNetwork, End
from bench.optimiser import Optimiser
from bench.signals import Signals


class Ackd(Method):
    """Auxiliary learners, attention over them, and a discriminator."""

    title = "ACKD (reconstruction)"
    citation = "Liu, Huang, Liu. arXiv:2111.14356; reconstructed from its abstract"
    needs = frozenset({"embedding", "logits"})
    wants = frozenset({"maps"})
    kinds = frozenset({"classify"})

    @dataclass(frozen=True)
    class Settings:
        """All ours: the paper's are unknown. Weights are in the proportions 1 : 1 : 1 of labels, teacher and z_F."""

        auxiliaries: NonNegativeInt = 3  # M
        alpha: Weight = 0.5  # of the teacher; the labels' is 1 - alpha, as in kd
        beta: NonNegativeFloat = 0.5  # of what the learners made together
        gamma: NonNegativeFloat = 0.05  # of the adversary; 0: there is none
        late: Annotated[float, Field(ge=0, lt=1)] = 10 / 240  # share of the updates before the student meets it
        attention: bool = True  # false: all learners have the same share
        temperature: PositiveFloat = 4.0
        discriminator_lr: PositiveFloat = 1e-4
        lr: PositiveFloat | None = None  # none: the architecture's

    def __init__(self, settings: Settings, run: Run) -> None:
        super().__init__(settings, run)
        width, learners = run.teacher_width, settings.auxiliaries + 1
        self.ends = nn.ModuleList(end(run, number) for number in range(1, learners))
        self.module = Collaboration(run.student_shape.hidden[-1], width, learners, settings.attention)
        self.together = self.goal.head(width)
        self.adversary = nn.Sequential(
            nn.LayerNorm(width, elementwise_affine=False), nn.Linear(width, width // 2), nn.ReLU(),
            nn.Linear(width // 2, 1),
        )  # fmt: skip

    @staticmethod
    def needed(settings: Any, names: Names) -> Names:
        return names if settings.gamma else {"logits"}

    def stages(self) -> Iterable[Stage]:
        s = self.settings
        adam = Optimiser(s.discriminator_lr, (0.9, 0.999), weight_decay=0, warmup=0, schedule="constant", clip=0)
        steps = [Step(self.learn, moves=("learners",))]
        parts = {"learners": Part(self.learners, self.recipe())}
        if s.gamma:
            steps.append(Step(self.discriminate, roles=("teacher",), moves=("adversary",)))
            parts["adversary"] = Part(lambda modules: self.adversary.parameters(), adam)
        roles = {
            "student": Role("student", frozenset({"output", "maps"}), trains=True),
            "teacher": Role("teacher", self.needed(s, self.needs)),
        }
        track = self.run.track
        yield Stage(
            name="ackd", data="distil", updates=track.updates, batch_size=track.batch_size, roles=roles, steps=steps,
            parts=parts,
        )  # fmt: skip

    def learners(self, modules: Mapping[str, nn.Module]) -> list[Tensor]:
        """The parameters of the student and of everything beside it but the discriminator."""
        others = set(self.adversary.parameters())
        return [p for m in modules.values() for p in m.parameters() if p.requires_grad and p not in others]

    def learn(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        """L_S, term by term, and what is measured beside it."""
        s, learners = self.settings, [student, *(end(student.maps[-2]) for end in self.ends)]
        losses = self.taught("", learners, teacher, batch)
        if not (len(learners) > 1 or s.gamma):
            return losses
        made, shares = self.module([learner.maps[-1] for learner in learners])
        if len(learners) > 1:
            both = Signals(logits=self.together(made))
            losses |= self.taught("together ", [both], teacher, batch)
            losses["collaboration"] = s.beta * sum(self.match(each, both, batch) for each in learners)
            losses |= {"attention entropy": entropy(shares), "disagreement": disagreement(learners)}
        if s.gamma:
            gamma = s.gamma if batch.progress >= s.late else 0.0
            losses["adversarial"] = gamma * judged(self.adversary(made), 1)
            self.made = made.detach()
        return losses

    def taught(self, name: str, learners: Sequence[Signals], teacher: Signals, batch: Batch) -> Losses:
        """What labels and teacher say of these learners, as in kd, summed over them."""
        a = self.settings.alpha
        return {
            f"{name}hard": (1 - a) * total(self.goal.loss(each, batch) for each in learners),
            f"{name}soft": a * total(self.match(each, teacher, batch) for each in learners),
        }

    def match(self, ours: Signals, theirs: Signals, batch: Batch) -> Tensor:
        return self.goal.match(*self.goal.pair(ours, theirs, batch), self.settings.temperature)

    def discriminate(self, teacher: Signals, batch: Batch) -> Losses:
        """L_D on what the learners have just made."""
        real, fake = self.adversary(teacher.embedding.detach()), self.adversary(self.made)
        right = torch.cat([real > 0, fake <= 0]).float().mean()
        return {"discriminator": judged(real, 1) + judged(fake, 0), "discriminator accuracy": right}


class Collaboration(nn.Module):
    """What the learners make together."""

    def __init__(self, channels: int, width: int, learners: int, attention: bool) -> None:
        """`channels` of the learners' maps, `width` of the teacher's embedding."""
        super().__init__()
        self.project = nn.ModuleList(
            nn.Sequential(nn.Linear(channels, width, bias=False), nn.BatchNorm1d(width)) for _ in range(learners)
        )
        scores = [nn.Linear(width, width // 2), nn.ReLU(), nn.Linear(width // 2, 1, bias=False)]
        self.attention = nn.Sequential(*scores) if attention else None

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Maps (B, C, Y, X) of each learner -> F (B, d), and the learners' shares (B, M + 1)."""
        each = torch.stack([p(m.mean((2, 3))) for p, m in zip(self.project, maps, strict=True)], 1)  # (B, M + 1, d)
        scores = self.attention(each).squeeze(-1) if self.attention else each.new_zeros(each.shape[:2])
        shares = scores.softmax(1)
        return (shares[..., None] * each).sum(1), shares


def end(run: Run, number: int) -> End:
    """An end of the student's shape with first weights of its own. RequestError: the student has no last stage."""
    other = run.new_student(f"auxiliary {number}")
    if not isinstance(other, ConvNetwork):
        raise RequestError("ackd: auxiliary learners are copies of the last stage of a convolutional student: resnet:8")
    return End(other)


def total(losses: Iterable[Tensor]) -> Tensor:
    return torch.stack(list(losses)).sum()


def judged(scores: Tensor, truth: float) -> Tensor:
    """Binary cross-entropy of the discriminator's scores (B, 1), of which all are real (1) or made (0)."""
    return F.binary_cross_entropy_with_logits(scores, torch.full_like(scores, truth))


def entropy(shares: Tensor) -> Tensor:
    """Mean entropy of the learners' shares (B, M + 1), in nats."""
    found: Tensor = torch.special.entr(shares.detach()).sum(1).mean()
    return found


def disagreement(learners: Sequence[Signals]) -> Tensor:
    """Share of inputs to which two learners give different classes, mean over pairs of them."""
    classes = [each.logits.detach().argmax(1) for each in learners]
    return torch.stack([(a != b).float().mean() for a, b in combinations(classes, 2)]).mean()
