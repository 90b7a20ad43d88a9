"""Margin-MSE by plain loops in numpy, value and gradient, and against sentence-transformers' own."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from sentence_transformers.sentence_transformer.losses import MarginMSELoss

from bench.baselines.margin_mse import MarginMse
from bench.signals import Signals
from tests.baselines.ranking import GROUPS, NARROW, WIDE, collection, made, of, planned
from tests.baselines.tools import check, tensor
from tests.worlds.tools import trained

GRADES = np.array([[2.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, 1.0, 1.0]])  # 3 pairs, none, 2
BATCH = replace(GROUPS, labels=torch.tensor(GRADES))


def scores(x, kind):
    rows = x / np.linalg.norm(x, axis=1, keepdims=True) * np.sqrt(20) if kind == "cosine" else x
    return [[rows[b] @ rows[3 + 3 * k + b] for k in range(3)] for b in range(3)]


def by_hand(x, kind):
    s, t = scores(x, kind), scores(WIDE, kind)
    triples = product(range(3), repeat=3)
    above = [(b, i, j) for b, i, j in triples if GRADES[b, i] > GRADES[b, j]]
    found = [((s[b][i] - s[b][j]) - (t[b][i] - t[b][j])) ** 2 for b, i, j in above]
    assert len(found) == 5
    return np.mean(found)


@pytest.mark.parametrize("kind", ["cosine", "dot"])
def test_the_loss_by_hand(kind):
    method = made(MarginMse, scores=kind)
    check(lambda x: method.margins(of(x), of(WIDE), BATCH)["margins"], NARROW, lambda x: by_hand(x, kind))


def test_it_is_the_loss_of_sentence_transformers():
    """There the first candidate is relevant, and scores are inner products."""
    teacher = torch.tensor(scores(WIDE, "dot"))
    theirs = MarginMSELoss(model=None).compute_loss_from_embeddings(list(torch.tensor(NARROW).chunk(4)), teacher)
    first = replace(GROUPS, labels=torch.eye(3)[:1].expand(3, 3))
    ours = made(MarginMse, scores="dot").margins(of(NARROW), of(WIDE), first)["margins"]
    assert ours.item() == pytest.approx(theirs.item())


def test_a_student_with_the_teachers_margins_has_nothing_to_learn_whatever_its_scores():
    """Sanity: scores that all differ by one number have the same margins."""
    method = made(MarginMse, scores="dot")
    query = np.ones((3, 1))
    ours, theirs = ([query, *([[shift + k]] * 3 for k in range(3))] for shift in (5.0, -2.0))
    pair = (Signals(embedding=torch.tensor(np.concatenate(side))) for side in (ours, theirs))
    assert method.margins(*pair, BATCH)["margins"].item() == 0


def test_a_batch_without_a_pair_adds_nothing_and_the_teacher_gets_no_gradient():
    student, teacher = tensor(NARROW), tensor(WIDE)
    none = replace(GROUPS, labels=torch.zeros(3, 3))
    loss = made(MarginMse).margins(of(student), of(teacher), none)["margins"]
    loss.backward()
    assert loss.item() == 0 and not student.grad.any() and teacher.grad is None


@pytest.mark.parametrize("kind", ["cosine", "dot"])
def test_a_student_of_another_width_comes_near_to_its_teachers_margins(kind, tmp_path):
    """From random weights; the packaged teacher."""
    settings = (f"margin_mse.scores={kind}", "margin_mse.lr=3e-3")
    spec = planned(collection(tmp_path), "margin_mse", "bert:2x32x4", "all-MiniLM-L6-v2", *settings)
    found = trained(spec, tmp_path / "run")
    losses = [point["losses"]["margins"] for point in found.trainer.progress.curve if point["losses"]]
    assert np.mean(losses[-8:]) < 0.8 * np.mean(losses[:8])
