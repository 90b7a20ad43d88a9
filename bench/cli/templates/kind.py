"""One of C grades that have an order: whether the grade is above each of C - 1 thresholds."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.inputs import Batch
from bench.kind import Kind
from bench.signals import Signals


class Template(Kind):
    """Logits (B, C - 1): z_k > 0 where the grade is above k (Frank & Hall 2001)."""

    distributions = False  # each logit is a question of its own: a softmax over them means nothing

    def head(self, width: int) -> nn.Module:
        return nn.Linear(width, self.outputs - 1)

    def width(self, embedding: int) -> int:
        return self.outputs - 1

    def loss(self, student: Signals, batch: Batch) -> Tensor:
        """Cross-entropy of each threshold with grades (B,) from 0 on."""
        thresholds = torch.arange(self.outputs - 1, device=batch.labels.device)
        above = batch.labels[:, None] > thresholds
        return F.binary_cross_entropy_with_logits(student.logits, above.float())

    def match(self, student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
        soft = (teacher / temperature).sigmoid()
        return temperature**2 * F.binary_cross_entropy_with_logits(student / temperature, soft)

    def decode(self, signals: Signals) -> Tensor:
        """(B, C) log-probabilities: of grade k the probability above k - 1 less that above k."""
        above = F.pad(F.pad(signals.logits.float().sigmoid(), (1, 0), value=1.0), (0, 1))
        return (above[:, :-1] - above[:, 1:]).clamp(min=1e-6).log()
