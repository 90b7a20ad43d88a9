"""ACKD: both losses by plain numpy, value and gradient; what moves what; its sanity checks on digits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit, log_softmax, softmax

from bench.baselines.ackd import Ackd
from bench.inputs import Batch
from bench.method import Run
from bench.plugins.registry import find, load
from bench.runs.spec import Request
from bench.signals import Signals
from bench.task import Track
from tests.baselines.test_behaviour import IMAGES, curve, distil
from tests.baselines.tools import check, slope, tensor, total
from tests.students.pictures import task

RNG = np.random.default_rng(5)
B, C, D, CHANNELS, SIDE = 4, 3, 6, 16, 4
Z, T, Y = RNG.normal(size=(B, C)), 2 * RNG.normal(size=(B, C)), np.array([0, 2, 1, 1])
LAST, BEFORE = RNG.normal(size=(B, CHANNELS, SIDE, SIDE)), RNG.normal(size=(B, CHANNELS, 2 * SIDE, 2 * SIDE))
REAL = RNG.normal(size=(B, D))


def make(**settings):
    """On a task of 3 classes, with a plain student of two stages."""
    of, family = task(8, C), load(find("student", "plain"))
    of.kind = "classify"
    build = lambda purpose: family(family.Settings()).build("2", of, None)  # noqa: E731
    student = build("student")
    run = Run(of, Track(updates=10, batch_size=B), student.width, D, 0, student_shape=student.shape, new_student=build)
    torch.manual_seed(0)
    return Ackd(Ackd.Settings(**settings), run).double().train()


def batch(progress=0.5):
    return Batch(torch.arange(B), 1, torch.tensor(Y), progress=progress)


def student(z=None, last=None):
    z = tensor(Z, False) if z is None else z
    return Signals(logits=z, maps=(tensor(BEFORE, False), tensor(LAST, False) if last is None else last))


TEACHER = Signals(logits=tensor(T, False), embedding=tensor(REAL, False))


def ce(z):
    return -np.mean([log_softmax(z[b])[Y[b]] for b in range(B)])


def kl(z, t, tau=4.0):
    p = softmax(t / tau, 1)
    return tau**2 * np.mean((p * (np.log(p) - log_softmax(z / tau, 1))).sum(1))


def weights(method):
    return {name: p.detach().numpy() for name, p in method.named_parameters()}


def projected(w, m, last):
    """A linear layer of the mean over places, normalised over the batch."""
    g = last.mean((2, 3)) @ w[f"module.project.{m}.0.weight"].T
    return (g - g.mean(0)) / np.sqrt(g.var(0) + 1e-5)


def made_by(w, lasts):
    """F: what the learners' last maps make together."""
    g = [projected(w, m, last) for m, last in enumerate(lasts)]
    first, bias, second = (w[f"module.attention.{n}"] for n in ("0.weight", "0.bias", "2.weight"))
    scores = np.stack([np.maximum(x @ first.T + bias, 0) @ second[0] for x in g], 1)
    shares = softmax(scores, 1)
    return sum(shares[:, [m]] * x for m, x in enumerate(g))


def adversary(w, x):
    x = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-5)
    inner = np.maximum(x @ w["adversary.1.weight"].T + w["adversary.1.bias"], 0)
    return (inner @ w["adversary.3.weight"].T + w["adversary.3.bias"])[:, 0]


def by_hand(method):
    """L_S as a function of the student's logits and last map; what z_F teaches is held as it is at the start."""
    w = weights(method)
    with torch.no_grad():
        ends = [e(tensor(BEFORE, False)) for e in method.ends]
    others = [(e.logits.numpy(), e.maps[0].numpy()) for e in ends]
    linear = lambda f: f @ w["together.weight"].T + w["together.bias"]  # noqa: E731
    fixed = linear(made_by(w, [LAST, *(last for _, last in others)]))

    def loss(z, last, gamma=0.05):
        learners = [(z, last), *others]
        f = made_by(w, [m for _, m in learners])
        taught = sum(0.5 * ce(x) + 0.5 * kl(x, T) for x in [*(x for x, _ in learners), linear(f)])
        collaboration = 0.5 * sum(kl(x, fixed) for x, _ in learners)
        return taught + collaboration + gamma * np.mean(-np.log(expit(adversary(w, f))))

    return loss


def minimised(losses):
    return total({n: v for n, v in losses.items() if n not in MEASURED})


MEASURED = {"attention entropy", "disagreement", "discriminator accuracy"}


def test_the_students_loss_and_its_gradient():
    method = make(auxiliaries=2)
    expected = by_hand(method)
    check(lambda z: minimised(method.learn(student(z=z), TEACHER, batch())), Z, lambda z: expected(z, LAST))
    check(
        lambda last: minimised(method.learn(student(last=last), TEACHER, batch())), LAST, lambda last: expected(Z, last)
    )
    early = minimised(method.learn(student(), TEACHER, batch(0.0)))  # the adversary waits
    assert early.item() == pytest.approx(expected(Z, LAST, 0.0))


def test_the_discriminators_loss_and_its_gradient():
    method = make(auxiliaries=1)
    method.learn(student(), TEACHER, batch())
    w, fake = weights(method), method.made.numpy()
    losses = method.discriminate(TEACHER, batch())
    losses["discriminator"].backward()

    def loss(first):
        changed = w | {"adversary.1.weight": first}
        return -np.mean(np.log(expit(adversary(changed, REAL)))) - np.mean(np.log(expit(-adversary(changed, fake))))

    at = w["adversary.1.weight"].copy()
    assert losses["discriminator"].item() == pytest.approx(loss(at))
    assert np.allclose(method.adversary[1].weight.grad.numpy(), slope(loss, at), atol=1e-6)
    right = np.concatenate([adversary(w, REAL) > 0, adversary(w, fake) <= 0]).mean()
    assert losses["discriminator accuracy"].item() == pytest.approx(right)


def test_each_step_moves_its_own_part_and_the_teacher_gets_nothing():
    method = make()
    stage = next(iter(method.stages()))
    ours, theirs = (set(stage.parts[n].parameters({"method": method})) for n in ("learners", "adversary"))
    assert not ours & theirs and ours | theirs == set(method.parameters())
    assert [(s.roles, s.moves) for s in stage.steps] == [
        (("student", "teacher"), ("learners",)), (("teacher",), ("adversary",))
    ]  # fmt: skip
    adam = stage.parts["adversary"].optimiser
    assert (adam.kind, adam.lr, adam.weight_decay, adam.betas) == ("adamw", 1e-4, 0, (0.9, 0.999))
    losses = method.learn(student(z=tensor(Z)), TEACHER, batch())
    assert not any(losses[name].requires_grad for name in MEASURED & losses.keys())
    method.discriminate(TEACHER, batch())["discriminator"].backward()
    assert all(p.grad is None for p in ours) and all(p.grad is not None for p in theirs)


def test_without_an_adversary_no_embedding_is_asked_for():
    stage = next(iter(make(gamma=0.0).stages()))
    assert stage.roles["teacher"].signals == {"logits"} and set(stage.parts) == {"learners"}
    assert next(iter(make().stages())).roles["teacher"].signals == {"logits", "embedding"}


def test_without_attention_all_learners_have_the_same_share():
    method = make(auxiliaries=3, attention=False)
    made, shares = method.module([tensor(LAST, False)] * 4)
    assert shares.unique().tolist() == [0.25]
    expected = np.mean([projected(weights(method), m, LAST) for m in range(4)], 0)
    assert np.allclose(made.detach().numpy(), expected)


def test_measures_by_hand():
    method = make(auxiliaries=2)
    losses = method.learn(student(), TEACHER, batch())
    with torch.no_grad():
        ends = [e(tensor(BEFORE, False)) for e in method.ends]
        maps = [tensor(LAST, False), *(e.maps[0] for e in ends)]
        shares = method.module(maps)[1].numpy()
    classes = [Z.argmax(1), *(e.logits.numpy().argmax(1) for e in ends)]
    pairs = [(classes[a] != classes[b]).mean() for a, b in ((0, 1), (0, 2), (1, 2))]
    assert losses["disagreement"].item() == pytest.approx(np.mean(pairs))
    assert losses["attention entropy"].item() == pytest.approx(-(shares * np.log(shares)).sum(1).mean())


DIGITS = {"tasks": ["images/digits"], "students": ["plain:2"], "teacher": "resnet:8"}


def test_with_nothing_of_its_own_it_is_kd():
    """Sanity check (i), weight for weight."""
    nothing = ["ackd.auxiliaries=0", "ackd.beta=0", "ackd.gamma=0"]
    found = [
        distil(Request(**DIGITS, methods=[method], settings=[*IMAGES, *settings]))
        for method, settings in (("kd", []), ("ackd", nothing))
    ]
    ours, theirs = (f.student.state_dict() for f in found)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_learners_differ_and_a_discriminator_that_learns_is_deceived_by_a_student_that_minds():
    """Sanity check (iii), and that the adversary gets through to the student. Not (ii), an accuracy of 0.5 to 0.9: in
    the committed runs, with the default weight, the discriminator wins (docs/results.md)."""
    quick = [*IMAGES, "ackd.discriminator_lr=0.001", "ackd.late=0"]  # 40 updates at 1e-4 hardly move it
    found, minding = (
        distil(Request(**DIGITS, methods=["ackd"], settings=[*quick, f"ackd.gamma={gamma}"])) for gamma in (0.001, 20)
    )
    assert found.dev > 0.5
    assert min(curve(found, "disagreement")) > 0
    known, deceived = (np.mean(curve(f, "discriminator accuracy")[-8:]) for f in (found, minding))
    assert known > 0.8 and deceived < known - 0.1
    entropies = curve(found, "attention entropy")
    assert min(entropies) > 0.5 and max(entropies) < np.log(4) + 1e-6
    plain = distil(Request(**DIGITS, methods=["kd"], settings=IMAGES))
    assert found.student.state_dict().keys() == plain.student.state_dict().keys()
