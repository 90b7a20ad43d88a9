"""Several labels an input: losses against scikit-learn and formulas written out, and what no loss reads."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from bench.inputs import IGNORED, Batch
from bench.plugins.registry import installed, load
from bench.signals import Signals


@pytest.fixture
def goal():
    return load(installed("kind", "multilabel"))(3, ("a", "b", "c"))


def signals(seed: int) -> Signals:
    return Signals(logits=torch.randn(5, 3, generator=torch.Generator().manual_seed(seed)).requires_grad_())


def batch() -> Batch:
    labels = torch.tensor([[1, 0, 1], [0, 0, 0], [IGNORED] * 3, [1, 1, 1], [0, 1, 0]]).float()
    return Batch(torch.arange(5), 1, labels)


def test_cross_entropy_reads_the_nodes_that_have_labels(goal) -> None:
    student, known = signals(0), [0, 1, 3, 4]
    loss = goal.loss(student, batch())
    p, gold = student.logits.detach()[known].sigmoid().flatten().double(), batch().labels[known].flatten()
    assert loss.item() == pytest.approx(log_loss(gold, p), abs=1e-6)
    loss.backward()
    expected = torch.zeros(5, 3).index_put((torch.tensor(known),), (p.reshape(4, 3).float() - gold.reshape(4, 3)) / 12)
    assert torch.allclose(student.logits.grad, expected, atol=1e-6)


def test_distillation_is_of_bernoulli_distributions(goal) -> None:
    """tau^2 times the mean over labels of p log(p / q) + (1 - p) log((1 - p) / (1 - q))."""
    student, teacher, tau = signals(0), signals(1), 2.0
    loss = goal.match(*goal.pair(student, teacher, batch()), tau)
    p, q = ((s.logits.detach().double() / tau).sigmoid() for s in (teacher, student))
    expected = tau**2 * (p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()).mean()
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)
    loss.backward()
    assert torch.allclose(student.logits.grad.double(), tau * (q - p) / 15, atol=1e-6)
    assert teacher.logits.grad is None


def test_a_label_applies_above_zero(goal) -> None:
    """Whatever the true number of labels is."""
    found = goal.predictions(np.array([[0.1, -0.1, 0.0], [2, 3, 4]]), np.array([[1, 0, 0], [0, 0, 0]], np.float32))
    assert found["prediction"].tolist() == [[True, False, False], [True] * 3]
    assert found["gold"].tolist() == [[True, False, False], [False] * 3]
