"""What an answer that reads no input scores, against values worked out by hand and by scikit-learn's dummies."""

from __future__ import annotations

import numpy as np
import pytest

from bench.scoring.matching import ranks
from bench.scoring.metrics import METRICS
from bench.scoring.scores import Ragged
from bench.scoring.trivial import one_answer, trivial

LABELS = np.array([0, 0, 0, 0, 0, 1, 1, 1, 2, 2])
TAGS = Ragged.of([["O", "B-X", "O"], ["O", "O"]])
JUDGED = Ragged(np.array([[0, 1.0], [1, 0.0]]), np.array([2]))


@pytest.mark.parametrize(
    ("metric", "gold", "expected"),
    [
        ("accuracy", LABELS, 0.5),
        ("accuracy", np.array(["b", "a", "b"]), 2 / 3),
        ("accuracy", LABELS.astype(np.float32), 0.5),
        ("f1", np.array([0, 0, 0, 1]), 2 / 5),  # class 1 for all: 2 . 1 / (2 . 1 + 3); class 0 for all would give 0
        ("f1", np.array([1, 1, 1, 0]), 6 / 7),
        ("f1", np.zeros(3, int), 0.0),
        ("macro_f1", LABELS, (2 * 5 / 15) / 3),
        ("mcc", LABELS, 0.0),
        ("spearman", np.array([0.1, 0.5, 0.9]), 0.0),
        ("pearson", np.array([1, 2, 3]), 0.0),
        ("entity_f1", TAGS, 0.0),
        ("ndcg@10", JUDGED, None),
        ("map", JUDGED, None),
    ],
)
def test_by_metric(metric, gold, expected):
    assert METRICS[metric].trivial(gold) == (None if expected is None else pytest.approx(expected))


def test_a_ranking_is_held_against_random_orders_of_its_candidates():
    """Of two candidates one of which is right the right one is first half of the time: MAP and MRR (1 + 1/2) / 2. Where
    documents were ranked that nobody judged, a random order of the judged ones is no answer to the query."""
    gold = Ragged(np.array([[n, n % 2] for n in range(80)], np.float32), np.full(40, 2, np.int32))
    ranked = Ragged(np.stack([np.arange(80.0)[::-1].reshape(40, 2)[::-1].ravel(), np.zeros(80)], axis=1), gold.lengths)
    for metric in ("map", "mrr"):
        assert METRICS[metric].trivial(gold, ranked) == pytest.approx(0.75, abs=0.01)
    others = Ragged(ranked.flat + np.array([1, 0]), gold.lengths)
    assert METRICS["map"].trivial(gold, others) is None and METRICS["map"].trivial(gold) is None


def test_images_and_captions_in_random_order():
    """Two images of two captions each: of four captions in random order one of an image's two is first in half of the
    orders, and an image is always among the first five of two."""
    gold = np.array([2, 2])
    expected = {"tr@1": 0.5, "tr@5": 1.0, "ir@1": 0.5, "ir@5": 1.0, "rsum": 0.5 + 1 + 1 + 0.5 + 1 + 1}
    assert {name: METRICS[name].trivial(gold) for name in expected} == pytest.approx(expected)
    many, rng = np.full(30, 5), np.random.default_rng(0)
    drawn = [METRICS["rsum"].value(ranks(rng.random((30, 150)), np.repeat(np.arange(30), 5)), many) for _ in range(300)]
    assert METRICS["rsum"].trivial(many) == pytest.approx(np.mean(drawn), abs=0.03)


def test_several_data_sets_are_averaged_and_one_unknown_leaves_all_unknown():
    half, third = ({"gold": g, "prediction": g} for g in (LABELS, np.array([0, 1, 2])))
    assert trivial({"a": half, "b": third}, None, "accuracy", inside=True) == pytest.approx((0.5 + 1 / 3) / 2)
    found = Ragged(np.array([[5, 0.3], [1, 0.1]]), np.array([2]))
    known, unknown = ({"gold": JUDGED, "prediction": p} for p in (JUDGED, found))
    assert trivial({"a": known, "b": unknown}, None, "map", inside=True) is None


def test_a_task_s_own_metric_is_asked_in_the_form_of_its_predictions():
    def closeness(found):
        (arrays,) = found.values()
        return {"x": {"closeness": 1 - float(np.abs(arrays["prediction"] - arrays["gold"]).mean())}}

    real = {"x": {"gold": np.array([0.0, 1.0]), "prediction": np.array([0.3, 0.9])}}
    assert trivial(real, closeness, "closeness", inside=False) == pytest.approx(0.5), "the mean of gold"

    def top(found):
        (arrays,) = found.values()
        assert arrays["prediction"].shape == (10, 3)
        return {"x": {"top": float((arrays["prediction"].argmax(1) == arrays["gold"]).mean())}}

    scores = {"x": {"gold": LABELS, "prediction": np.zeros((10, 3), np.float32)}}
    assert trivial(scores, top, "top", inside=False) == 0.5


def test_one_answer():
    def told(*predictions):
        return one_answer({str(i): {"prediction": p} for i, p in enumerate(predictions)})

    assert told(np.array([[0.1, 0.9], [0.4, 0.6]])) and not told(np.array([[0.1, 0.9], [0.6, 0.4]]))
    assert told(np.zeros(3)) and not told(np.array([0.0, 0.1])) and not told(np.zeros(3), np.array([0.0, 1.0]))
    assert told(Ragged.of([["O", "O"], ["O"]])) and not told(TAGS) and not told(JUDGED), "a ranking has no label"
