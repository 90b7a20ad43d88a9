"""BM25 by bm25s, and the first documents of a ranking: what a collection is searched with without any network."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np

from bench.errors import RequestError

K1, B = 0.9, 0.4  # Anserini's defaults
# Lucene's English stop words
STOPS = """a an and are as at be but by for if in into is it no not of on or such that the their then there these they
this to was will with"""
STOP = frozenset(STOPS.split())
ANALYSER = f"bm25s, k1 {K1}, b {B}, Lucene's idf and English stop words, lower case, no stemming"


class Bm25:
    """BM25 with Lucene's idf and without its factor k1 + 1, which changes no order (Robertson & Zaragoza 2009;
    Kamphuis et al. 2020). Words are runs of letters and digits in lower case without Lucene's stop words.

        score(q, d) = sum over w in q of ln(1 + (D - n_w + 0.5) / (n_w + 0.5)) f_wd / (f_wd + k1 (1 - b + b |d| / mean))

    RequestError: bm25s is not installed.
    """

    def __init__(self, documents: Sequence[str]) -> None:
        try:
            import bm25s
        except ImportError:
            raise RequestError("BM25 needs the 'retrieval' extra: pip install 'bench-kd[retrieval]'") from None
        words = [list(words_of(text)) for text in documents]
        self.size, self.index = len(documents), bm25s.BM25(k1=K1, b=B, method="lucene")
        self.known = frozenset(chain.from_iterable(words))
        if self.known:
            self.index.index(words, show_progress=False)

    def scores(self, queries: Sequence[str]) -> Iterator[np.ndarray]:
        """(D,) of float32 for each query; 0: no word in common."""
        for query in queries:
            words = [word for word in words_of(query) if word in self.known]
            yield self.index.get_scores(words) if words else np.zeros(self.size, np.float32)

    def first(self, queries: Sequence[str], depth: int) -> list[np.ndarray]:
        """(number, score) of the first documents for each query, among those that share a word with it."""
        found = (best(scores, depth) for scores in self.scores(queries))
        return [row[row[:, 1] > 0] for row in found]


def words_of(text: str) -> Iterator[str]:
    return (word for word in re.findall(r"[^\W_]+", text.lower()) if word not in STOP)


def best(scores: np.ndarray, depth: int) -> np.ndarray:
    """(number, score) of the documents with the highest scores (D,), equal ones by number, highest first."""
    least = np.partition(scores, -depth)[-depth] if depth < len(scores) else -np.inf
    near = np.flatnonzero(scores >= least)
    order = np.lexsort((-near, -scores[near]))[:depth]
    return np.stack([near[order], scores[near[order]]], 1).astype(np.float32)
