"""DCD: contrast with captions that the teacher finds hard, weighed by how sure the teacher is.

    t = teacher's scores of an image with its own caption (first) and N others, drawn: 63 on Flickr, 15 on COCO
    kept: the own caption, and the `hard` others with the highest t        s = student's scores of these alone
    p = softmax(t)    H_b = -sum_c p log p    e_b = H_b / sum_b' H_b'    w_b = softmax_b((1 - e_b)^2)
    L_kd  = sum_b w_b mean_c (s_bc - t_bc)^2            a sure teacher is followed more
    L_nll = sum_b e_b mean_c BCE(s_bc, 1 if c is the own caption)      an unsure one is not, labels are
    L     = alpha L_kd + (1 - alpha) L_nll

Rao, Ding, Qi, Fang, Liu, Shen, Tao, IEEE TMM 25, 2023, arXiv:2207.01426; official code raojay7/DCD (METER's student
alone; its equations are read from the code). Needs the teacher's output, computed once for all candidates: the student
pays for 1 + hard of 1 + N pairs. Students of both sorts fit: cross encoders, as in the paper, and towers.
L_nll has a zero, as scores of a cross encoder have; those that a softmax taught have none of their own, and then the
two terms pull the student's bias apart. A student that starts from nothing sees the hardest candidates alone, and lags
far behind contrast over whole batches (docs/results.md); the paper's begins with layers of its pre-trained teacher.

`replicate=true` does what the released code does where it differs. The weights w cancel, as the squared error is
averaged before they multiply it: L_kd = mean_bc (s - t)^2. And t is sorted, highest first, while s begins with the own
caption, so the two are shifted where the teacher does not rank that one first. Its temperature cancels too, and there
is none here. Deviations: candidates are drawn once for each caption and not in every update, and never from the same
image's captions; the teacher's dropout is off, where the released code leaves it on; weights are of the whole batch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor

from bench.errors import RequestError
from bench.inputs import Batch, Examples
from bench.method import Losses, Method, Run, Stage, Weight
from bench.signals import Signals


class Dcd(Method):
    """Hard candidates of the teacher, with weights that move with its uncertainty."""

    title = "DCD (dynamic contrastive distillation)"
    citation = "Rao, Ding, Qi, Fang, Liu, Shen, Tao. IEEE TMM 2023, arXiv:2207.01426"
    needs = frozenset({"output"})
    kinds = frozenset({"match"})

    @dataclass(frozen=True)
    class Settings:
        hard: PositiveInt = 7  # official code
        alpha: Weight = 0.2  # official code
        replicate: bool = False  # the released code's weights and targets
        lr: PositiveFloat | None = None  # none: the architecture's; official 5e-6, 2.5e-5 of cross-modal layers

    def __init__(self, settings: Settings, run: Run) -> None:
        """RequestError: there are fewer candidates than are to be kept."""
        super().__init__(settings, run)
        self.mined: Examples | None = None
        if run.taught:  # here and not in `stages`: a resumed run has its costs restored after this
            self.mined = mined(run.task.examples("candidates"), run.taught, settings.hard)

    def stages(self) -> Iterable[Stage]:
        if self.mined is None:
            raise RequestError("dcd asks the teacher for its scores of all candidates before it starts")
        yield self.stage("dcd", self.contrast, data=self.mined, needs=self.needs)

    def contrast(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        ours, theirs = self.goal.pair(student, teacher, batch)
        kd, nll = losses(ours, theirs, self.settings.replicate)
        return {"kd": self.settings.alpha * kd, "nll": (1 - self.settings.alpha) * nll}


def losses(student: Tensor, teacher: Tensor, replicate: bool = False) -> tuple[Tensor, Tensor]:
    """(L_kd, L_nll) of scores (B, 1 + hard), the own caption's first; the teacher's without gradient."""
    sure, unsure = weights(teacher)
    own = F.one_hot(torch.zeros(len(student), dtype=torch.long, device=student.device), student.shape[1])
    nll = (unsure * F.binary_cross_entropy_with_logits(student, own.to(student.dtype), reduction="none").mean(1)).sum()
    if replicate:
        return F.mse_loss(student, teacher.sort(1, descending=True).values), nll
    return (sure * (student - teacher).square().mean(1)).sum(), nll


def weights(teacher: Tensor) -> tuple[Tensor, Tensor]:
    """w and e, (B,) each of sum 1; where the teacher is sure of every group e is 0."""
    log_p = teacher.log_softmax(1)
    entropy = -(log_p.exp() * log_p).sum(1)
    share = entropy / entropy.sum().clamp(min=torch.finfo(entropy.dtype).tiny)
    return ((1 - share) ** 2).softmax(0), share


def mined(candidates: Examples, taught: object, hard: int) -> Examples:
    """Of each group the first pair, and the `hard` others that the teacher scores highest, the hardest first."""
    groups = candidates.groups
    if hard >= groups.shape[1]:
        raise RequestError(f"dcd keeps {hard} hard candidates, and there are {groups.shape[1] - 1}: lower hard")
    scores = np.asarray(taught(candidates)).reshape(groups.shape)  # type: ignore[operator]
    chosen = 1 + np.argsort(-scores[:, 1:], axis=1, kind="stable")[:, :hard]
    kept = np.concatenate([np.zeros((len(groups), 1), np.int64), chosen], 1)
    return replace(
        candidates, groups=np.take_along_axis(groups, kept, 1), labels=np.take_along_axis(candidates.labels, kept, 1)
    )
