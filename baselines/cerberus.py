"""CERBERUS: a student with a shared body and several heads, each of which learns from one teacher alone.

    own    L = sum_i [(1 - lambda) CE(y, z_i) + lambda tau^2 mean_b KL(softmax(t_i / tau) || softmax(z_i / tau))]
    mean   the same with 1/k sum_j softmax(t_j / tau) in place of each teacher's distribution

z_i are the logits of head i, t_i those of teacher i; the loss is never of the heads' mean, which is what is evaluated.
The body's gradient is the sum over heads. The student is `mhs`, with as many heads as there are teachers. Two controls:
`--set cerberus.teachers='["teacher","teacher","teacher"]'` has the heads without different teachers (dropout alone then
tells the heads apart), `--student mhs:2B-1H1 --set cerberus.targets=mean` has the teachers without several heads.

Teachers are named as `--teacher` names them, `teacher` is the run's own, and `~1` behind a name is the same model,
taught with seed 1: the default takes one model thrice, `'["teacher","google/electra-base-discriminator"]'` two. Each
reads texts with its own tokenizer, and its scores are stored.

Matsubara et al., Findings of EMNLP 2022, arXiv:2201.05767. Architecture and prediction are those of the official code,
amazon-science/wqa-cerberus. Its training loss was not released: ours is a reconstruction, Hinton's with the weight and
the temperature of our `kd`, so that the two differ in nothing but heads and teachers. The paper's models learn on ASNQ
first. Needs from the teachers: logits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from pydantic import PositiveFloat
from torch import Tensor

from bench.errors import RequestError
from bench.inputs import Batch
from bench.method import Losses, Method, Run, Stage, Weight
from bench.signals import Signals

OWN = "teacher"


class Cerberus(Method):
    """A head for each teacher on a shared body: its training loss is a reconstruction."""

    title = "CERBERUS, several heads for several teachers (loss reconstructed)"
    citation = "Matsubara et al. Findings of EMNLP 2022, arXiv:2201.05767"
    needs = frozenset({"logits"})
    wants = frozenset({"logits.heads"})
    kinds = frozenset({"classify"})

    @dataclass(frozen=True)
    class Settings:
        teachers: tuple[str, ...] = (OWN, "teacher~1", "teacher~2")  # of head 1, 2, 3
        targets: Literal["own", "mean"] = "own"  # of a head: its own teacher, or the mean of all (a control)
        weight: Weight = 0.5  # lambda
        temperature: PositiveFloat = 4.0
        lr: PositiveFloat | None = None  # none: the architecture's

        def __post_init__(self) -> None:
            if not self.teachers:
                raise RequestError('cerberus needs teachers: --set cerberus.teachers=\'["teacher","teacher~1"]\'')

    def __init__(self, settings: Settings, run: Run) -> None:
        super().__init__(settings, run)
        heads, teachers = len(getattr(run.student, "heads", ())), len(settings.teachers)
        if settings.targets == "own" and heads != teachers:
            raise RequestError(
                f"cerberus teaches a head with each of {teachers} teachers, and the student has {heads} heads: change "
                f"its size (mhs:2B-{teachers}H1), cerberus.teachers, or say cerberus.targets=mean"
            )

    @staticmethod
    def teachers(settings: Any) -> Sequence[str]:
        return [name for name in dict.fromkeys(settings.teachers) if name != OWN]

    def stages(self) -> Iterable[Stage]:
        names = list(dict.fromkeys(self.settings.teachers))
        yield self.stage("heads", self.by_head, needs=self.needs, wants={"output", *self.wants}, teacher=names)

    def by_head(self, student: Signals, teachers: Sequence[Signals], batch: Batch) -> Losses:
        s, heads = self.settings, student["logits.heads"]
        known = dict(zip(dict.fromkeys(s.teachers), (t.logits.detach() for t in teachers), strict=True))
        targets = [known[name] for name in s.teachers]
        if s.targets == "mean":
            targets = [mean_of(targets, s.temperature)] * len(heads)
        hard = sum(self.goal.loss(Signals(logits=z), batch) for z in heads)
        soft = sum(self.goal.match(z, t, s.temperature) for z, t in zip(heads, targets, strict=True))
        return {"hard": (1 - s.weight) * hard, "soft": s.weight * soft}


def mean_of(logits: Sequence[Tensor], temperature: float) -> Tensor:
    """Logits whose softmax at this temperature is the mean of those of the given ones, (B, C) each."""
    return temperature * torch.stack([(z / temperature).log_softmax(-1) for z in logits]).exp().mean(0).log()
