"""Ranked candidates: scores and losses of a group by hand, and kd between vectors of unlike widths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import log_softmax
from sentence_transformers.sentence_transformer.losses import DistillKLDivLoss, MultipleNegativesRankingLoss

from bench.inputs import Batch
from bench.kinds.rank import Rank
from bench.method import Run
from bench.plugins import registry
from bench.signals import Signals
from bench.task import Track
from tests.baselines.tools import check, tensor

# Queries (1, 0) and (3, 4); the first has candidates at cosines 1 and 0, the second at 24/25 and -1.
ROWS = np.array([[1, 0], [3, 4], [2, 0], [4, 3], [0, 1], [-3, -4]], float)
SCORES = np.array([[20.0, 0.0], [19.2, -20.0]])
ALL = np.array([[20.0, 16.0, 0.0, -12.0], [12.0, 19.2, 16.0, -20.0]])  # with the other's candidates, column by column
GRADES = np.array([[0.0, 1.0], [3.0, 1.0]])
RNG = np.random.default_rng(0)
WIDE, NARROW = RNG.normal(size=(12, 5)), RNG.normal(size=(12, 3))  # 3 groups of a query and 3 candidates
BATCH = Batch(torch.arange(3), 4)


def group(columns: int, labels: np.ndarray | None = None) -> Batch:
    return Batch(torch.arange(2), columns, None if labels is None else tensor(labels, grad=False))


def of(rows: np.ndarray | torch.Tensor) -> Signals:
    return Signals(embedding=torch.as_tensor(rows))


def cosines(rows: np.ndarray) -> np.ndarray:
    """20 cos of each query with its candidates, from rows column by column."""
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    query, *candidates = np.split(unit, 4)
    return 20 * np.stack([(query * c).sum(1) for c in candidates], 1)


def test_scores_are_cosines_times_20():
    ours, theirs = Rank().pair(of(ROWS), of(tensor(-2 * ROWS)), group(3))
    assert np.allclose(ours.numpy(), SCORES) and np.allclose(theirs.numpy(), SCORES)
    assert not theirs.requires_grad


def test_scores_of_a_batch_are_of_every_query_with_all_candidates():
    found = Rank().batch_scores(of(ROWS), group(3)).numpy()
    assert np.allclose(found, ALL)
    assert np.allclose([found[0, [0, 2]], found[1, [1, 3]]], SCORES)  # candidate k of query b is column k B + b


def test_the_loss_by_hand():
    """Row 0: the second candidate is relevant, at 0. Row 1: -3/4 log p_0 - 1/4 log p_1; Z is over all four."""
    rows = [np.log(np.exp(ALL[0]).sum()) - 0, np.log(np.exp(ALL[1]).sum()) - 0.75 * 19.2 + 0.25 * 20]
    assert Rank().loss(of(ROWS), group(3, GRADES)).item() == pytest.approx(np.mean(rows))
    assert Rank().loss(of(ROWS), group(3, 7 * GRADES)).item() == pytest.approx(np.mean(rows))


def test_a_group_without_a_relevant_candidate_adds_nothing():
    grades = GRADES * [[1], [0]]
    assert Rank().loss(of(ROWS), group(3, grades)).item() == pytest.approx(np.log(np.exp(ALL[0]).sum()) / 2)
    leaf = tensor(ROWS)
    Rank().loss(of(leaf), group(3, grades)).backward()
    assert torch.isfinite(leaf.grad).all() and not leaf.grad[1].any()  # its query learns nothing


def test_the_gradient_of_the_loss():
    grades = np.array([[0, 1, 0], [2, 1, 1], [0, 0, 3]], float)
    batch = replace(BATCH, labels=tensor(grades, grad=False))
    shares = grades / grades.sum(1, keepdims=True)
    check(
        lambda x: Rank().loss(of(x), batch), WIDE,
        lambda x: np.mean([likelihood(x, b, shares[b]) for b in range(3)]),
    )  # fmt: skip


def likelihood(x: np.ndarray, b: int, shares: np.ndarray) -> float:
    """Of query b among the candidates of all three."""
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    scores = [20 * unit[b] @ candidate for candidate in unit[3:]]
    return -sum(shares[k] * log_softmax(scores)[3 * k + b] for k in range(3))


def test_of_one_relevant_candidate_it_is_the_loss_of_sentence_transformers():
    """MultipleNegativesRankingLoss with hard negatives, at its own scale."""
    vectors = [torch.tensor(part) for part in np.split(WIDE, 4)]
    theirs = MultipleNegativesRankingLoss(model=None).compute_loss_from_embeddings(vectors, labels=None)
    first = np.array([[1, 0, 0]] * 3, float)
    ours = Rank().loss(of(WIDE), replace(BATCH, labels=tensor(first, grad=False)))
    assert ours.item() == pytest.approx(theirs.item())


class Data:
    kind, goal = "rank", Rank()


def kd(**settings):
    cls = registry.load(registry.find("method", "kd"))
    return cls(cls.Settings(**settings), Run(Data(), Track(updates=1, batch_size=3), 3, 5, 0))


def listwise(x: np.ndarray, tau: float) -> float:
    p, q = (log_softmax(cosines(rows) / tau, axis=1) for rows in (WIDE, x))
    return tau**2 * (np.exp(p) * (p - q)).sum(1).mean()


@pytest.mark.parametrize("tau", [1.0, 4.0])
def test_kd_is_the_listwise_divergence_whatever_the_widths(tau):
    method = kd(temperature=tau)
    assert not list(method.parameters()), "scores are compared: there is no projection"

    def loss(x):
        found = method.soft_targets(of(x), of(WIDE), BATCH)
        assert set(found) == {"soft"}, "without labels the teacher's part is all"
        return found["soft"]

    check(loss, NARROW, lambda x: listwise(x, tau))


def test_kd_with_grades_is_half_theirs():
    grades = np.eye(3)
    losses = kd().soft_targets(of(NARROW), of(WIDE), replace(BATCH, labels=tensor(grades, grad=False)))
    assert losses["soft"].item() == pytest.approx(0.5 * listwise(NARROW, 4.0))
    assert losses["hard"].item() == pytest.approx(0.5 * np.mean([likelihood(NARROW, b, grades[b]) for b in range(3)]))


@pytest.mark.parametrize("tau", [1.0, 2.0])
def test_kd_without_labels_is_the_listwise_loss_of_sentence_transformers(tau):
    """DistillKLDivLoss; at temperature 1 its cross-entropy form has the same gradient. So there is no method apart."""
    theirs = DistillKLDivLoss(model=None, similarity_fct=twenty_cosines, temperature=tau)
    x = tensor(NARROW)
    value = theirs.compute_loss_from_embeddings(list(x.chunk(4)), torch.tensor(cosines(WIDE)))
    value.backward()
    labels = replace(BATCH, labels=tensor(np.eye(3), grad=False))
    for settings in [{"alpha": 1.0}] + ([{"form": "soft_ce"}] if tau == 1 else []):
        leaf = tensor(NARROW)
        losses = kd(temperature=tau, **settings).soft_targets(of(leaf), of(WIDE), labels)
        assert set(losses) == {"soft"}
        losses["soft"].backward()
        assert torch.allclose(leaf.grad, x.grad, atol=1e-12)
        if "alpha" in settings:
            assert losses["soft"].item() == pytest.approx(value.item())


def twenty_cosines(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return 20 * torch.cosine_similarity(a, b)


def test_what_is_kept_of_an_input_is_its_vector():
    assert Rank().decode(of(ROWS)).dtype == torch.float32 and Rank().decode(of(ROWS)).shape == (6, 2)
