"""One value an input."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from bench.inputs import Batch
from bench.kind import Kind, Outputs
from bench.signals import Signals


class Regress(Kind):
    """A single output (B, 1); distillation compares values, as a softmax over one of them is constant."""

    auto = "AutoModelForSequenceClassification"
    pipeline = "text-classification"
    distributions = False

    def loss(self, student: Signals, batch: Batch) -> Tensor:
        """Squared error with values (B,); the output is squeezed: (B, 1) against (B,) would broadcast to (B, B)."""
        return F.mse_loss(student.logits.squeeze(-1), batch.labels)

    def predictions(self, outputs: Outputs, gold: Any) -> dict[str, Any]:
        return {"prediction": outputs[:, 0], "gold": gold}
