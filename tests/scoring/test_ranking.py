"""Ranked lists: by hand, and the values of ir-measures 0.4.3 (pytrec_eval-terrier 0.5.11) with ties and gaps."""

from __future__ import annotations

import numpy as np
import pytest

from bench.errors import RequestError
from bench.scoring.metrics import METRICS
from bench.scoring.scores import Ragged

# (document, score) and (document, grade) of five queries; the fourth has no ranked document
RUN = [
    [(19, 0.25), (14, 0.5), (21, 0.25), (15, 0.5), (18, 1.0), (10, 2.0), (17, 0.25), (16, 2.0)],
    [(12, 0.25), (22, 0.25), (11, 0.5), (23, 0.5), (19, 0.25), (17, 0.25)],
    [(15, 0.5), (16, 1.0), (12, 0.5), (21, 1.0), (14, 1.0), (11, 1.0), (23, 2.0), (20, 1.0)],
    [],
    [(16, 2.0), (19, 0.5), (10, 0.25)],
]
GRADES = [
    [(18, 1), (11, 2), (19, 1), (13, 1), (10, 2)],
    [(12, 1), (23, 1), (14, 1), (15, 2), (13, 1), (18, 0)],
    [(12, 0), (17, 1), (22, 0), (23, 1)],
    [(23, 3), (16, 2), (10, 1)],
    [(19, 2), (13, 1), (11, 3), (22, 1)],
]
IR_MEASURES = {
    "ndcg": [0.457526735299, 0.34347758107, 0.613147192765, 0.0, 0.243014105496],
    "ndcg@3": [0.468348034741, 0.31939394324, 0.613147192765, 0.0, 0.264993014861],
    "mrr": [0.5, 1.0, 1.0, 0.0, 0.5],
    "recall@2": [0.2, 0.2, 0.5, 0.0, 0.25],
    "recall@100": [0.6, 0.4, 0.5, 0.0, 0.25],
    "map": [0.319047619048, 0.266666666667, 0.5, 0.0, 0.125],
    "map@3": [0.233333333333, 0.2, 0.5, 0.0, 0.125],
}


def rows(queries: list) -> Ragged:
    return Ragged.of(queries, np.float64, (2,))


@pytest.mark.parametrize("name", IR_MEASURES)
def test_values_are_those_of_ir_measures(name):
    metric = METRICS[name]
    assert metric.fits(rows(RUN), rows(GRADES))
    assert metric.each(rows(RUN), rows(GRADES)) == pytest.approx(IR_MEASURES[name], abs=1e-11)
    assert metric.value(rows(RUN), rows(GRADES)) == pytest.approx(np.mean(IR_MEASURES[name]))


def test_by_hand():
    """Ranked 7, 5, 9 by score; relevant are 5 (grade 2), 9 (grade 1) and 4 (grade 3), which is not there."""
    found, gold = rows([[(5, 0.2), (7, 0.9), (9, 0.1)]]), rows([[(5, 2), (9, 1), (4, 3), (7, 0)]])
    dcg, best = 2 / np.log2(3) + 1 / np.log2(4), 3 / np.log2(2) + 2 / np.log2(3) + 1 / np.log2(4)
    expected = {
        "ndcg": dcg / best, "ndcg@2": (2 / np.log2(3)) / (3 / np.log2(2) + 2 / np.log2(3)),
        "mrr": 1 / 2, "mrr@1": 0, "mrr@2": 1 / 2, "recall@2": 1 / 3, "recall@3": 2 / 3,
        "map": (1 / 2 + 2 / 3) / 3, "map@2": (1 / 2) / 3,
    }  # fmt: skip
    assert {name: METRICS[name].value(found, gold) for name in expected} == pytest.approx(expected)


def test_equal_scores_come_by_number_highest_first():
    gold = rows([[(3, 1)]])
    assert METRICS["mrr"].value(rows([[(1, 0.5), (2, 0.5), (3, 0.5)]]), gold) == 1
    assert METRICS["mrr"].value(rows([[(4, 0.5), (3, 0.5), (5, 0.5)]]), gold) == 1 / 3


def test_nothing_judged_and_nothing_ranked():
    assert METRICS["ndcg"].each(rows([[(1, 1.0)], []]), rows([[], []])).tolist() == [0, 0]
    assert METRICS["ndcg"].value(rows([[(1, 1.0)]]), rows([[(1, -1), (2, 1)]])) == 0, "grades below 0 are worth nothing"


def test_a_document_that_is_there_twice_is_refused():
    twice = rows([[(1, 0.5), (1, 0.4)]])
    for pair in ((twice, rows([[(1, 1)]])), (rows([[(1, 0.5)]]), twice)):
        with pytest.raises(RequestError, match="ranked or judged twice"):
            METRICS["map"].value(*pair)


@pytest.mark.parametrize("name", ["ndcg@", "ndcg@0", "ndcg@-1", "ndcg@x", "accuracy@5", "recall", "none"])
def test_names_that_are_no_metric(name):
    assert METRICS.get(name) is None
    with pytest.raises(KeyError):
        METRICS[name]


def test_precision_is_of_as_many_as_are_asked_for():
    """Of ranked 5, 7, 9 the relevant are 5 and 9; trec_eval divides by the depth, however few there are."""
    found, gold = rows([[(5, 0.9), (7, 0.5), (9, 0.1)]]), rows([[(5, 2), (9, 1), (4, 3)]])
    expected = {"precision@1": 1, "precision@2": 1 / 2, "precision@3": 2 / 3, "precision@5": 2 / 5}
    assert {name: METRICS[name].value(found, gold) for name in expected} == pytest.approx(expected)
