"""One value an input."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.inputs import Batch
from bench.kind import Kind, Outputs
from bench.signals import Signals


@dataclass(frozen=True)
class Regress(Kind):
    """A single output (B, 1); distillation compares values, as a softmax over one of them is constant.

    A network learns values as if they were standardised on the training set, and gives them as they are: a new head
    starts at their mean, its weights at their deviation, and squared errors are shares of their variance.
    """

    mean: float = 0.0  # of the training labels
    deviation: float = 1.0

    version = 2
    auto = "AutoModelForSequenceClassification"
    pipeline = "text-classification"
    distributions = False

    @classmethod
    def of(cls, outputs: int, classes: Sequence[str], labels: Callable[[], Any]) -> Regress:
        values = labels()
        if values is None or not len(values):
            return cls(outputs, tuple(classes))
        values = torch.as_tensor(values, dtype=torch.float64)
        return cls(outputs, tuple(classes), float(values.mean()), float(values.std(correction=0)) or 1.0)

    def begin(self, head: nn.Linear) -> nn.Linear:
        with torch.no_grad():
            head.weight.mul_(self.deviation)
            head.bias.fill_(self.mean)
        return head

    def loss(self, student: Signals, batch: Batch) -> Tensor:
        """Squared error with values (B,); the output is squeezed: (B, 1) against (B,) would broadcast to (B, B)."""
        return F.mse_loss(student.logits.squeeze(-1), batch.labels) / self.deviation**2

    def match(self, student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
        return super().match(student, teacher) / self.deviation**2

    def predictions(self, outputs: Outputs, gold: Any) -> dict[str, Any]:
        return {"prediction": outputs[:, 0], "gold": gold}
