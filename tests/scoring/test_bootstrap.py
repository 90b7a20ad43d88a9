"""Bootstrap intervals: the fast forms against plain resampling through the task's own score, and their coverage."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import stats

from bench.scoring import bootstrap
from bench.scoring.bootstrap import interval, known, metric_draws, multinomial_draws
from bench.scoring.counts import CountMetric
from bench.scoring.metrics import METRICS
from bench.task import Predictions, Scores


def labels(size: int, rng: np.random.Generator, prevalence: float = 0.3, right: float = 0.85) -> dict[str, np.ndarray]:
    gold = (rng.random(size) < prevalence).astype(int)
    return {"prediction": np.where(rng.random(size) < right, gold, 1 - gold), "gold": gold}


def values(size: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    gold = rng.normal(size=size)
    return {"prediction": gold + 0.7 * rng.normal(size=size), "gold": np.round(2 * gold)}


def documents(size: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """All pairs of `size` documents, each document with an effect on its pairs."""
    first, second = np.triu_indices(size, 1)
    gold, own = rng.normal(size=len(first)), rng.normal(size=size)
    prediction = gold + own[first] + own[second]
    return {"prediction": prediction, "gold": gold, "units": np.stack([first, second], 1)}


def scored(*names: str):
    """A task's score: the metrics by these names, computed by scipy or plainly."""
    own = {
        "accuracy": lambda p, g: np.mean(p == g),
        "mcc": lambda p, g: np.corrcoef(p, g)[0, 1],  # of two classes they are the same
        "spearman": lambda p, g: stats.spearmanr(p, g).statistic,
    }

    def score(predictions: Predictions) -> Scores:
        return {d: {m: float(own[m](a["prediction"], a["gold"])) for m in names} for d, a in predictions.items()}

    return score


@pytest.mark.parametrize(
    ("metric", "make", "size"),
    [("accuracy", labels, 300), ("mcc", labels, 300), ("spearman", values, 200), ("spearman", documents, 20)],
)
def test_fast_forms_agree_with_plain_resampling(metric, make, size, monkeypatch):
    """Both ends, within the Monte-Carlo error of two runs of 2,000 draws: a quantile's is 2.67 sd / sqrt(draws)."""
    rng = np.random.default_rng(3)
    predictions = {name: make(size, rng) for name in ("x", "y")}
    fast = interval(predictions, scored(metric), metric, draws=2000)
    monkeypatch.setattr(bootstrap, "METRICS", {})
    plain = interval(predictions, scored(metric), metric, draws=2000, seed=1)
    error = 2.67 * (plain[1] - plain[0]) / 3.92 / np.sqrt(2000)
    assert fast != plain
    assert np.abs(np.subtract(fast, plain)).max() < 4 * error


def test_units_make_the_interval_wider():
    arrays = documents(20, np.random.default_rng(3))
    rows_alone = {key: arrays[key] for key in ("prediction", "gold")}
    (low, high), (inner_low, inner_high) = (
        interval({"x": a}, scored("spearman"), "spearman") for a in (arrays, rows_alone)
    )
    assert high - low > 1.5 * (inner_high - inner_low)


def test_units_are_ids_and_not_counts():
    arrays = documents(12, np.random.default_rng(3))
    far = arrays | {"units": 1000 + 7 * arrays["units"]}
    assert interval({"x": arrays}, scored("spearman"), "spearman") == interval(
        {"x": far}, scored("spearman"), "spearman"
    )


def test_a_metric_that_only_shares_the_name_is_the_tasks_own():
    predictions = {"x": labels(200, np.random.default_rng(0))}

    def score(found: Predictions) -> Scores:
        """Accuracy over the gold positives alone."""
        return {n: {"accuracy": float(np.mean(a["prediction"][a["gold"] == 1]))} for n, a in found.items()}

    assert known(predictions, scored("accuracy")(predictions), "accuracy")
    assert known(predictions, score(predictions), "accuracy") is None
    assert known(predictions, score(predictions), "something else") is None
    low, high = interval(predictions, score, "accuracy", draws=300)
    assert low < score(predictions)["x"]["accuracy"] < high


def test_predictions_that_no_fast_form_reads_are_scored_by_the_task():
    spans = {"x": {"prediction": np.eye(6), "gold": np.eye(6)}}
    assert known(spans, {"x": {"f1": 1.0}}, "f1") is None
    assert interval(spans, lambda found: {"x": {"f1": 1.0}}, "f1", draws=20) == (1.0, 1.0)


def test_draws_do_not_depend_on_how_they_are_cut(monkeypatch):
    found = []
    for chunk in (2**10, 2**20):
        monkeypatch.setattr(bootstrap, "CHUNK", chunk)
        rng = np.random.default_rng(4)
        found.append(metric_draws(METRICS["mcc"], labels(100, np.random.default_rng(0)), 1000, rng))
    assert np.array_equal(*found)


@pytest.mark.parametrize(
    ("metric", "make", "size"),
    [
        ("accuracy", labels, 300),
        ("accuracy", labels, 1000),
        ("mcc", labels, 300),
        ("mcc", labels, 1000),
        ("spearman", values, 300),
    ],
)
def test_intervals_cover_the_truth(metric, make, size):
    """95% intervals of 1,000 fresh samples; the truth is the value of a sample of a million."""
    rng = np.random.default_rng(6)
    form, many = METRICS[metric], make(1_000_000, rng)
    truth, covered = form.value(many["prediction"], many["gold"]), 0
    for _ in range(1000):
        low, high = np.percentile(metric_draws(form, make(size, rng), 400, rng), [2.5, 97.5])
        covered += low <= truth <= high
    assert 0.93 <= covered / 1000 <= 0.97


def test_a_hundred_thousand_draws_of_mcc_are_quick():
    arrays, mcc = labels(1043, np.random.default_rng(0)), METRICS["mcc"]
    assert isinstance(mcc, CountMetric)
    cells = mcc.cells(arrays["prediction"], arrays["gold"])
    start = time.process_time()
    drawn = multinomial_draws(mcc, cells, 100_000, np.random.default_rng(0))
    assert time.process_time() - start < 0.2
    assert drawn.shape == (100_000,) and drawn.std() > 0.01


def test_the_median_of_ratios_and_its_interval():
    value, (low, high) = bootstrap.median_interval(np.array([1.0, 2.0, 3.0, 4.0, 10.0]))
    assert value == 3 and 1 <= low < 3 < high <= 10
