"""Several classifications of one text: losses by hand, and what is kept for scoring."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from bench.inputs import Batch
from bench.kinds.aspects import Aspects
from bench.signals import Signals

NAMES = tuple(f"{aspect}: {value}" for aspect in ("price", "service") for value in ("bad", "none", "good"))
KIND = Aspects(6, NAMES)
RNG = np.random.default_rng(2)
Z, T = RNG.normal(size=(4, 6)), RNG.normal(size=(4, 6))
LABELS = np.array([[0, 1], [2, 2], [1, 0], [0, 2]])


def test_the_loss_is_the_mean_over_texts_and_aspects() -> None:
    logits = torch.tensor(Z, requires_grad=True)
    loss = KIND.loss(Signals(logits=logits), Batch(torch.arange(4), 1, torch.tensor(LABELS)))
    loss.backward()
    crossed = [-log_softmax(Z[b, 3 * a : 3 * a + 3])[LABELS[b, a]] for b in range(4) for a in range(2)]
    assert loss.item() == pytest.approx(np.mean(crossed))
    slope = [softmax(Z[b, 3 * a : 3 * a + 3]) - np.eye(3)[LABELS[b, a]] for b in range(4) for a in range(2)]
    assert logits.grad is not None
    assert np.allclose(logits.grad.numpy(), np.reshape(slope, (4, 6)) / 8)


def test_a_softmax_does_not_reach_over_aspects() -> None:
    """Another constant for each aspect's logits changes no distribution."""
    ours, theirs = KIND.pair(
        Signals(logits=torch.tensor(Z)), Signals(logits=torch.tensor(T)), Batch(torch.arange(4), 1)
    )
    assert ours.shape == theirs.shape == (8, 3) and not theirs.requires_grad
    moved = KIND.apart(torch.tensor(Z + np.repeat([[5.0, -3.0]], 3, axis=1).reshape(1, 6)))
    assert KIND.match(moved, theirs).item() == pytest.approx(KIND.match(ours, theirs).item())
    assert KIND.match(theirs, theirs).item() == pytest.approx(0, abs=1e-12)


def test_predictions_are_a_row_an_aspect_and_units_are_texts() -> None:
    found = KIND.predictions(Z, LABELS)
    assert found["gold"].tolist() == [0, 1, 2, 2, 1, 0, 0, 2] and found["units"].ravel().tolist() == [
        0,
        0,
        1,
        1,
        2,
        2,
        3,
        3,
    ]
    assert np.array_equal(found["prediction"][3], Z[1, 3:])
