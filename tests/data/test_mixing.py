"""Mixup, CutMix and smoothing by loops; and the loss of what they make."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from bench.data.augment.mixing import Mixing, Mixture, left, rectangle
from bench.inputs import Batch
from bench.kinds.classify import Classify
from bench.signals import Signals

B, C, SIZE = 4, 3, (6, 8)
X = np.random.default_rng(0).normal(size=(B, 3, *SIZE))
Y = np.array([0, 2, 1, 1])


def smoothed(s):
    return np.array([[(1 - s) * (c == y) + s / C for c in range(C)] for y in Y])


def test_mixup_by_hand():
    mixture = Mixture(Mixing(C, SIZE, mixup=0.8, smoothing=0.1), 0.7)
    found = mixture.inputs({"pixels": torch.tensor(X)})["pixels"].numpy()
    targets = mixture.targets(torch.tensor(Y)).numpy()
    for b in range(B):
        other = B - 1 - b
        np.testing.assert_allclose(found[b], 0.7 * X[b] + 0.3 * X[other])
        np.testing.assert_allclose(targets[b], 0.7 * smoothed(0.1)[b] + 0.3 * smoothed(0.1)[other], rtol=1e-6)


def test_cutmix_by_hand():
    box = (1, 4, 2, 7)
    mixture = Mixture(Mixing(C, SIZE, cutmix=1.0), left(SIZE, box), box)
    read = torch.tensor(X)
    found = mixture.inputs({"pixels": read})["pixels"].numpy()
    assert mixture.share == pytest.approx(1 - 3 * 5 / 48) and (read.numpy() == X).all()
    for b in range(B):
        for y in range(SIZE[0]):
            for x in range(SIZE[1]):
                there = 1 <= y < 4 and 2 <= x < 7
                np.testing.assert_array_equal(found[b, :, y, x], X[B - 1 - b if there else b, :, y, x])
        expected = mixture.share * smoothed(0)[b] + (1 - mixture.share) * smoothed(0)[B - 1 - b]
        np.testing.assert_allclose(mixture.targets(torch.tensor(Y)).numpy()[b], expected, rtol=1e-6)


def test_rectangles_are_of_the_share_before_they_are_cut_off():
    rng = np.random.default_rng(0)
    for share in (0.0, 0.3, 0.9, 1.0):
        boxes = [rectangle((32, 64), share, rng) for _ in range(300)]
        side = int(32 * (1 - share) ** 0.5) // 2 * 2
        assert max(bottom - top for top, bottom, *_ in boxes) == side
        assert all(0 <= t <= b <= 32 and 0 <= f <= e <= 64 for t, b, f, e in boxes)
        if share in (0.3, 0.9):
            assert min(bottom - top for top, bottom, *_ in boxes) < side


def test_draws_follow_the_seed_and_the_settings():
    both = Mixing(C, SIZE, mixup=0.8, cutmix=1.0)
    drawn = [both.draw((0, 3, step)) for step in range(600)]
    assert drawn[5] == both.draw((0, 3, 5)) != drawn[6]
    assert sum(m.box is not None for m in drawn) / 600 == pytest.approx(0.5, abs=0.07)
    ups = np.array([Mixing(C, SIZE, mixup=0.8).draw((step,)).share for step in range(600)])
    assert ups.mean() == pytest.approx(0.5, abs=0.05)
    assert ups.var() == pytest.approx(0.25 / 2.6, abs=0.02)  # of Beta(a, a): 1 / (4 (2 a + 1))
    assert all(Mixing(C, SIZE, cutmix=1.0).draw((step,)).box for step in range(20))


def test_smoothing_alone_mixes_nothing():
    mixing = Mixing(C, SIZE, smoothing=0.1)
    mixture = mixing.draw((1,))
    assert not mixing.mixes and Mixing(C, SIZE, mixup=1).mixes
    read = {"pixels": torch.tensor(X)}
    assert mixture.inputs(read)["pixels"] is read["pixels"]
    np.testing.assert_allclose(mixture.targets(torch.tensor(Y)).numpy(), smoothed(0.1), rtol=1e-6)


def test_the_loss_of_shares_and_its_gradient():
    z = np.random.default_rng(1).normal(size=(B, C))
    shares = Mixture(Mixing(C, SIZE, mixup=1, smoothing=0.1), 0.6).targets(torch.tensor(Y)).double()
    leaf = torch.tensor(z, requires_grad=True)
    loss = Classify(C).loss(Signals(logits=leaf), Batch(torch.arange(B), 1, shares))
    loss.backward()
    assert loss.item() == pytest.approx(-(shares.numpy() * log_softmax(z, 1)).sum(1).mean())
    expected = (np.exp(log_softmax(z, 1)) - shares.numpy()) / B
    np.testing.assert_allclose(leaf.grad.numpy(), expected, atol=1e-7)
