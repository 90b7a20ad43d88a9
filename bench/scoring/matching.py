"""Recall in both directions of image-text retrieval, and the sum of all six: from ranks.

    tr@K   share of images of which one of their own captions is among the K captions ranked highest (text retrieval)
    ir@K   share of captions whose image is among the K images ranked highest (image retrieval)
    rsum   tr@1 + tr@5 + tr@10 + ir@1 + ir@5 + ir@10, which boards show x 100, so at most 600

An image is sampled with its captions, so resampling, and with it every interval, is over images.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.scoring.metric import SumMetric, ratio
from bench.scoring.scores import Ragged, positions

DEPTHS = (1, 5, 10)


@dataclass(frozen=True)
class MatchRecall(SumMetric):
    """Predictions: Ragged whole numbers, a row an image: the rank of its best caption, then that of the image for each
    of its captions, from 1 on. Gold: (N,) how many captions each image has.

    `parts`: the recalls that are summed, as ("tr", 5).
    """

    bounds = (0.0, 6.0)  # of a sum of six

    recalls: tuple[tuple[str, int], ...]

    def constant(self, gold: np.ndarray) -> None:
        """No ranking is the same for every input."""

    def trivial(self, gold: np.ndarray, ranked: Ragged | None = None) -> float:
        """The mean over random orders. An image's captions are all behind the first K of T with the probability that
        K drawn from T without putting back are none of them."""
        drawn = np.arange(max(DEPTHS))
        others = (gold.sum() - gold[:, None] - drawn).clip(0) / (gold.sum() - drawn).clip(1)
        missed = np.cumprod(others, axis=1).mean(0)
        chance = {"tr": lambda depth: 1 - missed[depth - 1], "ir": lambda depth: min(1, depth / len(gold))}
        return float(sum(chance[way](depth) for way, depth in self.recalls))

    def fits(self, prediction: Ragged, gold: np.ndarray) -> bool:
        whole = isinstance(prediction, Ragged) and isinstance(gold, np.ndarray) and prediction.flat.dtype.kind in "iu"
        return whole and 0 < len(gold) == len(prediction) and np.array_equal(prediction.lengths, gold + 1)

    def statistics(self, prediction: Ragged, gold: np.ndarray) -> np.ndarray:
        """(N, R + 2): hits of each recall, 1, and captions."""
        best = positions(prediction.lengths) == 0
        hits = [self.hits(prediction, (best if way == "tr" else ~best), depth) for way, depth in self.recalls]
        return np.stack([*hits, np.ones(len(gold)), gold], axis=1).astype(float)

    def hits(self, prediction: Ragged, counted: np.ndarray, depth: int) -> np.ndarray:
        return np.bincount(prediction.owner, counted & (prediction.flat <= depth), len(prediction))

    def of_sums(self, sums: np.ndarray) -> np.ndarray:
        images, captions = sums[..., -2], sums[..., -1]
        each = (ratio(sums[..., n], images if way == "tr" else captions) for n, (way, _) in enumerate(self.recalls))
        return np.sum(list(each), axis=0)


MATCHING = {f"{way}@{depth}": MatchRecall(((way, depth),)) for way in ("tr", "ir") for depth in DEPTHS}
MATCHING |= {"rsum": MatchRecall(tuple((way, depth) for way in ("tr", "ir") for depth in DEPTHS))}


def ranks(scores: np.ndarray, owner: np.ndarray) -> Ragged:
    """Scores (I, T) of images and captions, `owner` (T,) the image of each caption, ascending -> the predictions above.

    A rank is 1 + how many that are wrong score as much or more: ties count against. Of an image's captions the best
    one counts, and its others are not wrong.
    """
    own = owner == np.arange(len(scores))[:, None]
    mine = scores[owner, np.arange(len(owner))]
    lengths = np.bincount(owner, minlength=len(scores))
    best = np.where(own, scores, -np.inf).max(1)
    of_images = 1 + ((scores >= best[:, None]) & ~own).sum(1)
    of_captions = (scores >= mine).sum(0)  # the caption's own image is one of them
    found = np.empty(len(scores) + len(owner), np.int32)
    starts = np.cumsum(lengths + 1) - (lengths + 1)
    found[starts] = of_images
    found[np.arange(len(owner)) + owner + 1] = of_captions
    return Ragged(found, (lengths + 1).astype(np.int32))
