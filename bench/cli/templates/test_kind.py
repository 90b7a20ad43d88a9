"""The loss of template.py by hand, and its contract with bench, on the task beside it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from bench.inputs import Batch
from bench.runs.contract import faults, opened
from bench.signals import Signals

FILE = Path(__file__).with_name("template.py")


def test_contract() -> None:
    """Loss, matching, decoding, and a few updates of a task of this kind, as `bench test` sees them."""
    assert not faults(FILE)


def test_loss_by_hand() -> None:
    """Of the middle of three grades: above the first threshold, and not above the second."""
    goal = opened(FILE.with_name("template_task.py")).goal
    z = torch.tensor([[0.5, -2.0]])
    loss = goal.loss(Signals(logits=z), Batch(torch.arange(1), columns=1, labels=torch.tensor([1])))
    above, below = 1 / (1 + np.exp(-0.5)), 1 - 1 / (1 + np.exp(2.0))
    np.testing.assert_allclose(loss.item(), -(np.log(above) + np.log(below)) / 2, rtol=1e-5)
