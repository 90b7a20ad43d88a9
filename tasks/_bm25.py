"""BM25, and the first documents of a ranking: what a collection's judgements are held against without any network."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import numpy as np
from scipy.sparse import csr_array

BLOCK = 64  # queries that are scored at a time
# Lucene's English stop words
STOPS = """a an and are as at be but by for if in into is it no not of on or such that the their then there these they
this to was will with"""
STOP = frozenset(STOPS.split())


class Bm25:
    """BM25 with Lucene's idf and without its factor k1 + 1, which changes no order (Robertson & Zaragoza 2009;
    Kamphuis et al. 2020); k1 and b are Anserini's defaults. Words are runs of letters and digits in lower case without
    Lucene's stop words; there is no stemming.

        score(q, d) = sum over w in q of ln(1 + (D - n_w + 0.5) / (n_w + 0.5)) f_wd / (f_wd + k1 (1 - b + b |d| / mean))
    """

    def __init__(self, documents: Sequence[str], k1: float = 0.9, b: float = 0.4) -> None:
        self.words: dict[str, int] = {}
        counts = self.counted(documents, lambda word: self.words.setdefault(word, len(self.words)))
        there = np.bincount(counts.indices, minlength=len(self.words))  # documents with the word
        size = counts.sum(1)
        length = np.repeat(size, np.diff(counts.indptr))
        idf = np.log(1 + (len(documents) - there + 0.5) / (there + 0.5))
        f = counts.data
        counts.data = idf[counts.indices] * f / (f + k1 * (1 - b + b * length / max(1.0, size.mean())))
        self.weights = counts.T.tocsr()  # (words, D)

    def scores(self, queries: Sequence[str]) -> Iterator[np.ndarray]:
        """Blocks (B, D) of float32."""
        for start in range(0, len(queries), BLOCK):
            counts = self.counted(queries[start : start + BLOCK], self.words.get)
            yield (counts @ self.weights).toarray().astype(np.float32)

    def counted(self, texts: Sequence[str], number: Callable[[str], int | None]) -> csr_array:
        """How often each word is in each text, (N, words)."""
        found = [Counter(n for w in words_of(text) if (n := number(w)) is not None) for text in texts]
        ends = np.cumsum([0, *map(len, found)])
        columns, counts = (np.array(list(chain.from_iterable(part))) for part in (found, (c.values() for c in found)))
        shape = (len(texts), len(self.words))
        return csr_array((counts.astype(np.float64), columns.astype(np.int64), ends), shape=shape)


def words_of(text: str) -> Iterator[str]:
    return (word for word in re.findall(r"[^\W_]+", text.lower()) if word not in STOP)


def best(scores: np.ndarray, depth: int) -> np.ndarray:
    """(number, score) of the documents with the highest scores (D,), equal ones by number, highest first."""
    least = np.partition(scores, -depth)[-depth] if depth < len(scores) else -np.inf
    near = np.flatnonzero(scores >= least)
    order = np.lexsort((-near, -scores[near]))[:depth]
    return np.stack([near[order], scores[near[order]]], 1).astype(np.float32)
