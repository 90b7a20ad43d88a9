"""Teachers that give scores of pairs and no vectors: losses and gradients by hand, and real runs of each sort."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from bench.base.console import Console
from bench.baselines.kd import Kd
from bench.baselines.lead import Lead
from bench.baselines.margin_mse import MarginMse
from bench.data.together import together
from bench.errors import RequestError
from bench.kinds.rank import Rank
from bench.runs.protocol import make_teacher
from bench.signals import Signals
from bench.teachers.teacher import Asked
from tests.baselines.ranking import GROUPS, NARROW, RNG, collection, made, of, planned
from tests.baselines.tools import check, slope, tensor
from tests.factories.rankers import save_colbert, save_cross
from tests.factories.runs import save_teacher
from tests.worlds.tools import same, trained

PAIRS = 5 * RNG.normal(size=(9, 1))  # of 3 groups and 3 candidates, column by column: a logit of each pair
LOGITS = PAIRS.reshape(3, 3).T  # (B, K)
GRADES = np.array([[2.0, 0.0, 1.0], [0.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
OURS, THEIRS = RNG.normal(size=(4, 12, 3)), 5 * RNG.normal(size=(5, 9, 1))
FIRST = replace(GROUPS, labels=torch.eye(3)[:1].expand(3, 3).double())


def pairs(rows=PAIRS, layers=None) -> Signals:
    given = None if layers is None else tuple(map(torch.as_tensor, layers))
    return Signals(scores=torch.as_tensor(rows), layer_scores=given)


def own(x: np.ndarray) -> np.ndarray:
    """20 cos (B, K) of each query with its candidates."""
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    return np.array([[20 * unit[b] @ unit[3 + 3 * k + b] for k in range(3)] for b in range(3)])


def kl(s: np.ndarray, t: np.ndarray) -> float:
    return float(np.mean(np.sum(softmax(t, 1) * (log_softmax(t, 1) - log_softmax(s, 1)), 1)))


def nll(s: np.ndarray) -> float:
    return float(-np.mean(log_softmax(s, 1)[:, 0]))


def test_scores_are_taken_as_they_are_and_a_query_has_its_own_candidates():
    ours, theirs = Rank().pair(of(NARROW), pairs(), GROUPS)
    assert np.allclose(theirs, LOGITS) and np.allclose(ours, own(NARROW))
    assert np.allclose(Rank().own(of(NARROW), GROUPS).scores, own(NARROW).T.reshape(-1, 1))
    batch = replace(GROUPS, labels=torch.tensor(GRADES))
    shares = GRADES / np.maximum(GRADES.sum(1, keepdims=True), 1)
    by_hand = lambda s: -np.mean(np.sum(shares * log_softmax(s.reshape(3, 3).T, 1), 1))  # noqa: E731
    check(lambda leaf: Rank().loss(pairs(leaf), batch), PAIRS, by_hand)
    assert Rank().decode(pairs()).shape == (9, 1)


def test_kd_is_the_divergence_from_the_softmax_of_the_logits():
    method = made(Kd, temperature=1.0, alpha=1.0)
    check(lambda x: method.soft_targets(of(x), pairs(), GROUPS)["soft"], NARROW, lambda x: kl(own(x), LOGITS))


@pytest.mark.parametrize("kind", ["cosine", "dot"])
def test_margins_of_a_cross_encoder(kind):
    """With `dot` the paper's: inner products of the student against logits."""

    def by_hand(x: np.ndarray) -> float:
        s = own(x) if kind == "cosine" else np.array([[x[b] @ x[3 + 3 * k + b] for k in range(3)] for b in range(3)])
        above = [(b, i, j) for b in range(3) for i in range(3) for j in range(3) if GRADES[b, i] > GRADES[b, j]]
        return np.mean([((s[b, i] - s[b, j]) - (LOGITS[b, i] - LOGITS[b, j])) ** 2 for b, i, j in above])

    batch = replace(GROUPS, labels=torch.tensor(GRADES))
    check(lambda x: made(MarginMse, scores=kind).margins(of(x), pairs(), batch)["margins"], NARROW, by_hand)


def student(x=NARROW, layers=OURS) -> Signals:
    return Signals(embedding=torch.as_tensor(x), pooled=[torch.as_tensor(rows) for rows in layers])


def test_lead_ranks_own_candidates_where_the_teacher_scores_no_others():
    method = made(Lead, layers=2, layer_temperature=0.7)
    drawn, s = method.drawn(0), own(NARROW)
    layers = [(own(OURS[b]), THEIRS[a].reshape(3, 3).T) for a, b in drawn]
    weights = softmax([-nll(t) / 0.7 for _, t in layers])
    by_hand = {
        "student": nll(s), "teacher": nll(LOGITS), "output": kl(s, LOGITS), "output_back": kl(LOGITS, s),
        "layers": sum(w * kl(ours, theirs) for w, (ours, theirs) in zip(weights, layers, strict=True)),
    }  # fmt: skip
    found = method.rankings(student(), pairs(layers=THEIRS), FIRST)
    assert {name: value.item() for name, value in found.items()} == pytest.approx(by_hand, abs=1e-9)


def test_gradients_of_lead_reach_the_scores_of_teacher_and_layers():
    method = made(Lead, layers=1)
    ((a, b),) = method.drawn(0)
    outer = lambda t: method.rankings(student(), pairs(t, THEIRS), FIRST)  # noqa: E731
    leaf = tensor(PAIRS)
    (outer(leaf)["teacher"] + outer(leaf)["output"] + outer(leaf)["output_back"]).backward()
    value = lambda t: nll(t.reshape(3, 3).T) + both_ways(own(NARROW), t.reshape(3, 3).T)  # noqa: E731
    assert np.allclose(leaf.grad, slope(value, PAIRS), atol=1e-6)
    layers = [tensor(rows) for rows in THEIRS]
    method.rankings(student(), pairs(layers=layers), FIRST)["layers"].backward()
    expected = slope(lambda t: kl(own(OURS[b]), t.reshape(3, 3).T), THEIRS[a])
    assert np.allclose(layers[a].grad, expected, atol=1e-6) and expected.any()


def both_ways(s: np.ndarray, t: np.ndarray) -> float:
    return kl(s, t) + kl(t, s)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    return collection(tmp_path_factory.mktemp("judged"))


@pytest.fixture(scope="module")
def cross(tmp_path_factory) -> Path:
    return save_cross(tmp_path_factory.mktemp("cross"))


@pytest.fixture(scope="module")
def colbert(tmp_path_factory) -> Path:
    return save_colbert(tmp_path_factory.mktemp("colbert"), layers=3)


def of_pairs(spec) -> tuple[np.ndarray, list[str]]:
    """What the run's teacher says of all pairs of training, from the store alone; and whether anything was computed."""
    said: list[str] = []
    teacher = make_teacher(spec, torch.device("cpu"), Console(quiet=True))
    teacher.console = said.append
    examples = together(spec.task.examples("supervised"))
    asked = Asked(examples, frozenset({"scores"}), spec.track.max_length, "train")
    return teacher.serve(asked, lambda: np.arange(len(examples.inputs))).arrays["scores"], said


def test_kd_learns_from_a_cross_encoder_whose_scores_are_stored(data, cross, tmp_path):
    spec = planned(data, "kd", "bert:2x32x4", cross, "kd.alpha=1.0", "kd.lr=3e-3", updates=40)
    found = trained(spec, tmp_path / "run")
    stored, said = of_pairs(spec)
    count = len(together(spec.task.examples("distil")).inputs)
    assert stored.shape == (count, 1) and not said, "no pair is read twice"
    assert found.teacher.forwards == {"computed": count, "reused": 0}
    losses = [point["losses"]["soft"] for point in found.trainer.progress.curve if point["losses"]]
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])


def test_lead_runs_with_a_late_interaction_teacher_and_a_student_of_another_width(data, colbert, tmp_path):
    """Sanity 3 of LEAD's liberality, with layers of both, and a teacher that learns."""
    spec = planned(data, "lead", "bert:2x32x4", colbert, "lead.lr=3e-3", "lead.teacher_lr=1e-3", "lead.layers=2")
    found = trained(spec, tmp_path / "run")
    networks = found.trainer.networks
    assert networks["teacher"].shape.layers == 3 and networks["student"].width == 32
    assert not same(found.teacher.network, networks["teacher"])
    assert found.teacher.forwards == {"computed": 24 * 8 * 4, "reused": 0}
    losses = [point["losses"] for point in found.trainer.progress.curve if point["losses"]]
    assert np.isfinite([list(means.values()) for means in losses]).all()
    assert np.mean([m["output"] for m in losses[-6:]]) < 0.7 * np.mean([m["output"] for m in losses[:6]])


def test_a_frozen_lead_reads_the_layers_of_a_cross_encoder_from_the_store(data, cross, tmp_path):
    spec = planned(data, "lead", "bert:2x32x4", cross, "lead.teacher=frozen", "lead.lr=3e-3", updates=8)
    found = trained(spec, tmp_path / "run")
    assert found.teacher.forwards["reused"] == 0 and found.teacher.forwards["computed"] > 0
    assert {"student", "output", "layers"} == set(found.trainer.progress.curve[-1]["losses"])


@pytest.mark.parametrize("method", ["rkd", "disco"])
def test_methods_of_vectors_say_why_they_refuse(data, cross, tmp_path, method):
    with pytest.raises(RequestError, match=f"{method} reads the signal embedding, which .* reads two texts together"):
        trained(planned(data, method, "bert:2x32x4", cross), tmp_path / "run")


def test_an_encoder_is_taught_to_read_both_together(data, tmp_path):
    """With the loss of its own candidates, of which four are ln 4 apart at first."""
    encoder = save_teacher(tmp_path / "encoder", layers=1, dropout=0.0)
    settings = ("teach=60", "teach_rate=1e-3")
    spec = planned(data, "kd", "bow:8", f"{encoder}#cross", *settings, updates=2)
    found = trained(spec, tmp_path / "run")
    assert found.teacher.network.reads_together and found.teacher.network.origin == spec.place.origin.base.identity
    record = json.loads((spec.place.folder / "record.json").read_text())
    losses = [point["losses"]["supervised"] for point in record["curve"] if point["losses"]]
    assert losses[0] == pytest.approx(np.log(4), abs=0.3) and np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5])
    assert record["dev"] >= record["curve"][0]["dev"], (
        "the best checkpoint on dev is kept, which reranks BM25's first 50"
    )
