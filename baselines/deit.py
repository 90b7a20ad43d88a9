"""DeiT: a second token learns from the teacher, beside the class token that learns from the labels.

    hard   L = (1 - alpha) CE(z_cls, y) + alpha CE(z_dist, argmax z_T)
    soft   L = (1 - alpha) CE(z_cls, y) + alpha tau^2 KL(softmax(z_T / tau) || softmax(z_dist / tau))

Both heads are averaged at test. The KL is divided by B C, as in the official code (`kl_reduction=batchmean`: by B; rows
of the two are not comparable).

Touvron et al., ICML 2021, arXiv:2012.12877; official code facebookresearch/deit. Defaults alpha 0.5 and tau 1 of the
code's command line; the paper's soft rows use alpha 0.1 and tau 3. The student is a `vit` with `--set
vit.distillation=true`. The paper's augmentation is the track's, for every method alike, and the teacher reads what the
student reads, mixed as it is: `--set randaugment=9 --set erasing=0.25 --set mixup=0.8 --set cutmix=1 --set
smoothing=0.1 --set repeats=3`, and `--set resized=0.08` where images are larger than 32 pixels. Without it views are
crops and flips.
Needs from the teacher: logits.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor

from bench.errors import RequestError
from bench.inputs import Batch
from bench.losses import soft_divergence
from bench.method import Losses, Method, Stage, Weight
from bench.signals import Signals


class Deit(Method):
    """Labels for the class token, the teacher for the distillation token."""

    title = "DeiT (distillation token)"
    citation = "Touvron et al. ICML 2021, arXiv:2012.12877"
    needs = frozenset({"logits"})
    wants = frozenset({"logits.distilled"})
    kinds = frozenset({"classify"})
    brings = {"distillation": False}

    @dataclass(frozen=True)
    class Settings:
        form: Literal["hard", "soft"] = "hard"
        alpha: Weight = 0.5
        temperature: PositiveFloat = 1.0  # of the soft form
        kl_reduction: Literal["numel", "batchmean"] = "numel"
        lr: PositiveFloat | None = None  # none: the architecture's

    def stages(self) -> Iterable[Stage]:
        yield self.stage("deit", self.tokens, needs=self.needs, wants={"output", "logits.distilled"})

    def tokens(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        if "logits.distilled" not in student:
            raise RequestError("deit trains a distillation token, which this vit has not: --set vit.distillation=true")
        s = self.settings
        return {
            "hard": (1 - s.alpha) * self.goal.loss(student, batch),
            "teacher": s.alpha * self.match(student["logits.distilled"], teacher.logits.detach()),
        }

    def match(self, ours: Tensor, theirs: Tensor) -> Tensor:
        s = self.settings
        if s.form == "hard":
            return F.cross_entropy(ours, theirs.argmax(-1))
        classes = ours.shape[-1] if s.kl_reduction == "numel" else 1
        return soft_divergence(ours, theirs, s.temperature) / classes
