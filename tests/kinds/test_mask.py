"""Hidden word pieces: draws, golden values by hand, what other places may say, and a run that starts another."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from bench.data.masked import MaskedTokens
from bench.data.tokens import TokenArrays
from bench.errors import RequestError
from bench.inputs import IGNORED, Batch
from bench.kinds.mask import Mask
from bench.scoring.metrics import METRICS
from bench.scoring.scores import Ragged
from bench.signals import Signals

MASK_ID, CLS, SEP, VOCABULARY = 3, 1, 2, 50
GOAL = Mask()
RNG = np.random.default_rng(7)


def tokens(*lengths: int) -> MaskedTokens:
    """Texts of so many pieces between their two special tokens."""
    ids = [[CLS, *RNG.integers(4, VOCABULARY, n).tolist(), SEP] for n in lengths]
    return MaskedTokens(TokenArrays.of(ids), MASK_ID, VOCABULARY, [0, CLS, SEP, MASK_ID])


def test_of_each_text_a_share_of_its_pieces_is_hidden_in_every_view_anew():
    found = tokens(20, 7, 1, 0)
    for view in range(50):
        batch = found.batch(np.arange(4) + 4 * view)
        assert (batch["words"] >= 0).sum(1).tolist() == [3, 1, 1, 0]  # 15%, rounded, one at least
        assert torch.equal(batch["words"] >= 0, batch["targets"] != IGNORED)
        plain = found.tokens.batch(np.arange(4))["input_ids"]
        for row in range(4):
            places = batch["words"][row][batch["words"][row] >= 0]
            assert plain[row, places].tolist() == batch["targets"][row][: len(places)].tolist()
            assert not set(places.tolist()) & {0, found.lengths[row] - 1}  # no special token
            others = np.setdiff1d(np.arange(plain.shape[1]), places)
            assert torch.equal(batch["input_ids"][row, others], plain[row, others])
    assert len({tuple(found.batch(np.array([4 * v]))["words"][0].tolist()) for v in range(50)}) > 40


def test_most_turn_into_the_mask_and_the_same_view_is_the_same():
    found = tokens(*[100] * 40)
    batch = found.batch(np.arange(400))
    truth, now = batch["targets"], batch["input_ids"].gather(1, batch["words"])
    masked, stayed = (now == MASK_ID).float().mean().item(), (now == truth).float().mean().item()
    assert masked == pytest.approx(0.8, abs=0.02)
    assert stayed == pytest.approx(0.1, abs=0.02)
    assert not set(now.flatten().tolist()) & {0, CLS, SEP}
    again = found.batch(np.arange(400))
    assert all(torch.equal(batch[name], again[name]) for name in batch)


def signals(logits: torch.Tensor, targets=((5, 6), (4, IGNORED))) -> Signals:
    """Of two texts, with two hidden pieces and with one."""
    truth = torch.tensor(targets)
    return Signals(logits=logits, words=(truth != IGNORED).long(), targets=truth)


def test_loss_is_the_mean_over_hidden_pieces():
    z = RNG.normal(size=(2, 2, 8))
    right = [(0, 0, 5), (0, 1, 6), (1, 0, 4)]
    leaf = torch.tensor(z, requires_grad=True)
    loss = GOAL.loss(signals(leaf), Batch(torch.arange(2), 1))
    loss.backward()
    assert loss.item() == pytest.approx(-np.mean([log_softmax(z[b, w])[c] for b, w, c in right]))
    for b, w, c in right:
        assert np.allclose(leaf.grad[b, w], (np.exp(log_softmax(z[b, w])) - np.eye(8)[c]) / 3)
    assert not leaf.grad[1, 1].any()


def test_pair_is_of_hidden_pieces_alone():
    ours, theirs = torch.randn(2, 2, 8), torch.randn(2, 2, 8)
    one, two = GOAL.pair(signals(ours), signals(theirs), Batch(torch.arange(2), 1))
    assert torch.equal(one, ours.flatten(0, 1)[:3])
    assert torch.equal(two, theirs.flatten(0, 1)[:3])
    with pytest.raises(RequestError, match="other pieces"):
        GOAL.pair(signals(ours), signals(torch.randn(2, 2, 9)), Batch(torch.arange(2), 1))


def test_scores_by_hand():
    z = np.zeros((2, 2, 8), np.float32)
    z[0, 0, 5], z[0, 1, 7], z[1, 0, 4] = 3, 2, 1
    found = GOAL.predictions(Ragged.of(GOAL.decode(signals(torch.tensor(z)))), None)
    assert found["gold"].tolist() == [[5, 6], [4]]
    assert found["prediction"].flat[:, 0].tolist() == [5, 7, 4]
    logs = [log_softmax(z[0, 0])[5], log_softmax(z[0, 1])[6], log_softmax(z[1, 0])[4]]
    assert METRICS["masked_accuracy"].value(found["prediction"], found["gold"]) == pytest.approx(2 / 3)
    assert METRICS["likelihood"].value(found["prediction"], found["gold"]) == pytest.approx(
        np.exp(np.mean(logs)), rel=1e-6
    )


def test_the_best_answer_that_reads_nothing():
    gold = Ragged.of([[5, 6], [5], []], np.int64)
    assert METRICS["masked_accuracy"].trivial(gold) == pytest.approx(2 / 3)
    assert METRICS["likelihood"].trivial(gold) == pytest.approx(np.exp((2 * np.log(2 / 3) + np.log(1 / 3)) / 3))
