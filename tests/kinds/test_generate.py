"""Texts piece by piece: the loss, pairs, and bytes as texts."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.errors import BenchError, RequestError
from bench.inputs import IGNORED, Batch
from bench.kinds.generate import Generate, as_bytes, words
from bench.scoring.scores import Ragged
from bench.signals import Signals

GOAL = Generate()
BATCH = Batch(torch.arange(2), 1, None)


def signals(logits: torch.Tensor, targets: list[list[int]]) -> Signals:
    found = torch.tensor(targets)
    return Signals(logits=logits, targets=found, mask=(found != IGNORED).long())


def test_the_loss_is_the_mean_over_pieces() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 5, dtype=torch.float64, requires_grad=True)
    targets = [[4, 2, 1], [3, 1, IGNORED]]
    loss = GOAL.loss(signals(logits, targets), BATCH)
    loss.backward()
    values = logits.detach().numpy()
    shares = np.exp(values) / np.exp(values).sum(-1, keepdims=True)
    places = [(n, t, y) for n, row in enumerate(targets) for t, y in enumerate(row) if y != IGNORED]
    assert float(loss.detach()) == pytest.approx(-np.mean([np.log(shares[p]) for p in places]))
    expected = np.zeros(values.shape)
    for n, t, y in places:
        expected[n, t] = (shares[n, t] - np.eye(5)[y]) / len(places)
    np.testing.assert_allclose(logits.grad.numpy(), expected, atol=1e-12)


def test_pairs_are_of_real_pieces_and_other_pieces_are_refused() -> None:
    one, two, targets = torch.randn(2, 3, 5), torch.randn(2, 3, 5), [[4, 2, 1], [3, 1, IGNORED]]
    ours, theirs = GOAL.pair(signals(one, targets), Signals(logits=two), BATCH)
    assert ours.shape == theirs.shape == (5, 5) and torch.equal(theirs[3:], two[1, :2])
    with pytest.raises(RequestError, match="other pieces"):
        GOAL.pair(signals(one, targets), Signals(logits=two[:, :2]), BATCH)


def test_bytes_are_texts() -> None:
    texts = ["Ein Hund läuft .", "", "日本 語"]
    assert [row.tolist() for row in words(as_bytes(texts))] == [text.split() for text in texts]
    cut = Ragged.of([list("ä".encode())[:1]], np.int64)
    assert [row.tolist() for row in words(cut)] == [["�"]]


def test_what_is_not_finite_has_diverged() -> None:
    generated = torch.tensor([[97, 98], [99, IGNORED]])
    logits = torch.zeros(2, 1, 3)
    found = GOAL.decode(Signals(logits=logits, generated=generated))
    assert [bytes(row.astype(np.uint8)) for row in found] == [b"ab", b"c"]
    logits[1] = torch.nan
    with pytest.raises(BenchError, match="diverged"):
        GOAL.checked(Ragged.of(GOAL.decode(Signals(logits=logits, generated=generated)), np.int64), 2)
