"""Values that are learnt as if they were standardised, and given as they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from bench.inputs import Batch
from bench.kinds.regress import Regress
from bench.signals import Signals

LABELS = np.array([0.0, 1.0, 4.0, 5.0], np.float32)  # mean 2.5, variance 4.25
KIND = Regress.of(1, (), lambda: LABELS)


def test_losses_are_shares_of_the_labels_variance() -> None:
    logits = torch.tensor([[1.0], [1.0], [3.0], [7.0]], requires_grad=True)
    loss = KIND.loss(Signals(logits=logits), Batch(torch.arange(4), 1, torch.tensor(LABELS)))
    loss.backward()
    assert loss.item() == pytest.approx((1 + 0 + 1 + 4) / 4 / 4.25)
    assert logits.grad is not None
    assert logits.grad.squeeze().tolist() == pytest.approx([2 * d / 4 / 4.25 for d in (1, 0, -1, 2)])
    assert KIND.match(logits, torch.zeros(4, 1)).item() == pytest.approx((1 + 1 + 9 + 49) / 4 / 4.25)


def test_a_new_head_starts_at_the_mean_and_a_standardised_one_turned_back_is_the_same() -> None:
    """Standardised outputs z of a plain head are mean + deviation z."""
    torch.manual_seed(0)
    plain = nn.Linear(8, 1)
    torch.manual_seed(0)
    head = KIND.head(8)
    x = torch.randn(5, 8)
    assert head is not None
    assert torch.allclose(head(x), 2.5 + 4.25**0.5 * (plain(x) - plain.bias), atol=1e-6)
    assert torch.equal(Regress.of(1, (), lambda: None).begin(nn.Linear(1, 1)).bias, torch.zeros(1))


def test_equal_labels_have_no_deviation() -> None:
    assert Regress.of(1, (), lambda: np.full(3, 2.0)) == Regress(1, (), 2.0, 1.0)
