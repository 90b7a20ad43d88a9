"""DCD: its losses by hand, the released code's quirks, what is mined, and the checks that its authors would make."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax

from bench.base.console import Console
from bench.baselines.dcd import Dcd, losses, mined, weights
from bench.errors import RequestError
from bench.inputs import Batch, Examples
from bench.kinds.match import Match
from bench.method import Run
from bench.runs.protocol import distil, make_teacher, taught
from bench.runs.spec import Request, resolve
from bench.signals import Signals
from bench.task import Track
from tests.baselines.tools import check, tensor, total
from tests.factories.captions import write_flickr

RNG = np.random.default_rng(7)
B, K = 4, 8
OURS, THEIRS = RNG.normal(size=(B, K)), 2 * RNG.normal(size=(B, K))
THEIRS[0] = np.sort(THEIRS[0])[::-1]  # the own caption first in one group alone
LABELS = np.zeros((B, K), np.float32)
LABELS[:, 0] = 1
BATCH = Batch(torch.arange(B), K, torch.from_numpy(LABELS))


def by_hand(s: np.ndarray, t: np.ndarray, alpha: float = 0.2, replicate: bool = False) -> float:
    p = softmax(t, axis=1)
    h = np.array([-sum(x * np.log(x) for x in row) for row in p])
    e = h / h.sum()
    w = np.exp((1 - e) ** 2) / np.exp((1 - e) ** 2).sum()
    targets = np.array([sorted(row, reverse=True) for row in t]) if replicate else t
    squares = ((s - targets) ** 2).mean(1)
    kd = squares.mean() if replicate else (w * squares).sum()
    bce = np.array([(-np.log(expit(row[0])) - np.log(1 - expit(row[1:])).sum()) / K for row in s])
    return alpha * kd + (1 - alpha) * (e * bce).sum()


def made(**settings) -> Dcd:
    run = Run(SimpleNamespace(kind="match", goal=Match(1)), Track(updates=5, batch_size=B), 0, 0, 0)
    return Dcd(Dcd.Settings(**settings), run).double()


def of(scores: object) -> Signals:
    """Scores (B, K) as networks give them, column by column."""
    return Signals(logits=torch.as_tensor(scores).T.reshape(-1, 1))


@pytest.mark.parametrize("settings", [{}, {"alpha": 0.7}, {"replicate": True}, {"alpha": 0.0}, {"alpha": 1.0}])
def test_the_loss_by_hand(settings):
    method = made(**settings)
    check(
        lambda leaf: total(method.contrast(of(leaf), of(tensor(THEIRS)), BATCH)), OURS,
        lambda s: by_hand(s, THEIRS, settings.get("alpha", 0.2), settings.get("replicate", False)),
    )  # fmt: skip


def test_a_full_copy_of_the_teacher_has_nothing_to_learn():
    assert total(made(alpha=1.0).contrast(of(THEIRS), of(THEIRS), BATCH)) == 0


def test_both_targets_agree_where_the_teacher_ranks_the_own_caption_first():
    """Mined others come hardest first, so sorting changes nothing then; the weights of one group are 1."""
    first = tensor(np.sort(THEIRS)[:, ::-1].copy(), grad=False)
    for row in range(B):
        one, ours = first[row : row + 1], tensor(OURS[row : row + 1], grad=False)
        torch.testing.assert_close(losses(ours, one), losses(ours, one, replicate=True))
    aligned = losses(tensor(OURS), tensor(THEIRS))[0]
    assert aligned != losses(tensor(OURS), tensor(THEIRS), replicate=True)[0]


def test_without_the_teacher_it_is_the_cross_entropy_of_each_pair():
    """alpha 0 and a teacher that is as unsure of every group: e is 1 / B."""
    found = total(made(alpha=0.0).contrast(of(OURS), of(np.zeros((B, K))), BATCH))
    expected = torch.nn.functional.binary_cross_entropy_with_logits(tensor(OURS), tensor(LABELS))
    torch.testing.assert_close(found, expected, check_dtype=False)


def test_weights_sum_to_one_and_follow_the_teacher():
    sure, unsure = weights(tensor(np.array([[9.0, 0, 0], [1, 0, 0], [0, 0, 0]]), grad=False))
    assert sure.sum().item() == pytest.approx(1) and unsure.sum().item() == pytest.approx(1)
    assert sure[0] > sure[1] > sure[2] and unsure[0] < unsure[1] < unsure[2]


def test_a_teacher_that_is_sure_of_everything_makes_no_nan():
    certain = np.full((B, K), -1e4)
    certain[:, 0] = 1e4
    found = losses(tensor(OURS), tensor(certain))
    assert all(torch.isfinite(loss) for loss in found) and found[1] == 0


def test_mined_are_the_own_caption_and_the_hardest_others():
    groups, labels = np.arange(12).reshape(2, 6), np.zeros((2, 6), np.float32)
    labels[:, 0] = 1
    taught = np.array([[0, 5, 1, 9, 2, 3], [7, 0, 4, 4, 8, 1]], np.float32)[..., None]
    found = mined(Examples(["x"] * 12, groups, labels), lambda examples: taught, 3)
    assert found.groups.tolist() == [[0, 3, 1, 5], [6, 10, 8, 9]]
    assert found.labels.tolist() == [[1, 0, 0, 0]] * 2
    with pytest.raises(RequestError, match="keeps 6 hard candidates, and there are 5"):
        mined(Examples(["x"] * 12, groups, labels), lambda examples: taught, 6)


def test_it_asks_before_it_starts():
    method = made()
    with pytest.raises(RequestError, match="before it starts"):
        list(method.stages())
    candidates = Examples(["x"] * 32, np.arange(32).reshape(4, 8), LABELS)
    task = SimpleNamespace(kind="match", goal=Match(1), examples=lambda name: {"candidates": candidates}[name])
    run = replace(method.run, task=task, taught=lambda examples: OURS[..., None])
    (stage,) = Dcd(Dcd.Settings(hard=2), run).stages()
    assert stage.data.groups.shape == (4, 3) and stage.roles["teacher"].signals == {"output"}


def test_on_pictures_the_student_learns_from_what_the_teacher_finds_hard(tmp_path):
    """A whole run: candidates scored once, in the order of their groups, 8 of 64 kept, and a dev score that rises."""
    asked = ("updates=20", "teach=20", "batch_size=12", "evaluations=1")
    folder = write_flickr(tmp_path / "flickr8k").parent
    request = Request(("itr/flickr8k",), ("dcd",), ("towers:8x16",), "towers:8x16", "lite", (0,), folder, asked)
    (spec,) = resolve(request)
    teacher = make_teacher(spec, torch.device("cpu"), Console())
    candidates = spec.task.examples("candidates")
    found = taught(spec, teacher, candidates)
    assert found.shape == (72, 64, 1)
    encoded = teacher.network.encode(candidates.inputs)
    for place in ((0, 0), (5, 3), (71, 63)):
        logit = teacher.network(encoded.batch(candidates.groups[place][None]), frozenset({"logits"})).logits
        assert logit.item() == pytest.approx(found[place].item(), abs=1e-4)
    done = distil(spec, tmp_path / "run", torch.device("cpu"), Console())
    assert done.trainer.method.mined.groups.shape == (72, 8) and done.teacher.forwards["reused"] > 0
    assert done.dev > done.trainer.progress.curve[0]["dev"]
