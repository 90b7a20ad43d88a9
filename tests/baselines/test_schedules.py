"""Annealing-KD and Continuation-KD: losses by hand, schedules, and what joins the two."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bench.baselines.annealing import Annealing
from bench.baselines.continuation import Continuation, psi
from bench.inputs import Batch
from bench.kinds.classify import Classify
from bench.kinds.regress import Regress
from bench.losses import annealed
from bench.method import Run
from bench.signals import Signals
from bench.task import Track

RNG = np.random.default_rng(7)
Z, T, Y = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 3)) * 3, np.array([0, 2, 1, 1, 0])


def make(cls, goal=None, **settings):
    run = Run(SimpleNamespace(kind="classify", goal=goal or Classify(3)), Track(updates=20, batch_size=4), 8, 8, 0)
    return cls(cls.Settings(**settings), run)


def signals(z):
    return Signals(logits=torch.tensor(z, dtype=torch.float64, requires_grad=True))


def batch(progress=0.0, labels=Y):
    return Batch(torch.arange(5), 1, torch.tensor(labels), progress=progress)


def cross_entropy(z, y):
    return -np.mean([row[k] - np.log(np.exp(row).sum()) for row, k in zip(z, y, strict=True)])


def continuation_by_hand(z, weight, scale, margin):
    distances = [sum((a - scale * b) ** 2 for a, b in zip(s, t, strict=True)) for s, t in zip(z, T, strict=True)]
    return weight * cross_entropy(z, Y) + (1 - weight) * np.mean([max(0, d - margin * scale) for d in distances])


def slope(f, z, step=1e-6):
    found = np.zeros_like(z)
    for at in np.ndindex(z.shape):
        up, down = z.copy(), z.copy()
        up[at] += step
        down[at] -= step
        found[at] = (f(up) - f(down)) / (2 * step)
    return found


def test_phi_rises_in_equal_parts_to_one_and_never_past_it():
    assert [annealed(k / 20, 10) for k in range(20)] == pytest.approx([(k // 2 + 1) / 10 for k in range(20)])
    assert annealed(0.0, 7) == pytest.approx(1 / 7) and annealed(1.0, 7) == 1.0 == annealed(0.0, 1)


def test_psi_is_the_papers():
    """i/40 up to epoch 20 of 30, then 1; min(1, i/150) of 200."""
    assert [psi("glue", i / 30) for i in (0, 10, 19, 20, 29)] == pytest.approx([0, 10 / 40, 19 / 40, 1, 1])
    assert [psi("cifar", i / 200) for i in (0, 75, 150, 199)] == pytest.approx([0, 0.5, 1, 1])


@pytest.mark.parametrize(("progress", "margin"), [(0.0, 0.0), (0.35, 0.5), (0.35, 20.0), (0.9, 1.0)])
def test_continuation_value_and_gradient(progress, margin):
    student = signals(Z)
    found = sum(make(Continuation, margin=margin).both(student, signals(T).detach(), batch(progress)).values())
    found.backward()
    weight = 1.0 if progress > 2 / 3 else 0.75 * progress
    scale = (int(progress * 10 + 1e-9) + 1) / 10
    assert found.item() == pytest.approx(continuation_by_hand(Z, weight, scale, margin), abs=1e-9)
    by_hand = slope(lambda z: continuation_by_hand(z, weight, scale, margin), Z)
    assert np.allclose(student.logits.grad.numpy(), by_hand, atol=1e-6)


def test_inside_the_margin_there_is_neither_loss_nor_gradient():
    student = signals(T * 0.1 + 0.01)
    found = make(Continuation, margin=5.0).both(student, signals(T).detach(), batch(0.0))["match"]
    found.backward()
    assert found.item() == 0.0 and not student.logits.grad.any()


@pytest.mark.parametrize("progress", [0.0, 0.5, 0.99])
def test_annealing_value_and_gradient(progress):
    student = signals(Z)
    found = make(Annealing, t_max=4).anneal(student, signals(T).detach(), batch(progress))["logits"]
    found.backward()
    scale = (int(progress * 4) + 1) / 4
    assert found.item() == pytest.approx(((Z - scale * T) ** 2).mean(), abs=1e-12)
    assert np.allclose(student.logits.grad.numpy(), 2 * (Z - scale * T) / Z.size, atol=1e-12)


def test_without_margin_and_with_a_step_for_psi_continuation_is_annealing():
    """Its first stage up to the number of classes, its second exactly (specification, sanity check)."""
    student, teacher = signals(Z), signals(T).detach()
    first = make(Continuation).both(student, teacher, batch(0.0))
    assert first["hard"].item() == 0.0
    assert first["match"].item() == pytest.approx(
        3 * make(Annealing, t_max=10).anneal(student, teacher, batch())["logits"].item()
    )
    last, labels = (
        make(Continuation).both(student, teacher, batch(0.9)),
        make(Annealing).labels(student, teacher, batch()),
    )
    assert last["match"].item() == 0.0 and last["hard"].item() == pytest.approx(labels["hard"].item())


def test_regression_does_not_broadcast():
    z, y = RNG.normal(size=(5, 1)), RNG.normal(size=5)
    found = make(Annealing, Regress(1)).labels(signals(z), Signals(), batch(labels=y))["hard"].item()
    assert found == pytest.approx(np.mean((z[:, 0] - y) ** 2))


def test_both_stages_make_the_updates_of_the_track():
    first, second = make(Annealing).stages()
    assert (first.updates, second.updates, list(second.roles)) == (15, 5, ["student"])
    (only,) = make(Continuation).stages()
    assert only.updates == 20
