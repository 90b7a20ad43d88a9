"""Faster forward passes are used where they agree with the plain one, and refused with a sentence where they do not."""

import pytest
import torch
from torch import nn

from bench.errors import BenchError
from bench.network import Network
from bench.networks.precision import Forward, differences
from bench.signals import Signals
from bench.task import Track

WANT = frozenset({"logits"})


class Small(Network):
    def __init__(self, scale=1.0):
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Dropout(0.5), nn.Linear(16, 3))
        self.scale = scale

    def encode(self, inputs, max_length=None):
        raise AssertionError

    def forward(self, batch, want):
        x = self.layers(batch["x"])
        return Signals(logits=x * 1.5 if self.scale != 1 and x.dtype == torch.bfloat16 else x, hidden=(x, x + 1))


def track(**settings):
    return Track(updates=1, batch_size=1, **settings)


BATCH = {"x": torch.randn(32, 8, generator=torch.Generator().manual_seed(1))}


def test_plain_is_the_student_itself():
    student = Small().eval()
    assert torch.equal(Forward(student, track())(BATCH, WANT).logits, student(BATCH, WANT).logits)


def test_bfloat16_comes_near_in_float32_and_gradients_flow():
    student = Small().eval()
    forward = Forward(student, track(precision="bfloat16"))
    forward.check(BATCH, WANT)
    found, plain = forward(BATCH, WANT), student(BATCH, WANT)
    assert found.logits.dtype == torch.float32 and all(h.dtype == torch.float32 for h in found.hidden)
    worst = differences(plain, found)
    assert set(worst) == {"logits", "hidden"} and 0 < max(worst.values()) < 0.02
    found.logits.square().sum().backward()
    first = student.layers[0].weight.grad.clone()
    student.zero_grad()
    student(BATCH, WANT).logits.square().sum().backward()
    assert torch.allclose(first, student.layers[0].weight.grad, atol=0.02 * first.abs().max())


def test_a_pass_that_disagrees_is_refused_and_the_student_trains_on():
    student = Small(scale=1.5).train()
    with pytest.raises(BenchError, match=r"differs in logits by .* leave --set precision"):
        Forward(student, track(precision="bfloat16")).check(BATCH, WANT)
    assert student.training


@pytest.mark.slow
def test_compiled_agrees():
    student = Small().eval()
    forward = Forward(student, track(compile=True))
    forward.check(BATCH, WANT)
    assert torch.allclose(forward(BATCH, WANT).logits, student(BATCH, WANT).logits, atol=1e-5)
