"""One class an input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from bench.inputs import Batch
from bench.kind import Kind
from bench.scoring.swapped import swapped
from bench.signals import Signals


class Classify(Kind):
    """Logits (B, C)."""

    auto = "AutoModelForSequenceClassification"
    pipeline = "text-classification"

    def loss(self, student: Signals, batch: Batch) -> Tensor:
        """Cross-entropy with class numbers (B,), or with shares of the classes (B, C)."""
        return F.cross_entropy(student.logits, batch.labels)

    def doubt(self, found: Sequence[dict[str, Any]]) -> str:
        """The teacher numbers the classes in another order than the data."""
        doubts = (swapped(arrays["prediction"].argmax(1), arrays["gold"], self.classes) for arrays in found)
        return next(filter(None, doubts), "")
