"""Losses of the classical methods by plain loops in numpy, value and gradient; stages; what each refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from bench.baselines import crd, deit, distilbert, dml, fitnets, kd, minilm, pkd, rkd, ta_ensemble, takd, tinybert
from bench.errors import RequestError
from bench.inputs import Batch
from bench.method import Run
from bench.network import Shape
from bench.signals import Signals
from bench.task import Track
from tests.baselines.tools import (
    RNG,
    B,
    C,
    D,
    Data,
    T,
    Y,
    Z,
    batch,
    ce,
    check,
    kl,
    make,
    slope,
    tensor,
    total,
    valued,
)

KD_FORMS = {
    "hinton": lambda z: 0.5 * ce(z) + 0.5 * 16 * kl(z, T, 4),
    "repdistiller": lambda z: 0.1 * ce(z) + 0.9 * 16 * kl(z, T, 4),
    "simkd": lambda z: ce(z) + 16 * kl(z, T, 4),
    "mean": lambda z: 0.3 * ce(z) + 0.7 * 400 * kl(z, T, 20) / C,
    "soft_ce": lambda z: -np.mean((softmax(T, 1) * log_softmax(z, 1)).sum(1)),
    "logits": lambda z: ((z - T) ** 2).mean(),
}


@pytest.mark.parametrize("form", KD_FORMS)
def test_kd_forms(form):
    method = make(kd.Kd, form=form)
    check(
        lambda z: total(method.soft_targets(Signals(logits=z), Signals(logits=tensor(T)), batch())), Z, KD_FORMS[form]
    )


def test_kd_weights_and_temperature_can_be_set():
    method = make(kd.Kd, alpha=0.25, temperature=2.0)
    found = total(method.soft_targets(Signals(logits=tensor(Z)), Signals(logits=tensor(T)), batch()))
    assert found.item() == pytest.approx(0.75 * ce(Z) + 0.25 * 4 * kl(Z, T, 2))
    with pytest.raises(RequestError, match="alpha must be between 0 and 1"):
        make(kd.Kd, alpha=1.5)


@pytest.mark.parametrize("alpha", [0.5, 0.2])
def test_kd_of_logits_and_labels_by_hand(alpha):
    """The exam's a CE + (1 - a) MSE, and the slopes of both as they are on paper."""
    leaf = tensor(Z)
    found = make(kd.Kd, form="logits", alpha=alpha).soft_targets(
        Signals(logits=leaf), Signals(logits=tensor(T)), batch()
    )
    total(found).backward()
    crossed = -sum(np.log(np.exp(Z[b, Y[b]]) / np.exp(Z[b]).sum()) for b in range(B)) / B
    squared = sum((Z[b, c] - T[b, c]) ** 2 for b in range(B) for c in range(C)) / (B * C)
    assert found["hard"].item() == pytest.approx((1 - alpha) * crossed)
    assert found["soft"].item() == pytest.approx(alpha * squared)
    slope = (1 - alpha) * (softmax(Z, 1) - np.eye(C)[Y]) / B + alpha * 2 * (Z - T) / (B * C)
    assert np.allclose(leaf.grad.numpy(), slope, atol=1e-12)


@pytest.mark.parametrize("form", ["logits", "hinton", "repdistiller", "simkd", "mean"])
def test_a_student_that_says_what_its_teacher_says_learns_from_labels_alone(form):
    leaf = tensor(T)
    method = make(kd.Kd, form=form, **({"alpha": 0.5} if form == "logits" else {}))
    found = method.soft_targets(Signals(logits=leaf), Signals(logits=tensor(T)), batch())
    total(found).backward()
    weight = {"repdistiller": 0.1, "simkd": 1.0, "mean": 0.3}.get(form, 0.5)
    assert found["soft"].item() == pytest.approx(0, abs=1e-12)
    assert found["hard"].item() == pytest.approx(weight * ce(T)) and ce(T) > 0.1
    assert np.allclose(leaf.grad.numpy(), weight * (softmax(T, 1) - np.eye(C)[Y]) / B, atol=1e-12)


def test_kd_of_a_regression_is_the_squared_error_in_every_form():
    z, t, y = RNG.normal(size=(B, 1)), RNG.normal(size=(B, 1)), torch.tensor(RNG.normal(size=B))
    labels = Batch(torch.arange(B), 1, y)
    for form in ("hinton", "soft_ce", "mean"):
        losses = valued(kd.Kd, form=form).soft_targets(Signals(logits=tensor(z)), Signals(logits=tensor(t)), labels)
        weight = kd.FORMS[form][1]
        assert losses["soft"].item() == pytest.approx(weight * ((z - t) ** 2).mean())


def test_rkd_distances_and_angles():
    f, g = RNG.normal(size=(B, D)), RNG.normal(size=(B, 2 * D))
    smooth = lambda x: np.where(np.abs(x) < 1, 0.5 * x**2, np.abs(x) - 0.5)  # noqa: E731

    def psi(x):
        d = np.array([[np.linalg.norm(a - b) for b in x] for a in x])
        return d / d[d > 0].mean()

    def angle(x):
        found = np.zeros((B, B, B))
        for j in range(B):
            for i in range(B):
                for k in range(B):
                    if j not in (i, k):
                        a, b = x[i] - x[j], x[k] - x[j]
                        found[j, i, k] = a @ b / np.linalg.norm(a) / np.linalg.norm(b)
        return found

    def by_hand(x):
        return ce(Z) + 25 * smooth(psi(x) - psi(g)).mean() + 50 * smooth(angle(x) - angle(g)).mean()

    method = make(rkd.Rkd)
    check(
        lambda x: total(
            method.relations(Signals(logits=tensor(Z), embedding=x), Signals(embedding=tensor(g)), batch())
        ),
        f,
        by_hand,
    )
    unlabelled = method.relations(Signals(embedding=tensor(f)), Signals(embedding=tensor(g)), Batch(torch.arange(B), 1))
    assert set(unlabelled) == {"distance", "angle"}


def test_crd_against_plain_loops():
    method = make(crd.Crd, negatives=3, width=4)
    f, g = RNG.normal(size=(B, D)), RNG.normal(size=(B, D))
    kept = {k: v.clone().numpy() for k, v in method.state_dict().items()}
    unit = lambda x: x / np.linalg.norm(x)  # noqa: E731
    project = lambda x, side: unit(kept[f"project_{side}.weight"] @ x + kept[f"project_{side}.bias"])  # noqa: E731
    torch.manual_seed(1)
    drawn = method.draw(torch.tensor(Y)).numpy()
    labels = Data().examples("").labels
    assert all(labels[n] != Y[b] for b in range(B) for n in drawn[b])  # negatives are of other classes

    def one(anchors, memory):
        h = np.array([[np.exp(a @ memory[n] / 0.07) for n in (b, *drawn[b])] for b, a in enumerate(anchors)])
        h = h / (h.mean() * 8)
        noise, eps = 3 / 8, 1e-7
        rows = np.log(h[:, 0] / (h[:, 0] + noise + eps)) + np.log(noise / (h[:, 1:] + noise + eps)).sum(1)
        return -rows.mean()

    torch.manual_seed(1)
    found = method.contrast(Signals(logits=tensor(Z), embedding=tensor(f)), Signals(embedding=tensor(g)), batch())
    s, t = [project(x, "student") for x in f], [project(x, "teacher") for x in g]
    assert found["crd"].item() == pytest.approx(0.8 * (one(s, kept["teacher_memory"]) + one(t, kept["student_memory"])))
    assert found["hard"].item() == pytest.approx(ce(Z))
    method.after_update(0.5)
    moved = unit(0.5 * kept["student_memory"][1] + 0.5 * s[1])
    assert np.allclose(method.student_memory[1].numpy(), moved) and method.student_memory.requires_grad is False
    assert np.allclose(method.student_memory[6].numpy(), kept["student_memory"][6])  # not in the batch


def test_crd_keeps_the_scale_of_the_first_batch():
    method = make(crd.Crd, negatives=3)
    for _ in range(2):
        sides = (
            Signals(logits=tensor(Z), embedding=tensor(RNG.normal(size=(B, D)))),
            Signals(embedding=tensor(RNG.normal(size=(B, D)))),
        )
        method.contrast(*sides, batch())
        scales = method.scales.clone()
    method.contrast(Signals(logits=tensor(Z), embedding=tensor(RNG.normal(size=(B, D)))), sides[1], batch())
    assert torch.equal(scales, method.scales) and (scales > 0).all()


def test_estimation_gradient():
    h = np.abs(RNG.normal(size=(B, 4))) + 0.1
    noise = 3 / 50

    def by_hand(x):
        return -np.mean(
            [np.log(r[0] / (r[0] + noise + 1e-7)) + sum(np.log(noise / (n + noise + 1e-7)) for n in r[1:]) for r in x]
        )

    check(lambda x: crd.estimation(x, 50), h, by_hand)


def test_fitnets_hint():
    maps = Shape(hidden=(2, 2, 3)), Shape(hidden=(2, 4, 5))
    method = make(fitnets.Fitnets, *maps, stages=2, hint=1)
    ours, theirs = RNG.normal(size=(B, 2, 4, 4)), RNG.normal(size=(B, 4, 2, 2))
    w, bias = method.regress.weight.detach().numpy()[:, :, 0, 0], method.regress.bias.detach().numpy()

    def by_hand(x):
        pooled = x.reshape(B, 2, 2, 2, 2, 2).mean((3, 5))
        return 0.5 * ((np.einsum("oc,bchw->bohw", w, pooled) + bias[:, None, None] - theirs) ** 2).mean()

    some = tensor(ours)
    check(
        lambda x: method.hint(Signals(maps=[some, x]), Signals(maps=[some, tensor(theirs)]), batch())["hint"],
        ours,
        by_hand,
    )
    first, second = method.stages()
    needs = [stage.roles["teacher"].signals for stage in (first, second)]
    assert (first.keep, needs, first.updates + second.updates) == ("last", [{"maps"}, {"logits"}], 20)
    with pytest.raises(RequestError, match="no map 3"):
        make(fitnets.Fitnets, *maps, hint=3)


def test_fitnets_single_stage_is_repdistillers():
    method = make(fitnets.Fitnets, Shape(hidden=(2, 2, 3)), Shape(hidden=(2, 2, 4))).eval()
    ours, theirs = RNG.normal(size=(B, 3, 2, 2)), np.abs(RNG.normal(size=(B, 4, 2, 2)))
    student, teacher = (
        Signals(logits=tensor(Z), maps=[None, None, tensor(ours)]),
        Signals(maps=[None, None, tensor(theirs)]),
    )
    w = method.regress.weight.detach().numpy()[:, :, 0, 0]
    through = np.maximum(np.einsum("oc,bchw->bohw", w, ours) / np.sqrt(1 + 1e-5), 0)  # a fresh norm in eval mode
    found = method.both(student, teacher, batch())
    assert found["hint"].item() == pytest.approx(100 * ((through - theirs) ** 2).mean())
    assert found["hard"].item() == pytest.approx(ce(Z))


class Peer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.logits = torch.nn.Parameter(torch.tensor(T))

    def forward(self, inputs, want):
        return Signals(logits=self.logits)


def test_dml_teaches_both_and_neither_through_the_other():
    run = Run(Data(), Track(updates=20, batch_size=B), D, D, 0, new_student=lambda purpose: Peer())
    method = dml.Dml(dml.Dml.Settings(), run)
    leaf = tensor(Z)
    found = method.mutual(Signals(logits=leaf), Signals(), batch())
    total(found).backward()
    assert total(found).item() == pytest.approx(ce(Z) + kl(Z, T) + ce(T) + kl(T, Z))
    assert np.allclose(leaf.grad.numpy(), slope(lambda z: ce(z) + kl(z, T), Z), atol=1e-6)
    assert np.allclose(method.peer.logits.grad.numpy(), slope(lambda z: ce(z) + kl(z, Z), T), atol=1e-6)
    (stage,) = method.stages()
    assert "teacher" not in stage.roles and "peer.logits" in method.state_dict()


def test_takd_chains_its_assistants_and_asks_the_last():
    settings = takd.Takd.Settings(assistants=("resnet:32", "resnet:14"))
    chain = takd.Takd.wanted(settings)
    assert [(a.student, a.method, a.teacher) for a in chain] == [
        ("resnet:32", "kd", ""), ("resnet:14", "kd", chain[0].name),
    ]  # fmt: skip
    (stage,) = make(takd.Takd, assistants=("resnet:32", "resnet:14")).stages()
    assert stage.roles["teacher"].who == chain[1].name
    with pytest.raises(RequestError, match="takd needs an assistant"):
        takd.Takd.Settings(assistants=())


def test_an_ensemble_of_one_is_takd():
    """Sanity check of the specification: K = 1, same weight and temperature, same loss."""
    method = make(ta_ensemble.TaEnsemble, assistants=("resnet:14",), temperature=4.0)
    method.weights.fill_(1.0)
    alone = method.soft_targets(Signals(logits=tensor(Z)), [Signals(logits=tensor(T))], batch())
    other = make(takd.Takd).soft_targets(Signals(logits=tensor(Z)), Signals(logits=tensor(T)), batch())
    assert {k: v.item() for k, v in alone.items()} == pytest.approx({k: v.item() for k, v in other.items()})


def test_ensemble_divergence():
    second, weights = RNG.normal(size=(B, C)), np.array([0.3, 0.7])

    def by_hand(z):
        p = weights[0] * softmax(T / 5, 1) + weights[1] * softmax(second / 5, 1)
        return 25 * (p * (np.log(p) - log_softmax(z / 5, 1))).sum(1).mean()

    teachers = [tensor(T), tensor(second)]
    check(lambda z: ta_ensemble.ensemble_divergence(z, teachers, tensor(weights, False), 5.0), Z, by_hand)
    alike = [
        ta_ensemble.ensemble_divergence(tensor(Z), [tensor(T)] * 2, tensor(w, False), 5.0).item()
        for w in ([0.1, 0.9], [0.5, 0.5])
    ]
    assert alike[0] == pytest.approx(alike[1])  # identical assistants: the weights mean nothing


def test_weights_are_at_least_as_good_as_each_assistant_and_as_equal_ones():
    gold = RNG.integers(C, size=200)
    outputs = [softmax(1.2 * np.eye(C)[gold] + RNG.normal(size=(200, C)) * noise, axis=1) for noise in (0.8, 1.5, 4.0)]
    score = lambda p: float((p.argmax(1) == gold).mean())  # noqa: E731
    weights = ta_ensemble.best_weights(outputs, score, 30, seed=0)
    assert weights.sum() == pytest.approx(1) and (weights >= 0).all()
    best = max(score(np.mean(outputs, 0)), *(score(o) for o in outputs))
    assert score(np.tensordot(weights, np.stack(outputs), 1)) >= best
    assert np.array_equal(weights, ta_ensemble.best_weights(outputs, score, 30, seed=0))


@pytest.mark.parametrize(
    ("settings", "by_hand"),
    [
        ({}, lambda z: -np.mean([log_softmax(z[b])[T[b].argmax()] for b in range(B)])),
        ({"form": "soft", "temperature": 3.0}, lambda z: 9 * kl(z, T, 3) / C),
        ({"form": "soft", "temperature": 3.0, "kl_reduction": "batchmean"}, lambda z: 9 * kl(z, T, 3)),
    ],
)
def test_deit(settings, by_hand):
    method, second = make(deit.Deit, alpha=0.3, **settings), RNG.normal(size=(B, C))

    def loss(leaf):
        return total(
            method.tokens(Signals(logits=tensor(Z), **{"logits.distilled": leaf}), Signals(logits=tensor(T)), batch())
        )

    check(loss, second, lambda z: 0.7 * ce(Z) + 0.3 * by_hand(z))


def test_deit_without_weight_or_without_a_token():
    leaf = tensor(T)
    total(
        make(deit.Deit, alpha=0.0).tokens(
            Signals(logits=tensor(Z), **{"logits.distilled": leaf}), Signals(logits=tensor(T)), batch()
        )
    ).backward()
    assert not leaf.grad.any()  # exactly
    with pytest.raises(RequestError, match=r"--set vit\.distillation=true"):
        make(deit.Deit).tokens(Signals(logits=tensor(Z)), Signals(logits=tensor(T)), batch())


def test_every_method_spends_the_updates_of_the_track():
    maps = {"student": Shape(hidden=(2, 2, 3)), "teacher": Shape(hidden=(2, 2, 4))}
    for cls, shapes in (
        (kd.Kd, {}), (pkd.Pkd, {}), (distilbert.Distilbert, {}), (minilm.Minilm, {}), (tinybert.Tinybert, {}),
        (rkd.Rkd, {}), (crd.Crd, {}), (fitnets.Fitnets, maps), (takd.Takd, {}), (deit.Deit, {}),
    ):  # fmt: skip
        assert sum(stage.updates for stage in make(cls, **shapes).stages()) == 20, cls.__name__


def test_no_gradient_reaches_a_teacher():
    t = tensor(T)
    for found in (
        make(kd.Kd).soft_targets(Signals(logits=tensor(Z)), Signals(logits=t), batch()),
        make(takd.Takd).soft_targets(Signals(logits=tensor(Z)), Signals(logits=t), batch()),
        make(deit.Deit, form="soft").tokens(
            Signals(logits=tensor(Z), **{"logits.distilled": tensor(Z)}), Signals(logits=t), batch()
        ),
        make(tinybert.Tinybert).prediction(Signals(logits=tensor(Z)), Signals(logits=t), batch()),
    ):
        total(found).backward()
    assert t.grad is None
