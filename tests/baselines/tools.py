"""What the tests of losses share: a batch, a method without an engine, and the derivative of a plain function."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from bench.inputs import Batch, Examples
from bench.kinds.classify import Classify
from bench.kinds.regress import Regress
from bench.method import Run
from bench.network import Shape
from bench.task import Track

RNG = np.random.default_rng(3)
B, C, L, D, H = 4, 3, 5, 6, 2
Z, T, Y = RNG.normal(size=(B, C)), 2 * RNG.normal(size=(B, C)), np.array([0, 2, 1, 1])
MASK = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 0, 0, 0]])
DEEP, SHALLOW = Shape(4, H, (D,) * 5), Shape(2, H, (D,) * 3)


class Data:
    kind = "classify"
    goal = Classify(C)

    def examples(self, purpose):
        return Examples(["x"] * 8, np.arange(8)[:, None], np.array([0, 0, 1, 1, 1, 2, 2, 2]))


def make(cls, student=SHALLOW, teacher=DEEP, **settings):
    run = Run(Data(), Track(updates=20, batch_size=B), D, D, 0, student_shape=student, teacher_shape=teacher)
    torch.manual_seed(0)
    return cls(cls.Settings(**settings), run).double()


def valued(cls, **settings):
    """A method on a task of one value an input."""
    task = Data()
    task.goal = Regress(1)
    return cls(cls.Settings(**settings), Run(task, Track(updates=20, batch_size=B), D, D, 0)).double()


def tensor(x, grad=True):
    return torch.tensor(x, dtype=torch.float64, requires_grad=grad)


def batch(**more):
    return Batch(torch.arange(B), 1, torch.tensor(Y), {"student": {}}, **more)


def slope(f, x, step=1e-6):
    found = np.zeros_like(x)
    for at in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[at] += step
        down[at] -= step
        found[at] = (f(up) - f(down)) / (2 * step)
    return found


def check(loss, x, by_hand):
    """The loss of a torch leaf made from x is what numpy says, and so is its gradient."""
    leaf = tensor(x)
    found = loss(leaf)
    found.backward()
    assert found.item() == pytest.approx(by_hand(x), abs=1e-9)
    assert np.allclose(leaf.grad.numpy(), slope(by_hand, x), atol=1e-6)


def total(losses):
    return sum(losses.values())


def ce(z):
    return -np.mean([log_softmax(z[b])[Y[b]] for b in range(B)])


def kl(z, t, tau=1.0):
    """mean_b KL(softmax(t / tau) || softmax(z / tau))"""
    total_ = 0.0
    for b in range(len(z)):
        p, q = softmax(t[b] / tau), softmax(z[b] / tau)
        total_ += sum(p[c] * np.log(p[c] / q[c]) for c in range(len(p)))
    return total_ / len(z)
