"""One class an input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from bench.inputs import Batch
from bench.kind import Kind
from bench.signals import Signals

SWAPPED = 0.2  # mean recall on dev that another order of the classes must add before we call it swapped


class Classify(Kind):
    """Logits (B, C)."""

    auto = "AutoModelForSequenceClassification"
    pipeline = "text-classification"

    def loss(self, student: Signals, batch: Batch) -> Tensor:
        """Cross-entropy with class numbers (B,)."""
        return F.cross_entropy(student.logits, batch.labels)

    def doubt(self, found: Sequence[dict[str, Any]], classes: Sequence[str]) -> str:
        """The teacher numbers the classes in another order than the data."""
        from scipy.optimize import linear_sum_assignment

        for arrays in found:
            table = np.zeros((len(classes),) * 2)
            np.add.at(table, (arrays["prediction"].argmax(1), arrays["gold"]), 1)
            table /= np.maximum(1, table.sum(0))  # recalls: one that always says the same is no better in any order
            rows, columns = linear_sum_assignment(-table)
            right, best = table.trace() / len(table), table[rows, columns].sum() / len(table)
            if best - right > SWAPPED:
                order = ", ".join(classes[c] for c in columns)
                return (
                    f"finds {right:.0%} of a class on dev, and {best:.0%} if its classes are {order}: its classes are "
                    f"in another order than the data's ({', '.join(classes)})"
                )
        return ""
