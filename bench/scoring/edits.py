"""Error rates of texts by edit distance, over the corpus, and texts that are right as a whole.

    WER = sum_u (S_u + D_u + I_u) / sum_u N_u      words of utterance u; CER the same over characters, spaces among them

Sums are over all utterances, never a mean of their rates. `1-wer` is what is left of 1, so that more is better and a
student's share of its teacher means something; it is below 0 where there are more errors than words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from bench.scoring.metric import MeanMetric, SumMetric, ratio
from bench.scoring.scores import Ragged

CELLS = 2**22  # of the tables of one group of texts
OTHER = re.compile("[^0-9a-z]")


@dataclass(frozen=True)
class ErrorRate(SumMetric):
    """Prediction and gold: Ragged words as text, a row an utterance. An empty gold row adds its insertions alone."""

    bounds = (-math.inf, math.inf)  # there may be more errors than words

    letters: bool = False  # characters of the words joined by spaces, in the place of words
    right: bool = False  # 1 less the rate

    def fits(self, prediction: Ragged, gold: Ragged) -> bool:
        return worded(prediction) and worded(gold) and 0 < len(gold) == len(prediction)

    def statistics(self, prediction: Ragged, gold: Ragged) -> np.ndarray:
        """(N, 2): errors, and words or characters of gold."""
        found, true = (numbered(side, self.letters) for side in (prediction, gold))
        both = np.unique(np.concatenate([found.flat, true.flat]), return_inverse=True)[1]
        parts = np.split(both, [len(found.flat)])
        rows = [Ragged(part, side.lengths) for part, side in zip(parts, (found, true), strict=True)]
        return np.stack([distances(*rows), true.lengths], 1).astype(np.float64)

    def of_sums(self, sums: np.ndarray) -> np.ndarray:
        rate = ratio(sums[..., 0], sums[..., 1])
        return 1 - rate if self.right else rate

    def constant(self, gold: Ragged) -> Ragged:
        """Silence: every word is deleted. Any other answer that reads no input may be better by a few words."""
        return Ragged(gold.flat[:0], np.zeros_like(gold.lengths))


class WordAccuracy(MeanMetric):
    """Share of texts that are right as a whole, read as scene text is: of the letters a to z and the digits alone,
    upper and lower case alike (36 characters; Baek et al. 2019, deep-text-recognition-benchmark)."""

    def fits(self, prediction: Ragged, gold: Ragged) -> bool:
        return worded(prediction) and worded(gold) and 0 < len(gold) == len(prediction)

    def each(self, prediction: Ragged, gold: Ragged) -> np.ndarray:
        return np.array([bare(p) == bare(g) for p, g in zip(prediction, gold, strict=True)], np.float64)

    def constant(self, gold: Ragged) -> Ragged:
        """The most frequent text of all."""
        texts, counts = np.unique([bare(row) for row in gold], return_counts=True)
        most = [str(texts[counts.argmax()])]
        return Ragged.of([most] * len(gold), gold.flat.dtype.type)


def worded(rows: object) -> bool:
    """Whether these are rows of words."""
    return isinstance(rows, Ragged) and rows.flat.ndim == 1 and (rows.flat.dtype.kind == "U" or not len(rows.flat))


def bare(words: Iterable[str]) -> str:
    return OTHER.sub("", "".join(words).lower())


def numbered(rows: Ragged, letters: bool) -> Ragged:
    """The rows as they are, or those of their characters' numbers."""
    if not letters:
        return Ragged(rows.flat.astype(np.str_), rows.lengths)
    return Ragged.of([list(map(ord, " ".join(row))) for row in rows], np.int64)


def distances(one: Ragged, two: Ragged) -> np.ndarray:
    """Levenshtein distance of each pair of rows of whole numbers, (N,)."""
    order, found, start = np.argsort(-two.lengths, kind="stable"), np.zeros(len(one), np.int64), 0
    while start < len(order):
        size = max(1, CELLS // (1 + int(two.lengths[order[start]])))
        rows = order[start : start + size]
        found[rows] = of_group(one[rows], two[rows])
        start += size
    return found


def of_group(one: Ragged, two: Ragged) -> np.ndarray:
    """The same, row by row of all tables at once: what an insertion costs is a running minimum."""
    width, group = int(two.lengths.max(initial=0)), np.arange(len(one))
    columns = np.arange(width + 1)
    targets = np.full((len(two), width), -1)
    targets[columns[:-1] < two.lengths[:, None]] = two.flat
    before = np.tile(columns, (len(one), 1))
    found = before[group, two.lengths]
    for place in range(int(one.lengths.max(initial=0))):
        there = np.flatnonzero(one.lengths > place)
        own = one.flat[one.starts[there] + place]
        last = before[there]
        now = last + 1  # of the first column, and deletions
        now[:, 1:] = np.minimum(now[:, 1:], last[:, :-1] + (targets[there] != own[:, None]))
        before[there] = np.minimum.accumulate(now - columns, 1) + columns
        found[there] = before[there, two.lengths[there]]
    return found
