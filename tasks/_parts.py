"""One collection of a retrieval board: how it is searched, what it teaches, and what of it is reranked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np

from bench.scoring.scores import Ragged
from bench.sources import filled
from bench.task import Task
from bench.tasks._bm25 import Bm25
from bench.tasks._collections import FORMS
from bench.tasks._judged import Collection, scored
from bench.tasks._lessons import Lessons, Library, halved, title_of

CANDIDATES = {"lite": 4, "full": 8}  # of a training group. Our choice
NEAR = 50  # documents of BM25 that dev ranks for a query, beside the judged ones
RERANKED = {"dev": NEAR, "test": 100}  # documents of BM25 that are read together with a query


class Part:
    """One collection of a board: how it is searched, and what it teaches."""

    def __init__(self, name: str, task: Task) -> None:
        self.name, self.form, self.task = name, FORMS[name], task

    @cached_property
    def collection(self) -> Collection:
        return Collection(self.form.open(self.task.source, self.name))

    @cached_property
    def documents(self) -> list[str]:
        return [document.whole for document in self.collection.documents]

    @cached_property
    def search(self) -> Bm25:
        return Bm25(self.documents)

    @cached_property
    def scores(self) -> Path | None:
        """The file of another model's scores, where one lies beside the collection."""
        folder = self.form.place(self.task.source, self.name)
        return folder / "scores.tsv" if folder and (folder / "scores.tsv").exists() else None

    def ranked(self, split: str) -> np.ndarray:
        """The numbers of the documents that a split ranks, ascending: all of them on test."""
        return np.arange(len(self.documents)) if split == "test" else self.near

    @cached_property
    def near(self) -> np.ndarray:
        queries = self.collection.splits["dev"]
        found = [row[:, 0] for row in self.search.first(queries.texts, NEAR)]
        return np.unique(np.concatenate([queries.gold.flat[:, 0], *found])).astype(np.int64)

    def first(self, split: str) -> list[np.ndarray]:
        """Of each query of a split the numbers of BM25's first documents, which a network reads together with it."""
        return self.best(self.collection.splits[split].texts, split)

    def best(self, queries: Sequence[str], split: str) -> list[np.ndarray]:
        """The same of any queries."""
        return [row[:, 0].astype(np.int64) for row in self.search.first(queries, RERANKED[split])]

    def pairs(self, split: str) -> Iterator[tuple[str, str]]:
        """These queries and documents."""
        for query, numbers in zip(self.collection.splits[split].texts, self.first(split), strict=True):
            yield from ((query, self.documents[n]) for n in numbers)

    def lessons(self, most: int | None) -> Lessons:
        """At most so many groups, in hashed order."""
        width = CANDIDATES[self.task.track_name]
        own, judged = self.collection, self.collection.splits.get("train")
        whole = Library(self.documents, own.names, width, self.search)
        if path := self.scores:
            return whole.scored(self.askable(), scored(path), most)
        if judged:
            return whole.judged(judged, most)
        if own.asked:
            return whole.asked(own.asked, most)
        documents, names = halved(own.documents, own.names)
        return Library([document.halves[1] for document in documents], names, width).titles(documents, most)

    def askable(self) -> dict[str, str]:
        """All queries that training may ask, by name."""
        own, judged = self.collection, self.collection.splits.get("train")
        documents, names = halved(own.documents, own.names)
        titles = {title_of(name): document.halves[0] for name, document in zip(names, documents, strict=True)}
        return titles | dict(own.asked) | (dict(zip(judged.names, judged.texts, strict=True)) if judged else {})

    def content(self) -> Iterator[str]:
        """Names, documents, queries and judgements, for a key."""
        yield from chain(self.collection.names, chain.from_iterable(self.collection.documents))
        yield from chain.from_iterable(self.collection.asked.items())
        for name, queries in self.collection.splits.items():
            yield from (name, *queries.names, *queries.texts)
            yield from (repr(array.tolist()) for array in queries.gold.arrays)
        if path := self.scores:
            yield from filled(path)


def reordered(found: Sequence[np.ndarray], scores: Iterator[np.ndarray]) -> Ragged:
    """(number, score) of each query's documents, from their numbers and their scores: highest first, equal ones by
    number."""
    rows = []
    for numbers in found:
        own = next(scores)
        order = np.lexsort((-numbers, -own))
        rows.append(np.stack([numbers[order], own[order]], 1))
    return Ragged.of(rows, np.float32, (2,))
