"""Entities of tagged sentences: spans by hand, and scores that seqeval 1.2.2 gives."""

from __future__ import annotations

import numpy as np
import pytest

from bench.errors import RequestError
from bench.scoring.entities import entities
from bench.scoring.metrics import METRICS
from bench.scoring.scores import Ragged

GOLD = ("O B-PER I-PER O B-LOC", "B-LOC I-LOC B-PER I-PER", "B-PER O", "I-PER", "S-ORG B-ORG I-ORG E-ORG")
FOUND = ("O B-PER I-PER O I-LOC", "B-LOC B-LOC I-PER I-PER", "O O", "I-PER", "S-ORG E-ORG I-ORG B-ORG")
SEQEVAL = {  # of the first n sentences: f1_score, precision_score and recall_score, and f1_score of strict IOB2
    4: {"entity_f1": 2 / 3, "entity_precision": 2 / 3, "entity_recall": 2 / 3, "strict_entity_f1": 0.25},
    5: {"entity_f1": 0.5555555555555556, "entity_precision": 0.5, "entity_recall": 0.625},
}


def tagged(*sentences: str) -> Ragged:
    return Ragged.of([sentence.split() for sentence in sentences], np.str_)


@pytest.mark.parametrize(
    ("sentence", "lenient", "strict"),
    [
        ("O B-PER I-PER O", {(1, 3, "PER")}, {(1, 3, "PER")}),
        ("B-PER B-PER I-LOC", {(0, 1, "PER"), (1, 2, "PER"), (2, 3, "LOC")}, {(0, 1, "PER"), (1, 2, "PER")}),
        ("I-PER O I-PER I-PER", {(0, 1, "PER"), (2, 4, "PER")}, set()),
        ("S-X E-X I-X B-Y-Z", {(0, 1, "X"), (1, 2, "X"), (2, 3, "X"), (3, 4, "Y-Z")}, {(3, 4, "Y-Z")}),
        ("O O", set(), set()),
        ("", set(), set()),
    ],
)
def test_spans_by_hand(sentence, lenient, strict):
    assert entities(tagged(sentence)) == lenient
    assert entities(tagged(sentence), strict=True) == strict


def test_no_entity_goes_on_into_the_next_sentence():
    assert entities(tagged("O B-PER", "", "I-PER I-PER")) == {(1, 2, "PER"), (2, 4, "PER")}


def test_f1_by_hand():
    """3 right of 4 predicted and 5 in gold."""
    gold = tagged("B-A O B-B", "B-A I-A B-A", "B-C")
    found = tagged("B-A O B-B", "B-A I-A I-A", "B-C")
    metric = METRICS["entity_f1"]
    assert metric.statistics(found, gold).tolist() == [[2, 2, 2], [0, 1, 2], [1, 1, 1]]
    assert metric.value(found, gold) == pytest.approx(6 / 9)
    assert METRICS["entity_precision"].value(found, gold) == 3 / 4
    assert METRICS["entity_recall"].value(found, gold) == 3 / 5


@pytest.mark.parametrize(("count", "name"), [(n, name) for n, values in SEQEVAL.items() for name in values])
def test_scores_are_those_of_seqeval(count, name):
    assert METRICS[name].value(tagged(*FOUND[:count]), tagged(*GOLD[:count])) == pytest.approx(SEQEVAL[count][name])


def test_what_is_not_there_scores_nothing():
    none = tagged("O O", "O")
    assert [METRICS[n].value(none, none) for n in ("entity_f1", "entity_precision", "entity_recall")] == [0, 0, 0]


@pytest.mark.parametrize("tag", ["PER", "X-PER", "O-PER", "B", ""])
def test_no_tag(tag):
    with pytest.raises(RequestError, match="is no tag of entities"):
        METRICS["entity_f1"].value(Ragged.of([[tag]], np.str_), tagged("O"))


def test_sentences_of_other_words():
    assert not METRICS["entity_f1"].fits(tagged("O O"), tagged("O"))
    with pytest.raises(RequestError, match="the same words"):
        METRICS["entity_f1"].value(tagged("O O"), tagged("O"))


def test_the_mean_of_the_types_f1_by_hand():
    """A: 2 of 3 predicted and 3 in gold; B: 1, 1, 1; C: in gold alone. IndoNLU's conll_eval averages over these."""
    gold = tagged("B-A O B-B", "B-A I-A B-A", "B-C")
    found = tagged("B-A B-A B-B", "B-A I-A I-A", "O")
    metric = METRICS["type_f1"]
    assert metric.statistics(found, gold).tolist() == [[1, 2, 1, 1, 1, 1, 0, 0, 0], [0, 1, 2, *[0] * 6], [*[0] * 8, 1]]
    assert metric.value(found, gold) == pytest.approx((2 / 6 + 1 + 0) / 3)
    two = metric.weighted(found, gold)(np.array([[1, 1, 0]]))  # without the sentence of C, whose F1 then counts no more
    assert two.tolist() == [pytest.approx((2 / 6 + 1) / 2)]
    assert metric.value(tagged("O O"), tagged("O O")) == 0
