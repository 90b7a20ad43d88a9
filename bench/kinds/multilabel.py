"""Any number of classes an input."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.inputs import IGNORED, Batch
from bench.kind import Kind, Outputs
from bench.signals import Signals


class Multilabel(Kind):
    """Logits (B, C), each of which says by itself whether the class applies: it does where the logit is above 0.

    Labels are (B, C) of 0 and 1, float32; a row of IGNORED is not read. Losses are means over labels. Distillation
    compares Bernoulli distributions: two logits (0, z) for each label, whose softmax is (1 - sigmoid(z), sigmoid(z)).
    """

    pipeline = "text-classification"

    def loss(self, student: Signals, batch: Batch) -> Tensor:
        """Mean binary cross-entropy of the labels."""
        known = batch.labels[:, 0] != IGNORED
        return F.binary_cross_entropy_with_logits(student.logits[known], batch.labels[known])

    def pair(self, student: Signals, teacher: Signals, batch: Batch) -> tuple[Tensor, Tensor]:
        """(B C, 2) of both."""
        return twofold(student.logits), twofold(teacher.logits).detach()

    def predictions(self, outputs: Outputs, gold: Any) -> dict[str, Any]:
        """(N, C), whether each class applies."""
        return {"prediction": outputs > 0, "gold": gold > 0}


def twofold(logits: Tensor) -> Tensor:
    """(B, C) -> (B C, 2): no, which has logit 0, and yes."""
    yes = logits.reshape(-1, 1)
    return torch.cat([torch.zeros_like(yes), yes], 1)
