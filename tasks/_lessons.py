"""What a retriever learns from: groups of a query and its candidates, by whoever says what is relevant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bench.inputs import Examples, Texts
from bench.sources import DataError
from bench.tasks._bm25 import Bm25, best
from bench.tasks._judged import Document, Queries, hashed

QUERY, DOCUMENT = 64, 128  # tokens that are read of each; our choice: queries of CACM are paragraphs
SPREAD = 30  # documents of BM25 among which candidates of a query without judgements lie. Our choice


@dataclass(frozen=True)
class Lessons:
    """N groups: a query, K documents of it, and their grades (N, K). `weak`: nobody judged them."""

    queries: Sequence[str]
    candidates: Sequence[Sequence[str]]
    grades: np.ndarray
    weak: str = ""
    names: Sequence[tuple[str, Sequence[str]]] = ()  # of each query and of its candidates

    def __len__(self) -> int:
        return len(self.queries)


def examples(found: Iterable[Lessons]) -> Examples:
    """Groups (N, 1 + K) over the texts of all lessons, each once: queries, then documents, cut to their own lengths."""
    rows = [row for lessons in found for row in zip(lessons.queries, lessons.candidates, lessons.grades, strict=True)]
    asked = list(dict.fromkeys(query for query, _, _ in rows))
    used = list(dict.fromkeys(text for _, texts, _ in rows for text in texts))
    of_query = {text: n for n, text in enumerate(asked)}
    of_document = {text: n for n, text in enumerate(used, len(asked))}
    groups = np.array([[of_query[query], *(of_document[text] for text in texts)] for query, texts, _ in rows])
    return Examples(read_apart(asked, used), groups, np.stack([grades for *_, grades in rows]).astype(np.float32))


def read_apart(queries: Sequence[str], documents: Sequence[str]) -> Texts:
    """Queries, then documents, each cut to its own length."""
    limits, asked = (np.repeat(of, [len(queries), len(documents)]) for of in ([QUERY, DOCUMENT], [True, False]))
    return Texts([*queries, *documents], limits=limits, queries=asked)


class Library:
    """Documents that lessons are made of, by name, and the groups of `width` candidates that they give."""

    def __init__(self, documents: Sequence[str], names: Sequence[str], width: int, search: Bm25 | None = None) -> None:
        self.documents, self.names, self.width = documents, names, width
        self.search = search or Bm25(documents)

    def judged(self, queries: Queries, most: int | None) -> Lessons:
        """A group for each relevant document, with the documents that BM25 ranks highest among the others."""
        relevant = [[(int(d), grade) for d, grade in row.tolist() if grade >= 1] for row in queries.gold]
        return self.against_others(queries.names, queries.texts, relevant, most)

    def titles(self, documents: Sequence[Document], most: int | None) -> Lessons:
        """Title (else first sentence) of each document that has more as a query, for which it is relevant.

        `self` holds what is left of these documents.
        """
        texts = [document.halves[0] for document in documents]
        names = [title_of(name) for name in self.names]
        return self.against_others(names, texts, [[(n, 1.0)] for n in range(len(texts))], most, TITLES)

    def against_others(
        self, names: Sequence[str], queries: Sequence[str], relevant: Sequence[Sequence[tuple[int, float]]],
        most: int | None, weak: str = "",
    ) -> Lessons:  # fmt: skip
        pairs = [(q, d, grade) for q, found in enumerate(relevant) for d, grade in found]
        if not pairs:
            raise DataError("there is nothing to train on: no query has a relevant document")
        if len(self.documents) < self.width + max(map(len, relevant)):
            raise DataError(f"a collection of {len(self.documents)} documents is too small for groups of {self.width}")
        pairs = sorted(pairs, key=lambda pair: hashed(f"{queries[pair[0]]}\n{self.documents[pair[1]]}"))[:most]
        others = {q: self.others(queries[q], {d for d, _ in relevant[q]}) for q in {q for q, _, _ in pairs}}
        chosen = [(q, [d, *others[q]]) for q, d, _ in pairs]
        grades = np.zeros((len(pairs), self.width), np.float32)
        grades[:, 0] = [grade for *_, grade in pairs]
        return self.lessons(names, queries, chosen, grades, weak)

    def others(self, query: str, relevant: set[int]) -> list[int]:
        """The documents that BM25 ranks highest, but for these; where too few share a word, the last ones by number."""
        (scores,) = self.search.scores([query])
        scores[list(relevant)] = -np.inf
        return best(scores, self.width - 1)[:, 0].astype(int).tolist()

    def asked(self, queries: Mapping[str, str], most: int | None) -> Lessons:
        """Queries without judgements: candidates at even steps of BM25's first `SPREAD`. Its first one counts as
        relevant where labels are asked for."""
        order = sorted((name for name in queries if queries[name]), key=lambda name: hashed(queries[name]))
        chosen, texts = [], [queries[name] for name in order]
        for q, text in enumerate(texts):
            (row,) = self.search.first([text], SPREAD)
            if len(row) >= self.width:
                steps = np.linspace(0, len(row) - 1, self.width).astype(int)
                chosen.append((q, row[steps, 0].astype(int).tolist()))
            if most is not None and len(chosen) == most:
                break
        grades = np.zeros((len(chosen), self.width), np.float32)
        grades[:, 0] = 1
        return self.lessons(order, texts, chosen, grades, ASKED)

    def scored(
        self, queries: Mapping[str, str], lines: Iterable[tuple[str, str, str, float]], most: int | None
    ) -> Lessons:
        """Of a file of scores: candidates at even steps of a query's list by score, graded by the softmax of theirs."""
        found: dict[str, dict[int, float]] = defaultdict(dict)
        number = {name: n for n, name in enumerate(self.names)}
        for place, query, document, score in lines:
            if query not in queries or document not in number:
                what, name = ("training query", query) if query not in queries else ("document", document)
                raise DataError(f"{place}: there is no {what} {name}")
            found[query][number[document]] = score
        order = sorted((q for q in found if len(found[q]) >= self.width), key=lambda q: hashed(queries[q]))[:most]
        if not order:
            raise DataError(f"no query has scores of {self.width} documents, which a training group needs")
        chosen, grades = [], []
        for q, name in enumerate(order):
            ranked = sorted(found[name].items(), key=lambda pair: (-pair[1], -pair[0]))
            kept = [ranked[i] for i in np.linspace(0, len(ranked) - 1, self.width).astype(int)]
            scores = np.exp([score - kept[0][1] for _, score in kept])
            chosen.append((q, [n for n, _ in kept]))
            grades.append(scores / scores.sum())
        return self.lessons(order, [queries[name] for name in order], chosen, np.array(grades))

    def lessons(
        self, names: Sequence[str], queries: Sequence[str], chosen: Sequence[tuple[int, Sequence[int]]],
        grades: np.ndarray, weak: str = "",
    ) -> Lessons:  # fmt: skip
        return Lessons(
            [queries[q] for q, _ in chosen], [[self.documents[d] for d in found] for _, found in chosen], grades, weak,
            [(names[q], [self.names[d] for d in found]) for q, found in chosen],
        )  # fmt: skip


TITLES = "title (else first sentence) of a document as query, the rest of it as its relevant document: weak labels"
ASKED = "queries without judgements, for which BM25's first document counts as relevant: weak labels"


def title_of(document: str) -> str:
    """The name of the query that a document's title makes."""
    return f"title:{document}"


def halved(documents: Sequence[Document], names: Sequence[str]) -> tuple[list[Document], list[str]]:
    """The documents that can ask for themselves, with their names."""
    kept = [(document, name) for document, name in zip(documents, names, strict=True) if all(document.halves)]
    return [document for document, _ in kept], [name for _, name in kept]
