"""MiniLM's relations, on task data: how the last layer's tokens attend to and resemble each other; then the labels.

    v1   L = mean over texts of the mean over heads and real tokens of KL(A_T || A_S) + KL(R_T || R_S)
         A = softmax(Q K^T / sqrt(d_h)),  R = softmax(V V^T / sqrt(d_h))
    v2   L = sum over X in {Q, K, V} of mean KL(R^X_T || R^X_S),  R^X = softmax(X X^T / sqrt(d_r))
         with the heads joined and cut anew into `relation_heads` of width d_r

Padded tokens count neither as rows nor as columns. v1 needs equal numbers of heads, v2 widths that the relation heads
divide; widths may differ in both.

Wang et al. 2020, arXiv:2002.10957 (v1), and 2021, arXiv:2012.15828 (v2). Both distil from a pre-trained teacher on
general text and then fine-tune. Here the relations are learnt on the task's own texts from the task's teacher, in the
first share of the updates, and the rest are fine-tuning: no reproduction of MiniLM's task-agnostic models. Needs from
the teacher: queries, keys and values of its last layer (`teacher_layer`), in every step.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor

from bench.errors import RequestError
from bench.inputs import Batch
from bench.losses import aligned, tail
from bench.method import Losses, Method, Run, Stage
from bench.signals import Signals


class Minilm(Method):
    """Self-attention relations of one layer, then supervised training."""

    title = "MiniLM's relations, on task data"
    citation = "Wang et al. NeurIPS 2020, arXiv:2002.10957; Findings of ACL 2021, arXiv:2012.15828"
    needs = frozenset({"queries", "keys", "values"})
    version = 2

    @dataclass(frozen=True)
    class Settings:
        version: Literal["v1", "v2"] = "v1"
        relation_heads: PositiveInt = 12  # of v2; 48 for base teachers in the paper, whose heads are 64 wide
        teacher_layer: int = -1  # the last; v2 takes an upper-middle one of large teachers
        share: PositiveFloat = 0.5  # of the updates that learn relations; our choice
        lr: PositiveFloat | None = None  # none: the architecture's

    def __init__(self, settings: Settings, run: Run) -> None:
        super().__init__(settings, run)
        s, t = run.student_shape, run.teacher_shape
        if settings.version == "v1" and s.heads != t.heads:
            raise RequestError(
                f"minilm v1 matches heads: the teacher has {t.heads}, the student {s.heads}; take as many, as in "
                f"bert:4x312x{t.heads}, or --set version=v2"
            )
        for name, shape in (("teacher", t), ("student", s)):
            if settings.version == "v2" and shape.hidden[-1] % settings.relation_heads:
                raise RequestError(f"{settings.relation_heads} relation heads do not divide the {name}'s width")

    def stages(self) -> Iterable[Stage]:
        first, second = tail(self.run.track.updates, self.settings.share)
        yield self.stage("relations", self.relations, needs=self.needs, wants=self.needs, updates=first, keep="last")
        yield self.stage("supervised", self.labels, data="supervised", updates=second)

    def relations(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        mask, at = aligned(student, teacher), self.settings.teacher_layer
        if self.settings.version == "v2":
            kinds = {n: (n, n) for n in ("queries", "keys", "values")}
        else:
            kinds = {"attention": ("queries", "keys"), "values": ("values", "values")}
        return {
            name: divergence(self.of(teacher, pair, at), self.of(student, pair, -1), mask)
            for name, pair in kinds.items()
        }

    def of(self, signals: Signals, pair: tuple[str, str], layer: int) -> Tensor:
        """The relation of two of queries, keys and values in a layer, (B, heads, L, L)."""
        a, b = (signals[name][layer] for name in pair)
        return relation(self.cut(a), self.cut(b)) if self.settings.version == "v2" else relation(a, b)

    def cut(self, x: Tensor) -> Tensor:
        """(B, H, L, D / H) -> (B, relation heads, L, D / relation heads)."""
        joined = x.transpose(1, 2).flatten(2)
        return joined.unflatten(2, (self.settings.relation_heads, -1)).transpose(1, 2)

    def labels(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        return {"hard": self.goal.loss(student, batch)}


def relation(a: Tensor, b: Tensor) -> Tensor:
    """a b^T / sqrt(d), (B, H, L, d) twice -> (B, H, L, L), before softmax."""
    return a @ b.transpose(-1, -2) / math.sqrt(a.shape[-1])


def divergence(teacher: Tensor, student: Tensor, mask: Tensor) -> Tensor:
    """KL(softmax(teacher) || softmax(student)) over real columns, (B, H, L, L): the mean over a text's heads and real
    rows, so that long texts weigh no more than short ones, then over texts."""
    hidden = mask[:, None, None, :] == 0
    p, q = (torch.log_softmax(x.masked_fill(hidden, -torch.inf), -1) for x in (teacher.detach(), student))
    gap = F.kl_div(q.masked_fill(hidden, 0), p.masked_fill(hidden, 0), reduction="none", log_target=True)
    rows = gap.masked_fill(hidden, 0).sum(-1) * mask[:, None, :]
    return (rows.sum((1, 2)) / (mask.sum(1) * teacher.shape[1])).mean()
