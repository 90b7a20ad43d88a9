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
from tests.factories.commands import bench, runs_of
from tests.tasks.test_superglue import write

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


def test_a_teacher_is_taught_to_choose_and_a_student_learns_from_it(teacher, tmp_path):
    data = write(tmp_path / "data", "COPA", count=40)
    small = [part for key in ("updates=8", "batch_size=4", "evaluations=2") for part in ("--set", f"track.{key}")]
    done = bench(
        "run", "--task", "superglue/copa", "--method", "kd", "--method", "prompt_tuning", "--student", "prompt:3",
        "--set", f"prompt.body={teacher}", "--teacher", teacher, "--track", "lite", "--data-dir", data, *small,
        "--results", tmp_path / "results", "--json", cache=tmp_path / "cache",
    )  # fmt: skip
    for run in runs_of(done):
        with np.load(run["record"].replace(".json", ".npz")) as arrays:
            said = {name.rpartition("/")[2]: arrays[name] for name in arrays.files}
        (gold,) = (array for name, array in said.items() if name.endswith("gold"))
        (scores,) = (array for name, array in said.items() if name.endswith("prediction"))
        assert scores.shape == (3, 2) and run["value"] == np.mean(scores.argmax(1) == gold)
    assert "0 problems" in bench("check", tmp_path / "results", cache=tmp_path / "cache").out
