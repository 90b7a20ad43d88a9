"""Candidates that are judged one by one and scored together: answers of a question, entities for a gap in a text.

Rows are questions; a draw takes a question with all that was said of it, as the answers to one are not independent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.scoring.metric import MeanMetric, SumMetric, constant, ratio
from bench.scoring.scores import Ragged


def fitting(prediction: Any, gold: Any, columns: tuple[int, ...] = ()) -> bool:
    """Whether both are rows of the same lengths, at least one: of a number, and of gold of such columns."""
    both = isinstance(prediction, Ragged) and isinstance(gold, Ragged) and len(gold) > 0
    shapes = both and prediction.flat.ndim == 1 and gold.flat.shape[1:] == columns
    return shapes and np.array_equal(prediction.lengths, gold.lengths)


class F1a(SumMetric):
    """F1 of the right answers over all answers of all questions (MultiRC's F1a).

    Predictions: Ragged log-odds (M,), taken for right above 0. Gold: Ragged 0 and 1.
    """

    def fits(self, prediction: Any, gold: Any) -> bool:
        return fitting(prediction, gold)

    def constant(self, gold: Ragged) -> Ragged:
        """Every answer is right: any other constant would be worth 0."""
        return Ragged(np.ones(len(gold.flat)), gold.lengths)

    def statistics(self, prediction: Ragged, gold: Ragged) -> np.ndarray:
        said, true = prediction.flat > 0, gold.flat == 1
        return np.stack([np.bincount(gold.owner, x, len(gold)) for x in (said & true, said, true)], 1)

    def of_sums(self, sums: np.ndarray) -> np.ndarray:
        return ratio(2 * sums[..., 0], sums[..., 1] + sums[..., 2])


class ExactQuestions(MeanMetric):
    """Questions all of whose answers are judged right, as a share (MultiRC's EM). Arrays as of F1a."""

    def fits(self, prediction: Any, gold: Any) -> bool:
        return fitting(prediction, gold)

    def constant(self, gold: Ragged) -> Ragged | None:
        """The more frequent label for all."""
        found: Ragged | None = constant(gold)
        return found

    def each(self, prediction: Ragged, gold: Ragged) -> np.ndarray:
        wrong = (prediction.flat > 0) != (gold.flat == 1)
        return (np.bincount(gold.owner, wrong, len(gold)) == 0).astype(np.float64)


@dataclass(frozen=True)
class Credit(MeanMetric):
    """What the candidate with the highest score is worth, as a mean over questions (ReCoRD's F1 and EM).

    Predictions: Ragged scores (M,). Gold: Ragged (M, 2), each candidate's own F1 and EM against the right answers; of
    equal scores the candidate that is worth least counts.
    """

    column: int

    def fits(self, prediction: Any, gold: Any) -> bool:
        return fitting(prediction, gold, (2,)) and gold.lengths.min() > 0

    def constant(self, gold: Ragged) -> None:
        """Candidates have no label that could be the same for all."""

    def each(self, prediction: Ragged, gold: Ragged) -> np.ndarray:
        worth = gold.flat[:, self.column]
        best = np.lexsort((worth, -prediction.flat, gold.owner))[gold.starts]
        return worth[best].astype(np.float64)
