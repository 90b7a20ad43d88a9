"""Margin-MSE: the student puts a relevant candidate as far above another as the teacher does.

    L = mean over b and pairs (i, j), candidate i graded above j, of ((s_i - s_j) - (t_i - t_j))^2

s and t are the scores of student and teacher. Labels say which pairs are compared, and nothing else.

Hofstätter, Althammer, Schröder, Sertkan, Hanbury 2020, arXiv:2010.02666; official code
sebastian-hofstaetter/neural-ranking-kd. One negative a query there, all of the group's here, as in the MarginMSELoss of
sentence-transformers. Needs from the teacher: its output, computed once.

Scores are those by which the task ranks, 20 cosines, for both. So margins lie between -40 and 40, and the student can
reach any of them. In the paper the teachers read query and passage together and give logits, whose size a student can
reach only by inner products of vectors that are not normalised. `scores=dot` compares these, of the vectors as both
models emit them: take it where the teacher was trained with them. Student and teacher are judged by cosines then too.
Where both normalise their vectors (all-MiniLM-L6-v2 does) it is the same loss divided by 400.

A cross-encoder's logits are taken as they are with either: take `dot` for the paper's loss. With cosines the student
reaches margins up to 40.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from pydantic import PositiveFloat
from torch import Tensor

from bench.inputs import Batch
from bench.method import Losses, Method, Stage
from bench.signals import Signals


class MarginMse(Method):
    """Squared error of margins between relevant and other candidates."""

    title = "Margin-MSE"
    citation = "Hofstätter, Althammer, Schröder, Sertkan, Hanbury. arXiv:2010.02666"
    needs = frozenset({"output"})
    kinds = frozenset({"rank"})

    @dataclass(frozen=True)
    class Settings:
        scores: Literal["cosine", "dot"] = "cosine"  # the kind's own, or raw inner products as in the paper
        lr: PositiveFloat | None = None  # none: the architecture's

    goal: Any  # the kind rank

    def stages(self) -> Iterable[Stage]:
        yield self.stage("margins", self.margins, data="supervised", needs=self.needs)

    def margins(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        ours, theirs = self.pair(student, teacher, batch)
        gaps = ours - theirs
        above = batch.labels[:, :, None] > batch.labels[:, None, :]
        squares = (gaps[:, :, None] - gaps[:, None, :]).square() * above
        return {"margins": squares.sum() / above.sum().clamp(min=1)}

    def pair(self, student: Signals, teacher: Signals, batch: Batch) -> tuple[Tensor, Tensor]:
        """Scores (B, K) of each query and its candidates, of both; the teacher's without gradient."""
        if self.settings.scores == "cosine":
            return self.goal.pair(student, teacher, batch)
        theirs = products if "embedding" in teacher else self.goal.scores
        return products(student, batch), theirs(teacher.detach(), batch)


def products(signals: Signals, batch: Batch) -> Tensor:
    """(B, K) of vectors (B + K B, D)."""
    query, *candidates = batch.split(signals.embedding)
    return torch.stack([(query * candidate).sum(1) for candidate in candidates], 1)
