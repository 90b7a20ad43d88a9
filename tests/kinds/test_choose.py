"""One of K candidates: loss and gradient by hand, and candidates that come column by column."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from bench.inputs import Batch
from bench.kinds.choose import Choose
from bench.signals import Signals
from tests.baselines.tools import check

SCORES = np.random.default_rng(2).normal(size=(4, 3))  # 4 examples of 3 candidates
RIGHT = np.array([2, 0, 1, 1])
BATCH = Batch(torch.arange(4), 3, torch.tensor(RIGHT))


def signals(scores):
    """As a network gives them: all first candidates, then all second ones ..."""
    return Signals(logits=scores.T.reshape(-1, 1))


def test_the_loss_is_cross_entropy_over_the_candidates():
    def by_hand(s):
        return -np.mean([log_softmax(s[b])[RIGHT[b]] for b in range(4)])

    check(lambda s: Choose(1).loss(signals(s), BATCH), SCORES, by_hand)


def test_distillation_is_the_divergence_of_the_choices():
    theirs = torch.tensor(SCORES[::-1].copy())

    def by_hand(s):
        p, q = softmax(SCORES[::-1] / 2, -1), log_softmax(s / 2, -1)
        return 4 * (p * (np.log(p) - q)).sum(-1).mean()

    goal = Choose(1)
    check(lambda s: goal.match(*goal.pair(signals(s), signals(theirs), BATCH), 2.0), SCORES, by_hand)


def test_the_teacher_has_no_gradient():
    scores = torch.tensor(SCORES, requires_grad=True)
    assert not Choose(1).pair(signals(scores), signals(scores), BATCH)[1].requires_grad


def test_a_head_gives_one_score():
    assert Choose(1).head(7).out_features == 1 and Choose(1).width(7) == 1
    assert Choose(1).checked(np.zeros((6, 1), np.float64), 6).dtype == np.float32
    with pytest.raises(Exception, match="expected outputs"):
        Choose(1).checked(np.zeros((6, 2)), 6)
