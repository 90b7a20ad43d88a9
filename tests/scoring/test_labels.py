"""F1 of several labels an input, and of one: scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from bench.scoring.loyalty import loyalty
from bench.scoring.metrics import METRICS
from bench.scoring.trivial import one_answer


def sets(seed: int, columns: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    gold = rng.random((60, columns)) < 0.4
    return gold ^ (rng.random(gold.shape) < 0.2), gold


@pytest.mark.parametrize("average", ["micro", "macro"])
def test_f1_of_labels(average: str) -> None:
    prediction, gold = sets(0)
    gold[:, 3] = prediction[:, 3] = False  # a label that nothing has
    expected = f1_score(gold, prediction, average=average, zero_division=0)
    metric = METRICS[f"label_{average}_f1"]
    assert metric.fits(prediction, gold)
    assert metric.value(prediction, gold) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("average", ["micro", "macro"])
def test_f1_of_one_class_each(average: str) -> None:
    rng = np.random.default_rng(1)
    gold, logits = rng.integers(3, size=50), rng.normal(size=(50, 3))
    found = METRICS[f"{average}_f1"].value(logits, gold)
    assert found == pytest.approx(f1_score(gold, logits.argmax(1), average=average), abs=1e-12)


@pytest.mark.parametrize("average", ["micro", "macro"])
def test_influence_is_the_derivative_in_a_weight(average: str) -> None:
    prediction, gold = sets(2)
    metric = METRICS[f"label_{average}_f1"]
    weighted, (_, influence) = metric.weighted(prediction, gold), metric.parts(prediction, gold)
    weights, step = np.ones((2, 60)), 1e-4
    weights[0, 7] += step
    weights[1, 7] -= step
    above, below = weighted(weights)
    assert influence.mean() == pytest.approx(0, abs=1e-9)
    assert (above - below) / (2 * step) == pytest.approx(influence[7] / 60, rel=1e-4)


@pytest.mark.parametrize("average", ["micro", "macro"])
def test_no_answer_that_is_the_same_for_all_is_better_than_the_constant(average: str) -> None:
    _, gold = sets(3)
    metric = METRICS[f"label_{average}_f1"]
    tried = [np.broadcast_to([bool(n >> k & 1) for k in range(4)], gold.shape) for n in range(16)]
    assert metric.trivial(gold) == pytest.approx(max(metric.value(p, gold) for p in tried))


def test_loyalty_is_the_same_set_and_one_answer_the_same_row() -> None:
    prediction, gold = sets(4)
    found = loyalty({"x": {"prediction": prediction, "teacher": gold}})["x"]
    assert found == {"label": (prediction == gold).all(1).mean()}
    assert not one_answer({"x": {"prediction": prediction}}) and one_answer({"x": {"prediction": prediction[:1]}})
