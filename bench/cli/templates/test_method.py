"""The loss of template.py by hand, and its contract with bench."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from bench.inputs import Batch
from bench.runs.contract import alone, faults
from bench.signals import Signals

FILE = Path(__file__).with_name("template.py")


def test_contract() -> None:
    """Shapes, gradients, seeds and checkpoints, as `bench test` sees them."""
    assert not faults(FILE)


def test_loss_by_hand() -> None:
    """mean (W s + b - t)^2 as NumPy works it out; where there are no labels it is all."""
    method = alone(FILE, student_width=2, teacher_width=3)
    s, t = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 1.0, -1.0]])
    losses = method.losses(Signals(embedding=s), Signals(embedding=t), Batch(torch.arange(1), columns=1))
    w, b = (parameter.detach().numpy() for parameter in method.project.parameters())
    assert list(losses) == ["embedding"]
    np.testing.assert_allclose(losses["embedding"].item(), np.mean((s.numpy() @ w.T + b - t.numpy()) ** 2), rtol=1e-5)
