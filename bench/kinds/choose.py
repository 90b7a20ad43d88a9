"""One of K candidates, each of which the network reads as an input of its own."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.inputs import Batch
from bench.kind import Kind
from bench.signals import Signals


class Choose(Kind):
    """Logits (B K, 1), a score a candidate; an example is a group of K, and its label the number of the right one.

    L = mean_b -log softmax(s_b1 ... s_bK)_y, and plain distillation is the divergence of these softmaxes, as in the
    multiple-choice heads of transformers.
    """

    auto = "AutoModelForSequenceClassification"

    def scores(self, signals: Signals, batch: Batch) -> Tensor:
        """(B, K)."""
        return torch.cat(batch.split(signals.logits), 1)

    def loss(self, student: Signals, batch: Batch) -> Tensor:
        """Cross-entropy with candidate numbers (B,)."""
        return F.cross_entropy(self.scores(student, batch), batch.labels)

    def pair(self, student: Signals, teacher: Signals, batch: Batch) -> tuple[Tensor, Tensor]:
        return self.scores(student, batch), self.scores(teacher, batch).detach()
