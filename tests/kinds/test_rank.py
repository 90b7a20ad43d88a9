"""Ranked candidates: scores and losses of a group by hand, and kd between vectors of unlike widths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from bench.inputs import Batch
from bench.kinds.rank import Rank
from bench.method import Run
from bench.plugins import registry
from bench.signals import Signals
from bench.task import Track
from tests.baselines.tools import check, tensor

# Queries (1, 0) and (3, 4); the first has candidates at cosines 1 and 0, the second at 24/25 and -1.
ROWS = np.array([[1, 0], [3, 4], [2, 0], [4, 3], [0, 1], [-3, -4]], float)
SCORES = np.array([[20.0, 0.0], [19.2, -20.0]])
GRADES = np.array([[0.0, 1.0], [3.0, 1.0]])
RNG = np.random.default_rng(0)
WIDE, NARROW = RNG.normal(size=(12, 5)), RNG.normal(size=(12, 3))  # 3 groups of a query and 3 candidates
BATCH = Batch(torch.arange(3), 4)


def group(columns: int, labels: np.ndarray | None = None) -> Batch:
    return Batch(torch.arange(2), columns, None if labels is None else tensor(labels, grad=False))


def of(rows: np.ndarray | torch.Tensor) -> Signals:
    return Signals(embedding=torch.as_tensor(rows))


def cosines(rows: np.ndarray) -> np.ndarray:
    """20 cos of each query with its candidates, from rows column by column."""
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    query, *candidates = np.split(unit, 4)
    return 20 * np.stack([(query * c).sum(1) for c in candidates], 1)


def test_scores_are_cosines_times_20():
    ours, theirs = Rank().pair(of(ROWS), of(tensor(-2 * ROWS)), group(3))
    assert np.allclose(ours.numpy(), SCORES) and np.allclose(theirs.numpy(), SCORES)
    assert not theirs.requires_grad


def test_the_loss_by_hand():
    """Row 0: -log of e^0 / (e^20 + e^0). Row 1: -3/4 log p_0 - 1/4 log p_1 with log Z = 19.2 + log(1 + e^-39.2)."""
    rows = [20 + np.log1p(np.exp(-20)), 19.2 - 0.75 * 19.2 + 0.25 * 20]
    assert Rank().loss(of(ROWS), group(3, GRADES)).item() == pytest.approx(np.mean(rows))
    assert Rank().loss(of(ROWS), group(3, 7 * GRADES)).item() == pytest.approx(np.mean(rows))


def test_a_group_without_a_relevant_candidate_adds_nothing():
    grades = GRADES * [[1], [0]]
    assert Rank().loss(of(ROWS), group(3, grades)).item() == pytest.approx(20 / 2)
    leaf = tensor(ROWS)
    Rank().loss(of(leaf), group(3, grades)).backward()
    assert torch.isfinite(leaf.grad).all() and not leaf.grad[1::2].any()


def test_the_gradient_of_the_loss():
    grades = np.array([[0, 1, 0], [2, 1, 1], [0, 0, 3]], float)
    batch = replace(BATCH, labels=tensor(grades, grad=False))
    shares = grades / grades.sum(1, keepdims=True)
    check(
        lambda x: Rank().loss(of(x), batch), WIDE,
        lambda x: -(shares * log_softmax(cosines(x), axis=1)).sum(1).mean(),
    )  # fmt: skip


class Data:
    kind, goal = "rank", Rank()


def kd(**settings):
    cls = registry.load(registry.find("method", "kd"))
    return cls(cls.Settings(**settings), Run(Data(), Track(updates=1, batch_size=3), 3, 5, 0))


def listwise(x: np.ndarray, tau: float) -> float:
    p, q = (log_softmax(cosines(rows) / tau, axis=1) for rows in (WIDE, x))
    return tau**2 * (np.exp(p) * (p - q)).sum(1).mean()


@pytest.mark.parametrize("tau", [1.0, 4.0])
def test_kd_is_the_listwise_divergence_whatever_the_widths(tau):
    method = kd(temperature=tau)
    assert not list(method.parameters()), "scores are compared: there is no projection"

    def loss(x):
        found = method.soft_targets(of(x), of(WIDE), BATCH)
        assert set(found) == {"soft"}, "without labels the teacher's part is all"
        return found["soft"]

    check(loss, NARROW, lambda x: listwise(x, tau))


def test_kd_with_grades_is_half_theirs():
    grades = np.eye(3)
    losses = kd().soft_targets(of(NARROW), of(WIDE), replace(BATCH, labels=tensor(grades, grad=False)))
    assert losses["soft"].item() == pytest.approx(0.5 * listwise(NARROW, 4.0))
    assert losses["hard"].item() == pytest.approx(-0.5 * np.log(softmax(cosines(NARROW), axis=1).diagonal()).mean())


def test_what_is_kept_of_an_input_is_its_vector():
    assert Rank().decode(of(ROWS)).dtype == torch.float32 and Rank().decode(of(ROWS)).shape == (6, 2)
