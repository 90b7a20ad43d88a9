"""Pairs of images and texts: both losses and kd by hand, value and gradient."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from bench.baselines.disco import Disco
from bench.baselines.kd import Kd
from bench.inputs import Batch, Examples
from bench.kinds.match import Match
from bench.method import Run
from bench.signals import Signals
from bench.task import Track
from tests.baselines.tools import check, tensor, total

RNG = np.random.default_rng(4)
B, K, D = 3, 4, 5
LOGITS, THEIRS = RNG.normal(size=(B * K, 1)), RNG.normal(size=(B * K, 1))  # column by column
IMAGES, TEXTS = RNG.normal(size=(B, D)), RNG.normal(size=(B * K, D))
LABELS = np.zeros((B, K), np.float32)
LABELS[:, 0] = 1
BATCH = Batch(torch.arange(B), K, torch.from_numpy(LABELS))


def grouped(logits: np.ndarray) -> np.ndarray:
    return logits.reshape(K, B).T


def of(logits: object) -> Signals:
    return Signals(logits=torch.as_tensor(logits))


def towers(texts: torch.Tensor) -> Signals:
    sides = torch.stack([tensor(IMAGES, grad=False).repeat(K, 1), texts], 1)
    return Signals(logits=sides.prod(1).sum(1, keepdim=True), sides=sides)


def made(cls, **settings):
    task = SimpleNamespace(
        kind="match", goal=Match(1), objective=Match(1).objective,
        examples=lambda purpose: Examples(["x"] * 12, np.arange(12).reshape(B, K), LABELS),
    )  # fmt: skip
    return cls(cls.Settings(**settings), Run(task, Track(updates=5, batch_size=B), D, D, 0)).double()


def test_a_cross_encoder_tells_the_own_caption_from_the_others():
    by_hand = lambda z: -log_softmax(grouped(z), axis=1)[:, 0].mean()  # noqa: E731
    check(lambda leaf: Match(1).loss(of(leaf), BATCH), LOGITS, by_hand)


def test_towers_contrast_over_the_batch_in_both_directions():
    def by_hand(texts: np.ndarray) -> float:
        scores = IMAGES @ texts.T  # all captions of the batch; the own ones are the first B
        images = -np.mean([log_softmax(scores[b])[b] for b in range(B)])
        captions = -np.mean([log_softmax(scores[:, b])[b] for b in range(B)])
        return (images + captions) / 2

    check(lambda leaf: Match(1).loss(towers(leaf), BATCH), TEXTS, by_hand)


def test_kd_is_the_kl_over_each_group():
    """alpha 1/2, tau 4, over the image's own candidates alone."""

    def by_hand(z: np.ndarray) -> float:
        p, q = softmax(grouped(THEIRS) / 4, axis=1), log_softmax(grouped(z) / 4, axis=1)
        kl = 16 * (p * (np.log(p) - q)).sum(1).mean()
        return 0.5 * kl - 0.5 * log_softmax(grouped(z), axis=1)[:, 0].mean()

    check(lambda leaf: total(made(Kd).soft_targets(of(leaf), of(tensor(THEIRS)), BATCH)), LOGITS, by_hand)


def test_disco_contrasts_vectors_of_pairs():
    ours, theirs = RNG.normal(size=(B * K, D)), RNG.normal(size=(B * K, D))

    def by_hand(u: np.ndarray) -> float:
        unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (u, theirs)]
        return -np.mean(np.diag(log_softmax(np.e * unit[0] @ unit[1].T, axis=1)))

    method = made(Disco, queue=0)
    teacher = Signals(embedding=tensor(theirs))
    check(lambda leaf: total(method.ckd(Signals(embedding=leaf), teacher, BATCH)), ours, by_hand)


def test_the_teacher_gets_no_gradient_and_decoding_keeps_scores():
    theirs = tensor(THEIRS)
    assert not Match(1).pair(of(tensor(LOGITS)), of(theirs), BATCH)[1].requires_grad
    assert Match(1).decode(of(LOGITS)).dtype == torch.float32
    assert Match(1).width(384) == 0 == Match(1).width(7)
    assert Match(1).checked(LOGITS.astype(np.float32), B * K).shape == (B * K, 1)
    with pytest.raises(Exception, match="expected outputs"):
        Match(1).checked(LOGITS, B)
