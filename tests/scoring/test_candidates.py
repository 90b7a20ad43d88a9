"""F1 and EM over answers and entities, beside scikit-learn and plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from bench.scoring.metrics import METRICS
from bench.scoring.scores import Ragged

RNG = np.random.default_rng(4)
LENGTHS = np.array([3, 1, 4, 2, 5], np.int32)
LABELS = Ragged(RNG.integers(2, size=15), LENGTHS)
ODDS = Ragged(RNG.normal(size=15).astype(np.float32), LENGTHS)
WORTH = Ragged(RNG.integers(5, size=(15, 2)).astype(np.float32) / 4, LENGTHS)


def test_f1_is_scikit_learns_over_all_answers():
    found = METRICS["f1a"].value(ODDS, LABELS)
    assert found == pytest.approx(f1_score(LABELS.flat, ODDS.flat > 0))


def test_a_question_counts_where_all_of_its_answers_are_right():
    sharp = Ragged(np.where(LABELS.flat == 1, 2.0, -2.0), LENGTHS)
    for wrong, right in (((), 5), ((0, 1), 4), ((0, 14), 3)):
        odds = sharp.flat.copy()
        odds[list(wrong)] *= -1
        assert METRICS["question_em"].value(Ragged(odds, LENGTHS), LABELS) == right / 5
    by_hand = [bool(((o > 0) == (y == 1)).all()) for o, y in zip(ODDS, LABELS, strict=True)]
    assert METRICS["question_em"].value(ODDS, LABELS) == pytest.approx(np.mean(by_hand))


@pytest.mark.parametrize(("name", "column"), [("entity_choice_f1", 0), ("entity_choice_em", 1)])
def test_an_entity_is_worth_what_its_answers_say(name, column):
    by_hand = [worth[np.argmax(odds), column] for odds, worth in zip(ODDS, WORTH, strict=True)]
    assert METRICS[name].value(ODDS, WORTH) == pytest.approx(np.mean(by_hand))
    level = Ragged(np.zeros(15, np.float32), LENGTHS)  # of equals the one that is worth least
    assert METRICS[name].value(level, WORTH) == pytest.approx(np.mean([w[:, column].min() for w in WORTH]))


@pytest.mark.parametrize("name", ["f1a", "question_em"])
def test_the_best_answer_that_reads_no_input(name):
    metric = METRICS[name]
    both = [metric.value(Ragged(np.full(15, sign), LENGTHS), LABELS) for sign in (1.0, -1.0)]
    expected = max(both) if name == "f1a" else both[int(LABELS.flat.mean() < 0.5)]
    assert metric.trivial(LABELS) == pytest.approx(expected)
    assert METRICS["entity_choice_f1"].trivial(WORTH) is None


@pytest.mark.parametrize("name", ["f1a", "question_em", "entity_choice_f1"])
def test_weights_count_a_question_with_its_answers(name):
    gold = WORTH if name.startswith("entity") else LABELS
    rows = np.array([0, 2, 2, 4, 1])
    drawn = METRICS[name].value(ODDS[rows], gold[rows])
    weights = np.bincount(rows, minlength=5)[None].astype(float)
    assert METRICS[name].weighted(ODDS, gold)(weights)[0] == pytest.approx(drawn)


def test_rows_that_do_not_fit_are_not_scored():
    assert METRICS["f1a"].fits(ODDS, LABELS) and METRICS["entity_choice_f1"].fits(ODDS, WORTH)
    short = Ragged(ODDS.flat[:-1], np.array([3, 1, 4, 2, 4], np.int32))
    assert not METRICS["f1a"].fits(short, LABELS)
    assert not METRICS["f1a"].fits(ODDS, WORTH)
    assert not METRICS["entity_choice_f1"].fits(ODDS, LABELS)
    assert not METRICS["question_em"].fits(ODDS.flat, LABELS.flat)
