"""Ranked lists of documents: MRR, nDCG, precision, recall and MAP, each a mean over queries of what trec_eval computes.

The defaults are those of ir-measures, which asks trec_eval: a document is relevant from grade 1 on (its `rel`);
nDCG's gain is the grade itself and not 2^grade - 1, over log2(1 + rank); documents of equal scores come by their
number, highest first (so documents are to be numbered in the order of their names). A query without a relevant document
counts as 0.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import numpy as np

from bench.errors import RequestError
from bench.scoring.metric import MeanMetric, ratio
from bench.scoring.scores import Ragged, positions

DRAWS = 200  # random orders whose mean is what a ranking has to be above


@dataclass(frozen=True)
class RankingMetric(MeanMetric):
    """Predictions: Ragged (number of a document, its score), flat (M, 2), a row a query, in any order. Gold: Ragged
    (number, grade), flat (M, 2), of the judged documents; others have grade 0.

    Of the `depth` documents ranked highest; None: of all. `level`: the grade from which on a document is relevant, to
    metrics that know no grades.
    """

    depth: int | None = None
    level: int = 1

    def constant(self, gold: Ragged) -> None:
        """No order of documents is the same for every query."""

    def trivial(self, gold: Ragged, ranked: Ragged | None = None) -> float | None:
        """The mean over random orders of the documents, where all that were ranked are judged, as candidate answers
        are. None: others were, found in a collection, of which gold names a part."""
        if ranked is None or not same_documents(ranked, gold):
            return None
        rng = np.random.default_rng(0)
        drawn = (np.stack([gold.flat[:, 0], rng.random(len(gold.flat))], axis=1) for _ in range(DRAWS))
        return float(np.mean([self.value(Ragged(order, gold.lengths), gold) for order in drawn]))

    def fits(self, prediction: Ragged, gold: Ragged) -> bool:
        both = all(
            isinstance(side, Ragged) and side.flat.shape[1:] == (2,) and side.flat.dtype.kind in "fiu"
            for side in (prediction, gold)
        )
        return both and 0 < len(gold) == len(prediction)

    def each(self, prediction: Ragged, gold: Ragged) -> np.ndarray:
        """(N,). RequestError: a document is ranked or judged twice for one query."""
        query, rank, grade = ranked(prediction, gold)
        kept = rank <= (self.depth or np.inf)
        return self.of_ranks(query[kept], rank[kept], grade[kept], gold)

    @abstractmethod
    def of_ranks(self, query: np.ndarray, rank: np.ndarray, grade: np.ndarray, gold: Ragged) -> np.ndarray:
        """From the query, rank (from 1 on) and grade of each kept document, by query and rank, (M,) -> (N,)."""


class ReciprocalRank(RankingMetric):
    """1 / the rank of the first relevant document; 0 where none is there."""

    def of_ranks(self, query: np.ndarray, rank: np.ndarray, grade: np.ndarray, gold: Ragged) -> np.ndarray:
        found = np.zeros(len(gold))
        np.maximum.at(found, query[grade >= self.level], 1 / rank[grade >= self.level])
        return found


class Precision(RankingMetric):
    """Relevant documents among the first `depth` / depth, however few there are."""

    def of_ranks(self, query: np.ndarray, rank: np.ndarray, grade: np.ndarray, gold: Ragged) -> np.ndarray:
        return ratio(np.bincount(query, grade >= 1, len(gold)), self.depth or 0)


class Ndcg(RankingMetric):
    """sum grade / log2(1 + rank), over the largest that any order of the judged documents gives."""

    def of_ranks(self, query: np.ndarray, rank: np.ndarray, grade: np.ndarray, gold: Ragged) -> np.ndarray:
        order = np.lexsort((-gold.flat[:, 1], gold.owner))
        best = positions(gold.lengths) + 1
        kept = best <= (self.depth or np.inf)
        ideal = discounted(gold.owner[kept], best[kept], gold.flat[order, 1][kept], len(gold))
        return ratio(discounted(query, rank, grade, len(gold)), ideal)


class Recall(RankingMetric):
    """Relevant documents that are there / all relevant documents."""

    def of_ranks(self, query: np.ndarray, rank: np.ndarray, grade: np.ndarray, gold: Ragged) -> np.ndarray:
        return ratio(np.bincount(query, grade >= self.level, len(gold)), relevant(gold, self.level))


class AveragePrecision(RankingMetric):
    """sum over relevant documents that are there of (relevant ones up to its rank / its rank) / all relevant ones."""

    def of_ranks(self, query: np.ndarray, rank: np.ndarray, grade: np.ndarray, gold: Ragged) -> np.ndarray:
        hit = grade >= self.level
        hits = np.bincount(query, hit, len(gold))
        so_far = np.cumsum(hit) - (np.cumsum(hits) - hits)[query]  # of the same query
        return ratio(np.bincount(query, np.where(hit, so_far / rank, 0), len(gold)), relevant(gold, self.level))


def ranked(prediction: Ragged, gold: Ragged) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Query, rank and grade of each ranked document, by query and rank, (M,)."""
    documents, numbers = np.unique(np.concatenate([gold.flat[:, 0], prediction.flat[:, 0]]), return_inverse=True)
    keys = np.concatenate([gold.owner, prediction.owner]) * len(documents) + numbers  # one a query and document
    judged, found = np.split(keys, [len(gold.flat)])
    if len(np.unique(judged)) < len(judged) or len(np.unique(found)) < len(found):
        raise RequestError("a document is ranked or judged twice for one query")
    order = np.argsort(judged)
    places = np.searchsorted(judged, found, sorter=order)
    judged, grades = np.append(judged[order], -1), np.append(gold.flat[order, 1], 0)
    grade = np.where(judged[places] == found, grades[places], 0)
    order = np.lexsort((-prediction.flat[:, 0], -prediction.flat[:, 1], prediction.owner))
    return prediction.owner, positions(prediction.lengths) + 1, grade[order]


def same_documents(one: Ragged, two: Ragged) -> bool:
    """Whether both name the same documents for each query."""
    if not np.array_equal(one.lengths, two.lengths):
        return False
    first, second = (side.flat[np.lexsort((side.flat[:, 0], side.owner)), 0] for side in (one, two))
    return np.array_equal(first, second)


def discounted(query: np.ndarray, rank: np.ndarray, grade: np.ndarray, queries: int) -> np.ndarray:
    """DCG of each query; a grade below 0 is worth nothing."""
    return np.bincount(query, grade.clip(0) / np.log2(1 + rank), queries)


def relevant(gold: Ragged, level: int = 1) -> np.ndarray:
    """Relevant documents of each query, (N,)."""
    return np.bincount(gold.owner, gold.flat[:, 1] >= level, len(gold))
