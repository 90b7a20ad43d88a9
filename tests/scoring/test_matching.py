"""Recall in both directions: ranks counted one by one, ties, and the sums that intervals draw from."""

from __future__ import annotations

import numpy as np
import pytest

from bench.scoring.bootstrap import known
from bench.scoring.matching import MATCHING, ranks
from bench.scoring.scores import Ragged

OWNER = np.repeat(np.arange(6), [5, 5, 1, 3, 5, 4])
RNG = np.random.default_rng(0)


def recalls(scores: np.ndarray, owner: np.ndarray) -> dict[str, float]:
    """One query at a time, the candidates sorted with wrong ones before right ones of the same score."""
    images, texts = range(scores.shape[0]), range(scores.shape[1])
    hits: dict[str, list[bool]] = {f"{way}@{k}": [] for way in ("tr", "ir") for k in (1, 5, 10)}
    for i in images:
        order = sorted(texts, key=lambda t: (-scores[i, t], owner[t] == i))
        for k in (1, 5, 10):
            hits[f"tr@{k}"].append(any(owner[t] == i for t in order[:k]))
    for t in texts:
        order = sorted(images, key=lambda i: (-scores[i, t], owner[t] == i))
        for k in (1, 5, 10):
            hits[f"ir@{k}"].append(owner[t] in order[:k])
    found = {name: float(np.mean(values)) for name, values in hits.items()}
    return found | {"rsum": sum(found.values())}


@pytest.mark.parametrize(
    "scores",
    [RNG.normal(size=(6, 23)), RNG.integers(0, 3, (6, 23)), np.zeros((6, 23)), RNG.integers(0, 9, (6, 23)) / 7],
    ids=["random", "tied", "all alike", "some tied"],
)
def test_recalls_counted_one_by_one(scores):
    prediction, gold = ranks(scores.astype(np.float32), OWNER), np.bincount(OWNER).astype(np.int32)
    assert {name: form.value(prediction, gold) for name, form in MATCHING.items()} == pytest.approx(
        recalls(scores.astype(np.float32), OWNER)
    )


def test_ties_count_against():
    """Of an image's captions the best counts, and two own ones that tie are no rivals."""
    scores = np.array([[1, 1, 1, 0], [0, 0, 2, 1]], np.float32)
    found = ranks(scores, np.array([0, 0, 1, 1]))
    assert found.tolist() == [[2, 1, 1], [1, 1, 1]]


def test_an_interval_is_over_images_with_their_captions():
    prediction, gold = ranks(RNG.normal(size=(6, 23)), OWNER), np.bincount(OWNER)
    form = MATCHING["rsum"]
    weights = np.array([[2, 0, 1, 1, 1, 1], [1, 1, 1, 1, 1, 1]])
    rows = np.repeat(np.arange(6), weights[0])
    expected = [form.value(prediction[rows], gold[rows]), form.value(prediction, gold)]
    np.testing.assert_allclose(form.weighted(prediction, gold)(weights), expected)
    value, influences = form.parts(prediction, gold)
    assert value == expected[1] and influences.mean() == pytest.approx(0, abs=1e-8)
    predictions = {"all": {"prediction": prediction, "gold": gold}}
    scored = lambda p: {n: {"rsum": form.value(a["prediction"], a["gold"])} for n, a in p.items()}  # noqa: E731
    assert known(predictions, scored(predictions), "rsum")


def test_other_arrays_do_not_fit():
    form, gold = MATCHING["tr@1"], np.array([2, 1])
    fitting = Ragged(np.array([1, 1, 2, 1, 1]), np.array([3, 2]))
    assert form.fits(fitting, gold) and not form.fits(fitting, gold + 1) and not form.fits(np.array([1, 2]), gold)
    assert form.constant(gold) is None
