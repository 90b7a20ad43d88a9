"""bench.metrics: plain lists in, the boards' metrics out; what is expected is worked out by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from bench.errors import RequestError
from bench.metrics import compute
from bench.plugins.catalogue import metrics
from bench.scoring.metrics import METRICS
from bench.scoring.scores import Ragged

CASES: dict[str, tuple[Any, Any, float]] = {
    "accuracy": ([0, 1, 1, 2], [0, 1, 2, 2], 0.75),
    "f1": ([[0.2, 0.8], [0.9, 0.1], [0.3, 0.7]], [1, 1, 1], 0.8),  # scores of classes
    "spearman": ([0.1, 0.9, 0.4], [1, 5, 3], 1.0),
    "pearson": ([1, 2, 3], [3, 2, 1], -1.0),
    "ndcg@10": ([[(7, 0.1), (8, 0.9)], [(7, 1.0)]], [[(7, 1.0)], [(7, 1.0)]], (1 / math.log2(3) + 1) / 2),
    "mrr": ([[(7, 0.1), (8, 0.9)], [(7, 1.0), (9, 0.0)]], [[(7, 1)], [(7, 1)]], 0.75),  # rows of one length
    "recall@1": ([[(7, 0.1), (8, 0.9)], [(7, 1.0)]], [[(7, 1.0)], [(7, 1.0), (9, 1.0)]], 0.25),
    "entity_f1": ([["B-PER", "O"], ["O", "O"]], [["B-PER", "O"], ["B-LOC", "O"]], 2 / 3),
    "wer": (["a cat sat", "on"], ["the cat sat", "on it"], 2 / 5),  # texts, words parted by spaces
    "exact_match": (["Paris", ""], [["paris", "Paris, France"], []], 1.0),
    "label_micro_f1": ([[True, False], [True, True]], [[True, False], [False, True]], 0.8),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_values(name: str):
    predictions, references, expected = CASES[name]
    assert compute(name, predictions, references) == pytest.approx(expected)


def test_arrays_and_rows_are_read_as_they_are():
    assert compute("accuracy", np.array([0, 1]), np.array([0, 0])) == 0.5
    rows = Ragged.of([["B-X"], ["O", "O"]])
    assert compute("entity_recall", rows, rows) == 1.0


@pytest.mark.parametrize(
    ("name", "predictions", "words"),
    [
        ("spearmann", [1, 2], "unknown metric 'spearmann': did you mean spearman"),
        ("spearman", [1, 2, 3], "spearman cannot score these predictions and references; it reads: Pearson's"),
        ("ndcg@10", [0.1, 0.2], "Ragged \\(number of a document, its score\\)"),
        ("ndcg@10", [[("d1", 0.1)], [("d2", 0.2)]], "ndcg@10 cannot score"),  # documents go by numbers
        ("bleu", [], "bleu cannot score"),
    ],
)
def test_what_cannot_be_scored_is_one_sentence(name: str, predictions: Any, words: str):
    with pytest.raises(RequestError, match=words):
        compute(name, predictions, [1, 2])


def test_every_metric_is_listed_with_what_it_reads():
    listed = {row["name"]: row["title"] for row in metrics()}
    assert all(listed.values())
    every = {n for n in METRICS if "@" not in n or n.endswith("@10")} | {"tr@1", "tr@5", "ir@1", "ir@5"}
    assert {name.replace("@K", "@10") for name in listed} == every
