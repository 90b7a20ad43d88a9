"""Judged collections: documents, queries and what people found relevant, in BEIR's layout and in TREC's files."""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from bench.scoring.scores import Ragged
from bench.sources import DataError, files_in, filled, number_in, table

T = TypeVar("T")
SENTENCE = re.compile(r"(?<=[.!?])\s+")
TAGGED = re.compile(r"<(DOC|top)>\s*<(DOCNO|num)>\s*(\S+?)\s*</\2>(.*?)</\1>\s*", re.S)


class Document(NamedTuple):
    """`rest` is found with title and text, and is neither: authors, keywords."""

    title: str
    text: str
    rest: str = ""

    @property
    def whole(self) -> str:
        return " ".join(filter(None, self))

    @property
    def halves(self) -> tuple[str, str]:
        """A query that the document answers, and what is left of it: title and text, or first sentence and others."""
        if self.title:
            return self.title, self.text
        first, *others = SENTENCE.split(self.text, maxsplit=1)
        return first, "".join(others)


Grades = Iterable[tuple[str, str, str, float]]  # (place in a file, query, document, grade)


class Read(NamedTuple):
    """What a reader finds: documents by name, queries by name, judgements by split, queries to learn from that have no
    judgements."""

    documents: Mapping[str, Document]
    queries: Mapping[str, str]
    judgements: Mapping[str, Grades]
    asked: Mapping[str, str] = {}


@dataclass(frozen=True)
class Queries:
    """Judged queries: N names, N texts, and for each the (number, grade) of its judged documents, flat (M, 2)."""

    names: Sequence[str]
    texts: Sequence[str]
    gold: Ragged

    def rows(self, chosen: Sequence[int]) -> Queries:
        at = np.array(chosen, np.int64)
        return Queries([self.names[i] for i in at], [self.texts[i] for i in at], self.gold[at])


class Collection:
    """D documents in the order of their names, so that numbers break ties as trec_eval does, and judged queries.

    DataError: a judgement names what is not there (a document that is not relevant is passed over), or comes twice; a
    query without words. A document without words is one like all others, and is ranked.
    """

    def __init__(self, read: Read) -> None:
        self.names = sorted(read.documents)
        self.asked = read.asked
        self.documents = [read.documents[name] for name in self.names]
        self.number = {name: n for n, name in enumerate(self.names)}
        found = {split: self.judged(read.queries, grades) for split, grades in read.judgements.items()}
        if "test" not in found:
            raise DataError("there are no judgements for test (qrels/test.tsv)")
        self.dev_from, self.splits = with_dev(found)
        if empty := [
            name
            for queries in found.values()
            for name, text in zip(queries.names, queries.texts, strict=True)
            if not text
        ]:
            raise DataError(f"the query {empty[0]} is empty")
        self.unjudged = len(read.queries.keys() - {n for queries in found.values() for n in queries.names})

    def judged(self, texts: Mapping[str, str], grades: Grades) -> Queries:
        found: dict[str, dict[int, float]] = defaultdict(dict)
        for place, query, document, grade in grades:
            if query not in texts:
                raise DataError(f"{place}: there is no query {query}")
            if document not in self.number and grade > 0:
                raise DataError(f"{place}: there is no document {document}")
            number = self.number.get(document)
            if number in found[query]:
                raise DataError(f"{place}: {document} is judged twice for query {query}")
            if number is not None:
                found[query][number] = grade
        gold = Ragged.of([list(judged.items()) for judged in found.values()], np.float32, (2,))
        return Queries(list(found), [texts[name] for name in found], gold)


def with_dev(found: Mapping[str, Queries]) -> tuple[str, dict[str, Queries]]:
    """Where dev is from (its own judgements, else a tenth of the training queries, at most 1,000, else a quarter of
    test's, in hashed order), and train, dev and test."""
    found = {"dev" if name == "validation" else name: queries for name, queries in found.items()}  # as the Hub says
    splits = {str(name): found[name] for name in ("train", "dev", "test") if name in found}
    source = next(name for name in ("dev", "train", "test") if name in splits)
    if source != "dev":
        whole = splits[source]
        order = sorted(range(len(whole.names)), key=lambda i: hashed(whole.texts[i]))
        size = min(len(order) // 10, 1000) if source == "train" else len(order) // 4
        splits |= {"dev": whole.rows(order[:size]), source: whole.rows(order[size:])}
    if not all(len(queries.names) for queries in splits.values()):
        raise DataError("there are too few judged queries to cut a dev set from")
    return source, splits


def hashed(text: str) -> bytes:
    """A sort key that mixes a file's order, the same on every machine."""
    return hashlib.sha256(text.encode()).digest()


def beir(folder: Path) -> Read:
    """corpus.jsonl, queries.jsonl, and qrels/{train,dev,test}.tsv with a header."""
    documents = (
        (row["_id"], Document(row.get("title", "").strip(), row["text"].strip())) for row in rows(folder, "corpus")
    )
    queries = ((row["_id"], row["text"].strip()) for row in rows(folder, "queries"))
    judgements = {path.stem: beir_grades(path) for path in files_in(folder / "qrels", "*.tsv")}
    corpus = dict(once(documents, f"{folder}/corpus.jsonl: document"))
    return Read(corpus, dict(once(queries, f"{folder}/queries.jsonl: query")), judgements)


def once(found: Iterable[tuple[str, T]], what: str) -> Iterator[tuple[str, T]]:
    """The same (name, value). DataError: a name comes twice."""
    seen = set[str]()
    for name, value in found:
        if name in seen:
            raise DataError(f"{what} {name} comes twice")
        seen.add(name)
        yield name, value


def rows(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    """The objects of a file, one a line, each with `_id` and `text`."""
    path = folder / f"{name}.jsonl"
    for number, line in enumerate(filled(path), 1):
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}, line {number}: not JSON ({error.msg})") from None
        if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in ("_id", "text")):
            raise DataError(f"{path}, line {number}: no object with the texts _id and text")
        yield row


def beir_grades(path: Path) -> Grades:
    for number, (place, (query, document, grade)) in enumerate(table(path, (3,))):
        if number:  # the first line is the header
            yield place, query, document, number_in(grade, place)


def tagged(path: Path) -> Iterator[tuple[str, str]]:
    """(name, text without tags) of each <DOC> or <top> of a file. DataError: something else stands there."""
    text, at = "\n".join(filled(path)).strip(), 0
    while at < len(text):
        if (found := TAGGED.match(text, at)) is None:
            raise DataError(f"{path}, line {text[:at].count(chr(10)) + 1}: no whole <DOC> or <top> with its number")
        yield found[3], re.sub(r"<[^>]+>", "", found[4])
        at = found.end()


def trec_grades(path: Path, called: Callable[[str], str]) -> Grades:
    """Lines such as "1 Q0 CACM-1410 1". `called`: a document's name as the collection has it."""
    for number, line in enumerate(filled(path), 1):
        cells, place = line.split(), f"{path}, line {number}"
        if len(cells) != 4:
            raise DataError(f"{place}: {len(cells)} columns, expected query, 0, document and grade")
        yield place, cells[0], called(cells[2]), number_in(cells[3], place)


def scored(path: Path) -> Iterator[tuple[str, str, str, float]]:
    """(place, query, document, score) of lines such as "1 CACM-1410 8.25", or of a TREC run file."""
    for number, line in enumerate(filled(path), 1):
        cells, place = line.split(), f"{path}, line {number}"
        if len(cells) not in (3, 6):
            raise DataError(f"{place}: {len(cells)} columns, expected query, document and score")
        query, document, score = cells if len(cells) == 3 else (cells[0], cells[2], cells[4])
        yield place, query, document, number_in(score, place)


def folded(text: str) -> str:
    return " ".join(text.split())
