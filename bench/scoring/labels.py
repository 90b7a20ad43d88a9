"""F1 of inputs that may have several labels each."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from bench.scoring.metric import SumMetric, ratio


class LabelF1(SumMetric):
    """Predictions and gold are (N, C), bool: which labels apply. tp, fp and fn are counted for each label.

    micro: 2 tp / (2 tp + fp + fn) of their sums over labels; macro: the mean of each label's own, 0 where it is neither
    in gold nor in predictions (as scikit-learn's f1_score).
    """

    def __init__(self, average: Literal["micro", "macro"]) -> None:
        self.average = average

    def fits(self, prediction: Any, gold: Any) -> bool:
        if not all(isinstance(array, np.ndarray) and array.dtype == bool for array in (prediction, gold)):
            return False
        return gold.ndim == 2 and len(gold) > 0 and bool(gold.shape == prediction.shape)

    def statistics(self, prediction: Any, gold: Any) -> np.ndarray:
        """For each label whether it is in both, and in how many of the two: (N, 2 C)."""
        return np.concatenate([prediction & gold, prediction.astype(float) + gold], 1)

    def of_sums(self, sums: np.ndarray) -> np.ndarray:
        both, either = np.split(np.asarray(sums), 2, axis=-1)
        if self.average == "micro":
            return ratio(2 * both.sum(-1), either.sum(-1))
        return ratio(2 * both, either).mean(-1)

    def constant(self, gold: Any) -> Any:
        """macro: every label; micro: the most frequent ones, as many as are best."""
        order = np.argsort(-gold.sum(0), kind="stable")
        tried = [
            np.broadcast_to(np.isin(np.arange(gold.shape[1]), order[:k]), gold.shape) for k in range(1, len(order) + 1)
        ]
        return max(tried, key=lambda prediction: self.value(prediction, gold))
