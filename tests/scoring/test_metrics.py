"""The metrics that the engine knows from inside, against scikit-learn, scipy and plain resampling."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sklearn

from bench.scoring.correlation import weighted_ranks
from bench.scoring.counts import CountMetric
from bench.scoring.metrics import METRICS
from bench.scoring.scores import Ragged

COUNTS = ("accuracy", "f1", "macro_f1", "mcc")
DENSE = (*COUNTS, "pearson", "spearman")


def sample(name: str, size: int = 80, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and gold: labels of two or four classes, or real values with ties on both sides."""
    rng = np.random.default_rng(seed)
    if name in COUNTS:
        gold = rng.integers(2 if name == "f1" else 4, size=size)
        return np.where(rng.random(size) < 0.7, gold, rng.permutation(gold)), gold
    gold = np.round(rng.normal(size=size) * 2)
    return np.round(gold / 2 + rng.normal(size=size), 1), gold


REFERENCE = {
    "accuracy": lambda p, g: sklearn.accuracy_score(g, p),
    "f1": lambda p, g: sklearn.f1_score(g, p),
    "macro_f1": lambda p, g: sklearn.f1_score(g, p, average="macro"),
    "mcc": lambda p, g: sklearn.matthews_corrcoef(g, p),
    "pearson": lambda p, g: stats.pearsonr(p, g).statistic,
    "spearman": lambda p, g: stats.spearmanr(p, g).statistic,
}


@pytest.mark.parametrize("name", DENSE)
def test_value(name):
    for seed in range(5):
        prediction, gold = sample(name, seed=seed)
        assert METRICS[name].value(prediction, gold) == pytest.approx(REFERENCE[name](prediction, gold), abs=1e-12)


@pytest.mark.parametrize("name", DENSE)
def test_weights_are_an_explicit_resample(name):
    prediction, gold = sample(name)
    rng = np.random.default_rng(1)
    rows = rng.integers(len(gold), size=(50, len(gold)))
    weights = np.stack([np.bincount(r, minlength=len(gold)) for r in rows])
    expected = [REFERENCE[name](prediction[r], gold[r]) for r in rows]
    assert np.allclose(METRICS[name].weighted(prediction, gold)(weights), expected, atol=1e-12)


@pytest.mark.parametrize("name", DENSE)
def test_influence_is_the_derivative_in_the_weight(name):
    prediction, gold = sample(name)
    size, step = len(gold), 1e-5
    moved = size * step * np.eye(size)
    up, down = (METRICS[name].weighted(prediction, gold)(1 + sign * moved) for sign in (1, -1))
    influence = METRICS[name].parts(prediction, gold)[1]
    assert np.allclose(influence, (up - down) / (2 * step), atol=1e-6)
    assert influence.mean() == pytest.approx(0, abs=1e-12) and influence.std() > 0.1


@pytest.mark.parametrize("name", DENSE)
def test_influence_is_near_what_leaving_an_example_out_changes(name):
    prediction, gold = sample(name, 400)
    value = REFERENCE[name](prediction, gold)
    without = [REFERENCE[name](np.delete(prediction, i), np.delete(gold, i)) for i in range(400)]
    jackknife = 399 * (value - np.array(without))
    influence = METRICS[name].parts(prediction, gold)[1]
    assert np.corrcoef(jackknife, influence)[0, 1] > 0.999
    assert jackknife.std() == pytest.approx(influence.std(), rel=0.02)


def test_influence_gives_the_sampling_deviation_of_spearman():
    """Against many fresh samples of 400: ranks move together, so treating them as fixed values would be wrong."""
    found = [sample("spearman", 400, seed) for seed in range(600)]
    observed = np.std([stats.spearmanr(*pair).statistic for pair in found])
    estimated = np.mean([METRICS["spearman"].parts(*pair)[1].std() / 20 for pair in found])
    assert estimated == pytest.approx(observed, rel=0.08)


@pytest.mark.parametrize("name", COUNTS)
def test_class_scores_are_labels_by_their_largest(name):
    prediction, gold = sample(name)
    scores = np.eye(gold.max() + 1)[prediction] + 0.3
    metric = METRICS[name]
    assert metric.value(scores, gold) == metric.value(prediction, gold)
    assert np.array_equal(metric.parts(scores, gold)[1], metric.parts(prediction, gold)[1])


def test_mcc_of_two_classes_by_hand():
    """tp 6, tn 3, fp 1, fn 2: (6 * 3 - 1 * 2) / sqrt(7 * 8 * 4 * 5)."""
    counts = np.array([[[3, 1], [2, 6]]])
    mcc = METRICS["mcc"]
    assert isinstance(mcc, CountMetric)
    assert mcc.from_counts(counts)[0] == pytest.approx(16 / np.sqrt(1120))


def test_labels_need_not_be_numbers_from_zero():
    gold = np.array(["cat", "dog", "cat", "owl"])
    assert METRICS["accuracy"].value(np.array(["cat", "dog", "dog", "owl"]), gold) == 0.75


@pytest.mark.parametrize(
    ("name", "prediction", "gold"),
    [
        ("mcc", [1, 1, 1, 1], [0, 1, 0, 1]),
        ("mcc", [0, 1, 0, 1], [1, 1, 1, 1]),
        ("f1", [0, 0, 0, 0], [0, 0, 0, 0]),
        ("pearson", [0.1, 0.1, 0.1, 0.1], [1.0, 2.0, 3.0, 4.0]),
        ("spearman", [1.0, 2.0, 3.0, 4.0], [0.1, 0.1, 0.1, 0.1]),
    ],
)
def test_what_is_not_defined_is_zero(name, prediction, gold):
    metric, arrays = METRICS[name], (np.array(prediction), np.array(gold))
    assert metric.value(*arrays) == 0
    assert np.array_equal(metric.parts(*arrays)[1], np.zeros(4))
    assert np.array_equal(metric.weighted(*arrays)(np.array([[1, 1, 1, 1], [4, 0, 0, 0]])), [0, 0])


@pytest.mark.parametrize("name", ["pearson", "spearman"])
def test_a_draw_of_one_value_alone_is_zero(name):
    x = np.array([1e6 + 0.1, 1e6 + 0.2, 1e6 + 0.2, 1e6 + 0.3])
    drawn = METRICS[name].weighted(x, np.array([0.1, 0.7, 0.9, 0.3]))(
        np.array([[0, 3, 1, 0], [4, 0, 0, 0], [0, 0, 0, 0]])
    )
    assert np.array_equal(drawn, [0, 0, 0])


def test_ranks_of_a_weighted_sample():
    """7 twice, 3 once, 5 not at all, 3 three times: 3 3 3 3 7 7 -> ranks 2.5 and 5.5."""
    ranks = weighted_ranks(np.array([7.0, 3, 5, 3]), np.array([[2, 1, 0, 3]]))[0]
    assert ranks[[0, 1, 3]].tolist() == [5.5, 2.5, 2.5]


def test_arrays_that_a_metric_cannot_read():
    values, spans = np.arange(4.0), np.zeros((4, 3))
    assert METRICS["pearson"].fits(values, values) and METRICS["mcc"].fits(spans, np.arange(4))
    assert not METRICS["pearson"].fits(spans, values)
    assert not METRICS["spearman"].fits(np.array(list("abcd")), values)
    assert not METRICS["accuracy"].fits(spans, spans)
    assert not METRICS["accuracy"].fits(np.arange(3), np.arange(4))
    rows = Ragged.of([[1], [2, 3]], int)
    assert not any(METRICS[name].fits(rows, rows) for name in DENSE)
    assert not any(METRICS[name].fits(values, values) for name in set(METRICS) - {*DENSE, "micro_f1"})


@pytest.mark.parametrize("name", DENSE)
def test_both_parts_of_a_metric_are_its_value_and_its_influence(name: str) -> None:
    rng = np.random.default_rng(3)
    gold = rng.integers(3, size=40)
    prediction = np.where(rng.random(40) < 0.6, gold, rng.integers(3, size=40))
    value, influence = METRICS[name].parts(prediction, gold)
    assert value == METRICS[name].value(prediction, gold)
    assert abs(influence.mean()) < 1e-9


def test_cells_are_those_that_are_in_use() -> None:
    gold, predicted = np.array([7, 7, -2, 5, 5]), np.array([7, 5, -2, 5, 5])
    cells = METRICS["accuracy"].cells(predicted, gold)  # type: ignore[attr-defined]
    assert cells.classes == 3 and list(zip(cells.gold, cells.predicted, cells.counts, strict=True)) == [
        (0, 0, 1), (1, 1, 2), (2, 1, 1), (2, 2, 1)
    ]  # fmt: skip
    assert cells.cell.tolist() == [3, 2, 0, 1, 1]
