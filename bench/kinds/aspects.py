"""Several classifications of one input, each into the same values: sentiment about price, service, engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from bench.inputs import Batch
from bench.kind import Kind, Outputs
from bench.signals import Signals


class Aspects(Kind):
    """Logits (B, A V), V values of each of A aspects side by side; a softmax is over the values of one aspect.

    `classes` are named `aspect: value`, aspect by aspect, the values of all in one order. Losses are means over aspects
    (1 / A of their sum).
    """

    axes = "B C"
    auto = "AutoModelForSequenceClassification"
    pipeline = "text-classification"

    @property
    def aspects(self) -> int:
        return len({name.partition(": ")[0] for name in self.classes})

    def apart(self, logits: Tensor) -> Tensor:
        """(B, A V) -> (B A, V)"""
        return logits.reshape(-1, self.outputs // self.aspects)

    def loss(self, student: Signals, batch: Batch) -> Tensor:
        """Mean cross-entropy with the numbers of the values (B, A)."""
        return F.cross_entropy(self.apart(student.logits), batch.labels.flatten())

    def pair(self, student: Signals, teacher: Signals, batch: Batch) -> tuple[Tensor, Tensor]:
        """(B A, V) of both."""
        return self.apart(student.logits), self.apart(teacher.logits).detach()

    def predictions(self, outputs: Outputs, gold: Any) -> dict[str, Any]:
        """One row an aspect of an input; what was sampled are inputs."""
        units = np.repeat(np.arange(len(gold)), self.aspects)[:, None]
        return {"prediction": outputs.reshape(len(units), -1), "gold": gold.ravel(), "units": units}
