"""Candidates in the order of their scores for a query, by one network that reads both."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.inputs import Batch
from bench.kind import Kind
from bench.losses import unit
from bench.signals import Signals

SCALE = 20.0  # of cosines: sentence-transformers' MultipleNegativesRankingLoss, with which all-MiniLM-L6-v2 was trained


class Rank(Kind):
    """The body's own embedding (B, D), as in `embed`; what is judged are scores, and these are a distribution.

    An example is a group (query, candidate 1 ... K), K >= 1, and its labels are grades (B, K), 0 the least.

        s_bk = 20 cos(q_b, c_bk)        L = mean_b -sum_k g_bk / sum_j g_bj . log softmax_k(s_b)

    Plain distillation is thereby the listwise KL over the candidates (DistillKLDivLoss of sentence-transformers).
    """

    output = "embedding"
    pipeline = "sentence-similarity"
    compares = "cosine"

    def scores(self, signals: Signals, batch: Batch) -> Tensor:
        """(B, K) of each query and its candidates."""
        query, *candidates = batch.split(unit(signals.embedding))
        return SCALE * torch.einsum("bd,bkd->bk", query, torch.stack(candidates, 1))

    def pair(self, student: Signals, teacher: Signals, batch: Batch) -> tuple[Tensor, Tensor]:
        """The scores of both, (B, K); their vectors may differ in width."""
        return self.scores(student, batch), self.scores(teacher, batch).detach()

    def width(self, embedding: int) -> int:
        """No width of vectors: scores are compared, and a group has as many for any network."""
        return 0

    def loss(self, student: Signals, batch: Batch) -> Tensor:
        """Softmax cross-entropy with the grades' shares; a group without a relevant candidate adds 0."""
        grades = batch.labels.clamp(min=0)
        shares = grades / grades.sum(1, keepdim=True).clamp(min=torch.finfo(grades.dtype).tiny)
        return F.cross_entropy(self.scores(student, batch), shares)
