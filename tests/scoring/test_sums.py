"""Metrics that are functions of sums: draws, influences and comparisons of ragged predictions, by one code."""

from __future__ import annotations

import numpy as np
import pytest

from bench.scoring import bootstrap
from bench.scoring.bootstrap import interval, known
from bench.scoring.comparison import Comparison
from bench.scoring.contributions import by_influence, contributions
from bench.scoring.metrics import METRICS
from bench.scoring.scores import Predictions, Ragged, Scores

NAMES = ("entity_f1", "entity_precision", "strict_entity_f1", "mrr@10", "ndcg", "recall@5", "map")
TAGS = np.array(["O", "O", "O", "B-PER", "I-PER", "B-LOC", "I-LOC"])


def sample(name: str, size: int = 60, seed: int = 0, right: float = 0.7) -> tuple[Ragged, Ragged]:
    """Tagged sentences, or ranked lists, of any length."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 12, size)
    if "entity" in name:
        gold = rng.choice(TAGS, lengths.sum())
        found = np.where(rng.random(len(gold)) < right, gold, rng.choice(TAGS, len(gold)))
        return Ragged(found, lengths), Ragged(gold, lengths)
    judged = [rng.permutation(20)[:6] for _ in lengths]
    gold = Ragged.of([np.stack([docs, rng.integers(0, 4, 6)], 1) for docs in judged], np.float64, (2,))
    ranked = [rng.permutation(20)[:length] for length in lengths]
    return Ragged.of([np.stack([docs, rng.random(len(docs))], 1) for docs in ranked], np.float64, (2,)), gold


def scored(name: str):
    """A task's score."""

    def score(predictions: Predictions) -> Scores:
        return {d: {name: METRICS[name].value(a["prediction"], a["gold"])} for d, a in predictions.items()}

    return score


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_an_explicit_resample(name):
    prediction, gold = sample(name)
    rows = np.random.default_rng(1).integers(60, size=(20, 60))
    weights = np.stack([np.bincount(r, minlength=60) for r in rows])
    expected = [METRICS[name].value(prediction[r], gold[r]) for r in rows]
    assert np.allclose(METRICS[name].weighted(prediction, gold)(weights), expected, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_influence_is_the_derivative_in_the_weight(name):
    prediction, gold = sample(name)
    moved = 60 * 1e-5 * np.eye(60)
    up, down = (METRICS[name].weighted(prediction, gold)(1 + sign * moved) for sign in (1, -1))
    value, influence = METRICS[name].parts(prediction, gold)
    assert value == pytest.approx(METRICS[name].value(prediction, gold))
    assert np.allclose(influence, (up - down) / 2e-5, atol=1e-6)
    assert influence.mean() == pytest.approx(0, abs=1e-8) and influence.std() > 0.1


@pytest.mark.parametrize("name", ["entity_f1", "ndcg"])
def test_the_interval_is_that_of_plain_resampling(name, monkeypatch):
    """Within the Monte-Carlo error, as in test_bootstrap; units that hold two rows each among them."""
    prediction, gold = sample(name)
    for extra in ({}, {"units": np.repeat(np.arange(30), 2)[:, None]}):
        predictions = {"x": {"prediction": prediction, "gold": gold} | extra}
        assert known(predictions, scored(name)(predictions), name)
        fast = interval(predictions, scored(name), name, draws=1000)
        with monkeypatch.context() as patch:
            patch.setattr(bootstrap, "METRICS", {})
            plain = interval(predictions, scored(name), name, draws=1000, seed=1)
        assert np.abs(np.subtract(fast, plain)).max() < 4 * 2.67 * np.ptp(plain) / 3.92 / np.sqrt(1000)


@pytest.mark.parametrize("name", ["entity_f1", "map"])
def test_leaving_units_out_gives_the_same_shares(name):
    """Of a metric that the engine knows by another name."""
    prediction, gold = sample(name, 80)
    arrays = {"x": {"prediction": prediction, "gold": gold, "units": np.repeat(np.arange(40), 2)[:, None]}}

    def score(predictions: Predictions) -> Scores:
        return {d: {"own": METRICS[name].value(a["prediction"], a["gold"])} for d, a in predictions.items()}

    left_out, influence = contributions(arrays, score, "own"), by_influence(arrays, scored(name), name)
    assert influence is not None and left_out.sizes.tolist() == influence.sizes.tolist() == [40]
    assert np.corrcoef(left_out.centred, influence.centred)[0, 1] > 0.99


def test_rows_of_ragged_predictions_are_compared():
    rows = []
    for right in (0.9, 0.6):
        runs = {}
        for seed in range(3):
            prediction, gold = sample("entity_f1", 300, 0, right + 0.001 * seed)
            runs[seed] = contributions(
                {"x": {"prediction": prediction, "gold": gold}}, scored("entity_f1"), "entity_f1"
            )
        rows.append(runs)
    found = Comparison(rows).difference(0, 1)
    assert found.verdict == "a" and 0.2 < found.ci95[0] < found.value < found.ci95[1]
