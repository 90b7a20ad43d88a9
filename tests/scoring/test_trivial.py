"""What an answer that reads no input scores, against values worked out by hand and by scikit-learn's dummies."""

from __future__ import annotations

import numpy as np
import pytest

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


def test_several_data_sets_are_averaged_and_one_unknown_leaves_all_unknown():
    half, third = ({"gold": g, "prediction": g} for g in (LABELS, np.array([0, 1, 2])))
    assert trivial({"a": half, "b": third}, None, "accuracy", inside=True) == pytest.approx((0.5 + 1 / 3) / 2)
    assert trivial({"a": {"gold": JUDGED, "prediction": JUDGED}}, None, "map", inside=True) is None


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
