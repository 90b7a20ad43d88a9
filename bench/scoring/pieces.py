"""Hidden word pieces that were guessed: how often the likeliest is right, and how likely the right one is."""

from __future__ import annotations

import numpy as np

from bench.scoring.metric import SumMetric, ratio
from bench.scoring.scores import Ragged


class MaskedAccuracy(SumMetric):
    """Right pieces over all that were hidden.

    Predictions: Ragged (M, 2), the likeliest piece and the log-probability of the true one (natural logarithm). Gold:
    Ragged (M,), the true piece. A row is a text.
    """

    def fits(self, prediction: Ragged, gold: Ragged) -> bool:
        ragged = isinstance(prediction, Ragged) and isinstance(gold, Ragged) and len(gold) > 0
        shaped = ragged and prediction.flat.ndim == 2 and gold.flat.ndim == 1 and gold.flat.dtype.kind in "iu"
        return bool(shaped and np.array_equal(prediction.lengths, gold.lengths))

    def each(self, prediction: Ragged, gold: Ragged) -> np.ndarray:
        """What each piece gives, (M,)."""
        return prediction.flat[:, 0] == gold.flat

    def statistics(self, prediction: Ragged, gold: Ragged) -> np.ndarray:
        """(N, 2): what the pieces of a text give, and how many there are."""
        sums = np.bincount(gold.owner, self.each(prediction, gold).astype(np.float64), len(gold))
        return np.stack([sums, gold.lengths], axis=1)

    def of_sums(self, sums: np.ndarray) -> np.ndarray:
        return ratio(sums[..., 0], sums[..., 1])

    def constant(self, gold: Ragged) -> Ragged | None:
        """The most frequent piece everywhere, with each piece as likely as it is frequent."""
        if not len(gold.flat):
            return None
        pieces, which, counts = np.unique(gold.flat, return_inverse=True, return_counts=True)
        most = np.full(len(which), pieces[counts.argmax()], np.float64)
        return Ragged(np.stack([most, np.log(counts / len(which))[which]], axis=1), gold.lengths)


class Likelihood(MaskedAccuracy):
    """The geometric mean of the probability of the true pieces: 1 / perplexity, so that more is better."""

    def each(self, prediction: Ragged, gold: Ragged) -> np.ndarray:
        return prediction.flat[:, 1]

    def of_sums(self, sums: np.ndarray) -> np.ndarray:
        return np.where(sums[..., 1] > 0, np.exp(super().of_sums(sums)), 0.0)
