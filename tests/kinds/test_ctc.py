"""CTC: the loss against all paths, decoding, frames of unlike numbers, and what is refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from bench.errors import BenchError, RequestError
from bench.inputs import IGNORED, Batch
from bench.kinds.ctc import Ctc, collapsed, nearest
from bench.scoring.scores import Ragged
from bench.signals import Signals

GOAL = Ctc(4, ("", "a", "b", " "))


def batch(labels: list[list[int]]) -> Batch:
    width = max(map(len, labels))
    rows = [row + [IGNORED] * (width - len(row)) for row in labels]
    return Batch(torch.arange(len(rows)), 1, torch.tensor(rows).reshape(len(rows), width))


def signals(logits: torch.Tensor, lengths: list[int]) -> Signals:
    mask = torch.arange(logits.shape[1]) < torch.tensor(lengths)[:, None]
    return Signals(logits=logits, mask=mask.long())


def over_paths(logits: np.ndarray, labels: list[int]) -> float:
    """-log of the summed probability of every path that collapses to the labels."""
    logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    total = 0.0
    for path in itertools.product(range(logits.shape[1]), repeat=len(logits)):
        folded = [c for c, _ in itertools.groupby(path) if c]
        total += np.exp(sum(logs[t, c] for t, c in enumerate(path))) if folded == labels else 0.0
    return -float(np.log(total))


def test_the_loss_sums_over_paths_and_is_divided_by_frames() -> None:
    torch.manual_seed(0)
    logits, lengths, labels = torch.randn(3, 5, 4, dtype=torch.float64), [5, 4, 3], [[1, 1], [2, 1, 3], []]
    logits.requires_grad_(True)
    found = GOAL.loss(signals(logits, lengths), batch(labels))
    values = logits.detach().numpy()
    expected = sum(over_paths(values[n, :t], y) for n, (t, y) in enumerate(zip(lengths, labels, strict=True)))
    assert float(found.detach()) == pytest.approx(expected / sum(lengths), rel=1e-5)
    found.backward()
    for place in ((0, 1, 2), (1, 3, 0), (2, 0, 1)):
        step = np.zeros(values.shape)
        step[place] = 1e-4
        n, y, t = place[0], labels[place[0]], lengths[place[0]]
        above, below = (over_paths((values + sign * step)[n, :t], y) for sign in (1, -1))
        assert float(logits.grad[place]) == pytest.approx((above - below) / 2e-4 / sum(lengths), rel=1e-2, abs=1e-4)
    assert not logits.grad[1, 4:].any() and not logits.grad[2, 3:].any()  # padding has no say


def test_what_does_not_fit_into_its_frames_adds_nothing() -> None:
    logits = torch.randn(2, 3, 4, requires_grad=True)
    loss = GOAL.loss(signals(logits, [3, 3]), batch([[1, 1, 1], [2]]))  # equal ones need blanks between: five frames
    loss.backward()
    assert torch.isfinite(loss) and not logits.grad[0].any() and logits.grad[1].any()


def test_decoding() -> None:
    assert collapsed(np.array([0, 1, 1, 0, 1, 2, 2, 0])).tolist() == [1, 1, 2]
    best = torch.tensor([[1, 0, 1, 3, 2], [2, 2, 0, 0, 1]])
    logits = torch.nn.functional.one_hot(best, 4).float()
    rows = GOAL.decode(signals(logits, [5, 4]))
    assert [row.tolist() for row in rows] == [[1, 1, 3, 2], [2]]
    found = GOAL.predictions(Ragged.of(rows, np.int64), Ragged.of([[1, 3, 2], []], np.int64))
    assert [row.tolist() for row in found["prediction"]] == [["aa", "b"], ["b"]]
    assert [row.tolist() for row in found["gold"]] == [["a", "b"], []]
    logits[1, 0, 0] = torch.nan
    with pytest.raises(BenchError, match="diverged"):
        GOAL.checked(Ragged.of(GOAL.decode(signals(logits, [5, 4])), np.int64), 2)


def test_pairs_are_of_the_students_real_frames() -> None:
    student, teacher = torch.randn(2, 4, 4), torch.randn(2, 4, 4, requires_grad=True)
    ours, theirs = GOAL.pair(signals(student, [4, 2]), signals(teacher, [4, 2]), batch([[1], [2]]))
    assert torch.equal(ours, torch.cat([student[0], student[1, :2]]))
    assert torch.equal(theirs, torch.cat([teacher[0], teacher[1, :2]]).detach()) and not theirs.requires_grad
    with pytest.raises(RequestError, match="3 classes apart and the student 4"):
        GOAL.pair(signals(student, [4, 2]), signals(torch.randn(2, 4, 3), [4, 2]), batch([[1], [2]]))


def test_frames_of_another_rate_are_those_nearest_in_time() -> None:
    values = torch.arange(8.0)[None, :, None]
    assert nearest(values, torch.tensor([8]), torch.ones(1, 4)).flatten().tolist() == [1, 3, 5, 7]
    assert nearest(values[:, :2], torch.tensor([2]), torch.ones(1, 4)).flatten().tolist() == [0, 0, 1, 1]
