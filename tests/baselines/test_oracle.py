"""Oracle Teacher: its two distances by hand, and what a teacher that is told the answers does and does not do.

The sanity checks are on synthetic strings: each label is a vector with noise around it for a few frames.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from bench.inputs import IGNORED, Batch
from bench.kinds.ctc import Ctc
from bench.plugins.registry import find, load
from bench.scoring.scores import Ragged
from bench.signals import Signals
from bench.students._oracle import OracleNetwork

Oracle = load(find("method", "oracle"))
LABELS, FEATURES = 6, 12
GOAL = Ctc(1 + LABELS, ("", *"abcdef"))


def method(**settings: object):
    task = SimpleNamespace(goal=GOAL)
    return Oracle(Oracle.Settings(**settings), SimpleNamespace(task=task))


def given(seed: int) -> tuple[Signals, Signals, Batch]:
    rng = np.random.default_rng(seed)
    ours, theirs = (torch.tensor(rng.normal(size=(2, 4, 1 + LABELS))) for _ in range(2))
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
    batch = Batch(torch.arange(2), 1, torch.tensor([[1, 2], [3, IGNORED]]))
    return Signals(logits=ours.requires_grad_(True), mask=mask), Signals(logits=theirs, mask=mask), batch


@pytest.mark.parametrize("distance", ["l2", "kl"])
def test_distances_by_hand(distance: str) -> None:
    student, oracle, batch = given(0)
    loss = method(distance=distance, weight=0.5).told(student, oracle, batch)[distance]
    loss.backward()
    p, q = (np.exp(s.logits.detach().numpy()) for s in (oracle, student))
    p, q = p / p.sum(-1, keepdims=True), q / q.sum(-1, keepdims=True)
    real = student.mask.numpy()[..., None]
    if distance == "l2":
        value = ((q - p) ** 2 * real).sum() / 7
        slope = 2 * q * ((q - p) - ((q - p) * q).sum(-1, keepdims=True)) / 7
    else:
        value = (p * np.log(p / q) * real).sum() / 7
        slope = (q - p) / 7
    assert float(loss.detach()) == pytest.approx(0.5 * value)
    np.testing.assert_allclose(student.logits.grad.numpy(), 0.5 * slope * real, atol=1e-9)


def test_the_task_has_its_own_share_and_padding_has_none() -> None:
    student, oracle, batch = given(1)
    losses = method().told(student, oracle, batch)
    assert set(losses) == {"supervised", "l2"}
    assert losses["supervised"] == GOAL.loss(student, batch)
    noisy = Signals(logits=oracle.logits.clone(), mask=oracle.mask)
    noisy.logits[1, 3] += 9
    assert method().told(student, noisy, batch)["l2"] == losses["l2"]
    alone = method(weight=0.0).told(student, oracle, batch)
    assert float(alone["l2"].detach()) == 0


def strings(count: int, seed: int) -> tuple[list[np.ndarray], Ragged]:
    """Vectors of 3 to 5 labels, 2 to 4 frames each, under noise of four times their size, and the labels."""
    vectors = np.random.default_rng(9).normal(size=(1 + LABELS, FEATURES))
    rng = np.random.default_rng(seed)
    rows = [rng.integers(1, 1 + LABELS, rng.integers(3, 6)) for _ in range(count)]
    frames = [np.concatenate([np.repeat(vectors[[n]], rng.integers(2, 5), 0) for n in row]) for row in rows]
    noisy = [f + 4 * rng.normal(size=f.shape) for f in frames]
    return [f.astype(np.float32) for f in noisy], Ragged.of(rows, np.int64)


class Frames:
    def __init__(self, frames: list[np.ndarray]) -> None:
        self.frames, self.lengths = frames, np.array([len(f) for f in frames])
        self.axes = {"L": self.lengths}

    def batch(self, rows: np.ndarray) -> dict[str, torch.Tensor]:
        chosen = [torch.from_numpy(self.frames[row]) for row in rows]
        return {"frames": nn.utils.rnn.pad_sequence(chosen, True), "count": torch.from_numpy(self.lengths[rows])}


class Source(nn.Module):
    """One convolution."""

    goal, width, optimiser = GOAL, 32, None

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(FEATURES, self.width, 5, padding=2)

    def encode(self, inputs, max_length=None) -> Frames:
        return Frames(inputs)

    def states(self, batch):
        mask = torch.arange(batch["frames"].shape[1]) < batch["count"][:, None]
        return self.conv((batch["frames"] * mask[..., None]).transpose(1, 2)).transpose(1, 2).relu(), mask


@cache
def taught(mask: float) -> dict[str, float]:
    """What an oracle says of itself on strings that it was not taught."""
    torch.manual_seed(0)
    network, (frames, labels) = OracleNetwork(Source(), 1, mask), strings(300, 1)
    encoded = network.encode_told(frames, labels)
    moves = torch.optim.Adam(network.parameters(), 4e-3)
    rng = np.random.default_rng(0)
    for _ in range(160):
        batch = encoded.batch(rng.integers(0, len(frames), 16))
        found = network.train()(batch, frozenset({"logits"}))
        loss = GOAL.loss(found, Batch(torch.arange(16), 1, batch["answers"]))
        moves.zero_grad()
        loss.backward()
        moves.step()
    frames, labels = strings(60, 2)
    return network.diagnosis(network.encode_told(frames, labels))


def test_an_unmasked_oracle_copies_and_a_masked_one_listens() -> None:
    """It has the lower loss, and the lower one under another input too, as it reads the text more and the input less;
    and it emits more. With half of the text masked another input costs much: it was listened to."""
    copied, heard = taught(0.0), taught(0.5)
    assert copied["ctc"] < 0.95 * heard["ctc"] and copied["shuffled_ctc"] < 0.95 * heard["shuffled_ctc"]
    assert copied["emit_rate"] > heard["emit_rate"] + 0.05
    assert heard["shuffled_ctc"] > 1.3 * heard["ctc"]


def test_shuffled_texts_are_those_of_others_and_as_long() -> None:
    network, (frames, labels) = OracleNetwork(Source(), 1, 0.5), strings(40, 3)
    told = network.encode_told(frames, labels)
    other = told.shuffled().answers
    assert sorted(other.lengths) == sorted(labels.lengths) and sorted(other.flat) == sorted(labels.flat)
    assert sum(np.array_equal(a, b) for a, b in zip(other, labels, strict=True)) < 3


def test_masks_are_drawn_in_training_alone() -> None:
    torch.manual_seed(0)
    network = OracleNetwork(Source(), 1, 0.5)
    answers = torch.tensor([[1, 2, 3, 4, 5, 6] * 20])
    vectors, padding = network.train().text(answers)
    masked = (vectors[0, 1:] - network.text(answers)[0][0, 1:]).abs().sum(-1) > 0
    assert 0 < int(masked.sum()) < 120 and not padding.any()
    one, two = (network.eval().text(answers)[0] for _ in range(2))
    assert torch.equal(one, two)
    start, empty = network.text(torch.full((1, 2), IGNORED))
    assert empty.tolist() == [[False, True, True]] and torch.equal(start[0, 0], one[0, 0])
