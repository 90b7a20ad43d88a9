"""Candidates in the order of their scores for a query, by one network that reads both."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.inputs import Batch
from bench.kind import Kind
from bench.losses import unit
from bench.signals import Signals

SCALE = 20.0  # of cosines: sentence-transformers' MultipleNegativesRankingLoss, with which all-MiniLM-L6-v2 was trained


class Rank(Kind):
    """The body's own embedding (B, D), as in `embed`; what is judged are scores, and these are a distribution.

    An example is a group (query, candidate 1 ... K), K >= 1, and its labels are grades (B, K), 0 the least.

        s_bk = 20 cos(q_b, c_bk)        L = mean_b -sum_k g_bk / sum_j g_bj . log softmax(s_b)_k

    The softmax of L is over all candidates of the batch: a query's own, and those of the others, which count as not
    relevant (in-batch beside hard negatives: DPR, and that loss of sentence-transformers). As there, one that stands in
    two groups is not told apart. Plain distillation is the listwise KL over the own candidates (DistillKLDivLoss).

    A network that reads query and candidate together gives `scores` (K B, 1) of these pairs, column by column, and no
    vectors: a cross-encoder's logits, a sum of maxima of cosines. They are taken as they are, without the 20, and its
    softmax is over a query's own candidates, as it has read no others. One that declares inner products gives
    `vectors`: its scores are q . c, as it was trained with them, and it ranks test by these.
    """

    output = "embedding"
    pipeline = "sentence-similarity"
    version = 2
    compares = "cosine"
    products = "vectors"
    scorers = "rankers"

    def scores(self, signals: Signals, batch: Batch) -> Tensor:
        """(B, K) of each query and its candidates."""
        if "scores" in signals:
            found: Tensor = signals.scores.view(-1, len(batch.rows)).T
            return found
        query, *candidates = batch.split(self.vectors(signals))
        return self.scale(signals) * torch.einsum("bd,bkd->bk", query, torch.stack(candidates, 1))

    def vectors(self, signals: Signals) -> Tensor:
        """Those whose products are compared."""
        found: Tensor = signals.vectors if "vectors" in signals else unit(signals.embedding)
        return found

    def scale(self, signals: Signals) -> float:
        return 1.0 if "vectors" in signals else SCALE

    def batch_scores(self, signals: Signals, batch: Batch) -> Tensor:
        """(B, K B) of each query and all candidates of the batch; candidate k of query b is column k B + b. A network
        that reads two texts together has (B, K), of the own ones alone."""
        if "scores" in signals:
            return self.scores(signals, batch)
        query, candidates = self.vectors(signals).tensor_split([len(batch.rows)])
        return self.scale(signals) * query @ candidates.T

    def own(self, signals: Signals, batch: Batch) -> Signals:
        """The scores of each query's own candidates, as a network has them that reads two texts together."""
        return Signals(scores=self.scores(signals, batch).T.reshape(-1, 1))

    def decode(self, signals: Signals) -> Tensor:
        """The vector of an input whose products with others rank them, or the score of a pair."""
        found: Tensor = signals.scores if "scores" in signals else self.vectors(signals)
        return found.float()

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
        total = self.batch_scores(student, batch).logsumexp(1, keepdim=True)
        return (shares * (total - self.scores(student, batch))).sum(1).mean()
