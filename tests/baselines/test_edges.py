"""Classical methods where it is easy to go wrong: rows that coincide, large batches, ties, resumed memories, limits."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bench.baselines import crd, deit, fitnets, rkd, ta_ensemble, takd
from bench.errors import RequestError
from bench.inputs import Batch
from bench.kinds.classify import Classify
from bench.method import Run
from bench.network import Shape
from bench.runs.spec import override
from bench.signals import Signals
from bench.task import Track
from tests.baselines.tools import RNG, B, C, D, Data, T, Y, Z, batch, check, make, slope, tensor, total


def test_rkd_of_rows_that_coincide():
    """Two equal rows, and two that differ by rounding: no direction between them, so no gradient from it."""
    f, g = RNG.normal(size=(6, D)), RNG.normal(size=(6, D))
    f[1], f[3] = f[0], f[2] + 1e-7 * RNG.normal(size=D)
    leaf = tensor(f)
    rkd.angle_loss(leaf, tensor(g)).backward()
    assert 0 < leaf.grad.abs().max() < 10  # 1e12 where the difference is divided by its length
    found = rkd.angles(leaf, leaf)
    assert not found[0, 1].any() and not found[2, 3].any() and found[0, 2].any()
    same = rkd.angle_loss(torch.ones(4, D, requires_grad=True), torch.ones(4, D))
    same.backward()
    assert same.item() == 0
    assert np.isfinite(rkd.distances(torch.ones(4, D)).numpy()).all()


def test_rkd_of_a_large_batch_in_parts(monkeypatch):
    f, g = RNG.normal(size=(7, D)), tensor(RNG.normal(size=(7, 2 * D)), grad=False)
    whole = tensor(f)
    rkd.angle_loss(whole, g).backward()
    value = rkd.angle_loss(whole, g).item()
    monkeypatch.setattr(rkd, "HELD", 3 * 49)  # three vertices at a time, the last part has one
    calls = []
    monkeypatch.setattr(rkd, "angles", lambda *a, made=rkd.angles: calls.append(len(a[1])) or made(*a))
    parts = tensor(f)
    found = rkd.angle_loss(parts, g)
    found.backward()
    assert calls[:6] == [3, 3, 3, 3, 1, 1]
    assert found.item() == pytest.approx(value, abs=1e-12)
    assert torch.allclose(parts.grad, whole.grad, atol=1e-12)


def test_rkd_of_two_examples_is_refused():
    run = Run(Data(), Track(updates=2, batch_size=2), D, D, 0)
    with pytest.raises(RequestError, match="2 make no angle"):
        rkd.Rkd(rkd.Rkd.Settings(), run)


def test_rkd_does_not_see_scale_shift_or_rotation():
    """Of either network: psi_D is over its own mean, and angles are cosines."""
    g = RNG.normal(size=(B, D))
    turned = 3 * g @ np.linalg.qr(RNG.normal(size=(D, D)))[0] + 2
    found = make(rkd.Rkd).relations(
        Signals(logits=tensor(Z), embedding=tensor(turned)), Signals(embedding=tensor(g)), batch()
    )
    assert found["distance"].item() == pytest.approx(0, abs=1e-12)
    assert found["angle"].item() == pytest.approx(0, abs=1e-12)


def test_crd_gradient():
    """Through projection, normalisation, exponential and both logs; memories, negatives and Z held."""
    method = make(crd.Crd, negatives=3, width=4)
    method.scales.fill_(5.0)
    f, g = RNG.normal(size=(B, D)), RNG.normal(size=(B, D))
    state = {k: v.numpy().copy() for k, v in method.state_dict().items()}
    torch.manual_seed(2)
    drawn = method.draw(torch.tensor(Y)).numpy()

    def by_hand(x):
        loss = 0.0
        for own, side, memory in ((x, "student", "teacher_memory"), (g, "teacher", "student_memory")):
            for b in range(B):
                a = state[f"project_{side}.weight"] @ own[b] + state[f"project_{side}.bias"]
                a = a / np.sqrt(a @ a)
                h = [np.exp(a @ state[memory][n] / 0.07) / 5 for n in (b, *drawn[b])]
                loss -= np.log(h[0] / (h[0] + 3 / 8 + 1e-7))
                loss -= sum(np.log(3 / 8 / (n + 3 / 8 + 1e-7)) for n in h[1:])
        return 0.8 * loss / B

    def loss(leaf):
        torch.manual_seed(2)
        return method.contrast(Signals(logits=tensor(Z), embedding=leaf), Signals(embedding=tensor(g)), batch())["crd"]

    check(loss, f, by_hand)


def test_crd_goes_on_from_a_checkpoint_as_if_nothing_had_happened():
    sides = [(tensor(RNG.normal(size=(B, D))), tensor(RNG.normal(size=(B, D)))) for _ in range(4)]

    def steps(method, some):
        losses = []
        for f, g in some:
            losses.append(
                method.contrast(Signals(logits=tensor(Z), embedding=f), Signals(embedding=g), batch())["crd"].item()
            )
            method.after_update(0.5)
        return losses

    torch.manual_seed(5)
    first = make(crd.Crd, negatives=3)
    torch.manual_seed(5)
    steps(first, sides[:2])
    kept = {k: v.clone() for k, v in first.state_dict().items()}
    random = torch.get_rng_state()
    whole = steps(first, sides[2:])
    resumed = make(crd.Crd, negatives=3)
    resumed.load_state_dict(kept)
    torch.set_rng_state(random)
    assert steps(resumed, sides[2:]) == whole


def test_fitnets_of_maps_that_are_not_square_and_of_a_teacher_without_maps():
    method = make(fitnets.Fitnets, Shape(hidden=(2,)), Shape(hidden=(2,)), hint=0)
    maps = [tensor(RNG.normal(size=(B, 2, *size))) for size in ((4, 8), (6, 4))]
    ours, theirs = method.maps(Signals(maps=maps[:1]), Signals(maps=maps[1:]))
    assert ours.shape == theirs.shape == (B, 2, 4, 4)
    with pytest.raises(RequestError, match="no feature maps"):
        method.both(Signals(logits=tensor(Z), maps=maps[:1]), Signals(), batch())


def test_an_ensemble_of_one_is_takd_value_and_gradient():
    method = make(ta_ensemble.TaEnsemble, assistants=("resnet:14",), temperature=4.0)
    method.weights.fill_(1.0)
    found = []
    for which in (method, make(takd.Takd)):
        leaf = tensor(Z)
        teacher = Signals(logits=tensor(T))
        loss = total(which.soft_targets(Signals(logits=leaf), [teacher] if which is method else teacher, batch()))
        loss.backward()
        found.append((loss.item(), leaf.grad))
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-12)
    assert torch.allclose(found[0][1], found[1][1], atol=1e-12)


def chooser(gold, *logits):
    """An ensemble of these assistants, whose weights are chosen on these labels."""
    task = SimpleNamespace(answers=lambda: gold, kind="classify", goal=Classify(C))
    run = Run(
        task, Track(updates=2, batch_size=B), D, D, 0, dev_outputs=lambda name: logits[int(name.split()[-1])],
        dev_score=lambda p: float((p.argmax(1) == gold).mean()),
    )  # fmt: skip
    settings = ta_ensemble.TaEnsemble.Settings(assistants=("resnet:14",) * len(logits), generations=20)
    method = ta_ensemble.TaEnsemble(settings, run)
    list(method.stages())
    return method


def test_equal_scores_go_to_the_better_likelihood():
    """Both assistants are always right; the second is sure of it."""
    gold = RNG.integers(C, size=60)
    assert chooser(gold, np.eye(C)[gold], 6 * np.eye(C)[gold]).weights[1] > 0.99


def test_likelihood_never_outweighs_an_example():
    """The first is right but hardly, the second wrong on one example of 60 and sure of the rest."""
    gold = RNG.integers(C, size=60)
    wrong = 6 * np.eye(C)[gold]
    wrong[0] = np.eye(C)[(gold[0] + 1) % C] * 6
    method = chooser(gold, 0.1 * np.eye(C)[gold], wrong)
    p = [ta_ensemble.probabilities(z) for z in (0.1 * np.eye(C)[gold], wrong)]
    mixed = np.tensordot(method.weights.numpy(), np.stack(p), 1)
    assert method.judge(p[1]) < method.judge(p[0]) and (mixed.argmax(1) == gold).all()


def test_chosen_weights_are_kept_and_not_chosen_again():
    gold = RNG.integers(C, size=20)
    method = chooser(gold, RNG.normal(size=(20, C)), RNG.normal(size=(20, C)))
    before = method.weights.clone()
    object.__setattr__(method.run, "dev_outputs", None)  # a resumed run must not ask
    (stage,) = method.stages()
    assert torch.equal(before, method.weights) and [role.who for role in stage.roles["teacher"]] == [
        "assistant 0",
        "assistant 1",
    ]


@pytest.mark.parametrize(
    ("cls", "key"),
    [(takd.Takd, "weight"), (ta_ensemble.TaEnsemble, "weight"), (deit.Deit, "alpha"), (fitnets.Fitnets, "alpha")],
)
def test_shares_are_at_most_one(cls, key):
    assert getattr(override(cls.Settings(), "m", (), {f"m.{key}": "1"}, set()), key) == 1
    with pytest.raises(RequestError, match="less than or equal to 1"):
        override(cls.Settings(), "m", (), {f"m.{key}": "1.5"}, set())


def test_deit_hard_follows_the_teacher_where_the_labels_say_otherwise():
    """The second head's gradient is that of the teacher's classes alone, and the first head's of the labels alone."""
    method = make(deit.Deit)
    ours, second = tensor(Z), tensor(RNG.normal(size=(B, C)))
    other = Batch(torch.arange(B), 1, torch.tensor((Y + 1) % C))
    grads = []
    for labels in (batch(), other):
        ours.grad = second.grad = None
        total(
            method.tokens(Signals(logits=ours, **{"logits.distilled": second}), Signals(logits=tensor(T)), labels)
        ).backward()
        grads.append((ours.grad.clone(), second.grad.clone()))
    assert torch.equal(grads[0][1], grads[1][1]) and not torch.allclose(grads[0][0], grads[1][0])
    ce = lambda z: -0.5 * np.mean([z[b, T[b].argmax()] - np.log(np.exp(z[b]).sum()) for b in range(B)])  # noqa: E731
    assert np.allclose(grads[0][1].numpy(), slope(ce, second.detach().numpy()), atol=1e-6)


def test_crd_asks_for_the_teachers_logits_only_where_they_have_a_weight():
    for alpha, needs in ((0.0, {"embedding"}), (1.0, {"embedding", "logits"})):
        settings = crd.Crd.Settings(alpha=alpha)
        assert crd.Crd.needed(settings, crd.Crd.needs) == needs
        (stage,) = make(crd.Crd, alpha=alpha).stages()
        assert stage.roles["teacher"].signals == needs
