"""Methods that match layers of transformers, by plain loops in numpy: value, gradient, layer maps, refusals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from bench.baselines import distilbert, minilm, pkd, tinybert
from bench.errors import RequestError
from bench.network import Shape
from bench.signals import Signals
from bench.task import Track
from tests.baselines.tools import (
    DEEP,
    MASK,
    RNG,
    B,
    D,
    H,
    L,
    T,
    Z,
    batch,
    ce,
    check,
    kl,
    make,
    tensor,
    total,
)


def states(layers, width=D):
    return [RNG.normal(size=(B, L, width)) for _ in range(layers + 1)]


def test_pkd():
    ours, theirs = states(2), states(4)
    method = make(pkd.Pkd, alpha=0.4, temperature=3.0, beta=10.0)
    assert method.teacher_layers == [2]  # student layer 1 of 2 against layer 2 of 4

    def by_hand(cls_):
        total_ = 0.0
        for b in range(B):
            a, t = cls_[b] / np.linalg.norm(cls_[b]), theirs[2][b, 0] / np.linalg.norm(theirs[2][b, 0])
            total_ += ((a - t) ** 2).sum()
        return 0.6 * ce(Z) + 0.4 * 9 * kl(Z, T, 3) + 10 * total_ / (B * D)

    def loss(leaf):
        hidden = [tensor(ours[0]), torch.cat([leaf[:, None], tensor(ours[1][:, 1:])], 1), tensor(ours[2])]
        teacher = Signals(logits=tensor(T), hidden=[tensor(h) for h in theirs])
        return total(method.patient(Signals(logits=tensor(Z), hidden=hidden), teacher, batch()))

    check(loss, ours[1][:, 0].copy(), by_hand)


def test_pkd_layers_of_six_and_twelve_are_the_papers():
    six, twelve = Shape(6, H, (D,) * 7), Shape(12, H, (D,) * 13)
    assert make(pkd.Pkd, six, twelve).teacher_layers == [2, 4, 6, 8, 10]
    assert make(pkd.Pkd, six, twelve, layers="last").teacher_layers == [7, 8, 9, 10, 11]
    with pytest.raises(RequestError, match="layers of one width"):
        make(pkd.Pkd, Shape(2, H, (4,) * 3))


def test_distilbert():
    ours, theirs = RNG.normal(size=(B, L, D)), RNG.normal(size=(B, L, D))
    method = make(distilbert.Distilbert)
    mask = torch.tensor(MASK)

    def by_hand(h):
        gaps = [
            1 - h[b, t] @ theirs[b, t] / np.linalg.norm(h[b, t]) / np.linalg.norm(theirs[b, t])
            for b in range(B) for t in range(L) if MASK[b, t]
        ]  # fmt: skip
        return 5 * 4 * kl(Z, T, 2) + 2 * ce(Z) + np.mean(gaps)

    def loss(leaf):
        teacher = Signals(logits=tensor(T), hidden=[tensor(theirs)], mask=mask)
        return total(method.three(Signals(logits=tensor(Z), hidden=[leaf], mask=mask), teacher, batch()))

    check(loss, ours, by_hand)
    other = Signals(logits=tensor(T), hidden=[tensor(theirs)], mask=mask[:, :4])
    with pytest.raises(RequestError, match="different tokens"):
        method.three(Signals(logits=tensor(Z), hidden=[tensor(ours)], mask=mask), other, batch())


def heads(width=3, n=H):
    return RNG.normal(size=(B, n, L, width))


def relations_by_hand(a, b, c, d):
    """mean over texts of the mean over heads and real rows of KL(softmax(c d^T) || softmax(a b^T)) over real columns"""
    texts = []
    for x in range(B):
        found, rows = 0.0, 0
        real = [t for t in range(L) if MASK[x, t]]
        for h in range(a.shape[1]):
            for i in real:
                q = softmax([a[x, h, i] @ b[x, h, j] / a.shape[-1] ** 0.5 for j in real])
                p = softmax([c[x, h, i] @ d[x, h, j] / c.shape[-1] ** 0.5 for j in real])
                found += sum(p * np.log(p / q))
                rows += 1
        texts.append(found / rows)
    return np.mean(texts)


def test_minilm_relations():
    q, k, v = heads(), heads(), heads()
    tq, tk, tv = heads(7), heads(7), heads(7)  # wider heads: the relations have one shape all the same
    mask = torch.tensor(MASK)
    teacher = Signals(queries=[tensor(tq)], keys=[tensor(tk)], values=[tensor(tv)], mask=mask)

    def loss(leaf):
        student = Signals(queries=[leaf], keys=[tensor(k)], values=[tensor(v)], mask=mask)
        return total(make(minilm.Minilm).relations(student, teacher, batch()))

    check(loss, q, lambda x: relations_by_hand(x, k, tq, tk) + relations_by_hand(v, v, tv, tv))


def test_minilm_v2_joins_heads_and_cuts_them_anew():
    v, tv = heads(3), heads(6)
    mask = torch.tensor(MASK)
    sides = [Signals(queries=[tensor(x)], keys=[tensor(x)], values=[tensor(x)], mask=mask) for x in (v, tv)]
    method = make(minilm.Minilm, version="v2", relation_heads=3, student=Shape(2, H, (6,)), teacher=Shape(2, H, (12,)))
    found = method.relations(*sides, batch())

    def recut(x):
        joined = x.transpose(0, 2, 1, 3).reshape(B, L, -1)
        return np.stack(np.split(joined, 3, axis=2), axis=1)

    assert set(found) == {"queries", "keys", "values"}
    by_hand = relations_by_hand(recut(v), recut(v), recut(tv), recut(tv))
    assert found["values"].item() == pytest.approx(by_hand)
    same = method.relations(sides[1], sides[1], batch())
    assert total(same).item() == pytest.approx(0, abs=1e-12)


def test_minilm_needs_as_many_heads():
    with pytest.raises(RequestError, match="the teacher has 4, the student 2"):
        make(minilm.Minilm, teacher=Shape(4, 4, (D,)))


def test_tinybert_as_published_pads_to_the_maximal_length():
    """Columns of padding hold 0 attention; rows of padding read the real columns as any other row does."""
    ours, theirs = ([tensor(RNG.normal(size=(B, H, L, L)))] for _ in range(2))
    hidden = [tensor(RNG.normal(size=(B, L, D)))]
    signals = [Signals(hidden=hidden, attention_scores=found, mask=torch.tensor(MASK)) for found in (ours, theirs)]
    longest = Track(updates=20, batch_size=B).max_length
    losses = {}
    for replicate in (True, False):
        method = make(tinybert.Tinybert, student=Shape(1, H, (D,)), teacher=Shape(1, H, (D,)), replicate=replicate)
        losses[replicate] = method.layers(*signals, batch())["attention"].item()
    columns = [torch.nn.functional.pad(found[0].detach(), (0, longest - L)) for found in (ours, theirs)]
    assert losses[True] == pytest.approx(torch.nn.functional.mse_loss(*columns).item())
    assert losses[False] == pytest.approx(losses[True] * longest / L)


def test_tinybert_layers_and_prediction():
    ours, theirs = states(2), states(4)
    scores, teacher_scores = (
        [RNG.normal(size=(B, H, L, L)) for _ in range(2)],
        [RNG.normal(size=(B, H, L, L)) for _ in range(4)],
    )
    mask = torch.tensor(MASK)
    method = make(tinybert.Tinybert)
    w, bias = method.project.weight.detach().numpy(), method.project.bias.detach().numpy()

    def by_hand(x):
        hidden = [ours[0], x, ours[2]]
        mapped = {0: 0, 1: 2, 2: 4}
        states_ = sum(((hidden[m] @ w.T + bias - theirs[t]) ** 2).mean() for m, t in mapped.items())
        return states_ + ((scores[0] - teacher_scores[1]) ** 2).mean() + ((scores[1] - teacher_scores[3]) ** 2).mean()

    def loss(leaf):
        student = Signals(
            hidden=[tensor(ours[0]), leaf, tensor(ours[2])], attention_scores=[tensor(s) for s in scores], mask=mask
        )
        teacher = Signals(
            hidden=[tensor(h) for h in theirs], attention_scores=[tensor(s) for s in teacher_scores], mask=mask
        )
        return total(method.layers(student, teacher, batch()))

    check(loss, ours[1], by_hand)
    prediction = lambda z: total(method.prediction(Signals(logits=z), Signals(logits=tensor(T)), batch()))  # noqa: E731
    check(prediction, Z, lambda z: -(softmax(T, 1) * log_softmax(z, 1)).mean())


def test_tinybert_of_a_copy_of_the_teacher_has_nothing_to_learn():
    """Sanity check 1: all intermediate losses 0; of the prediction the gradient 0 and the loss entropy / C."""
    method = make(tinybert.Tinybert, student=DEEP)
    torch.nn.init.eye_(method.project.weight), torch.nn.init.zeros_(method.project.bias)
    one = Signals(
        logits=tensor(T), hidden=[tensor(h) for h in states(4)], mask=torch.tensor(MASK),
        attention_scores=[tensor(RNG.normal(size=(B, H, L, L))) for _ in range(4)],
    )  # fmt: skip
    assert total(method.layers(one, one.detach(), batch())).item() == 0.0
    leaf = tensor(T)
    found = method.prediction(Signals(logits=leaf), Signals(logits=tensor(T)), batch())["soft"]
    found.backward()
    p = softmax(T, 1)
    assert found.item() == pytest.approx(-(p * np.log(p)).mean()) and np.abs(leaf.grad.numpy()).max() < 1e-12


def test_tinybert_stages_and_heads():
    first, second = make(tinybert.Tinybert).stages()
    assert (first.updates, second.updates, first.keep, second.keep) == (15, 5, "last", "best")
    assert (
        first.roles["teacher"].signals == {"hidden", "attention_scores"}
        and first.parts["all"].optimiser.schedule == "constant"
    )
    with pytest.raises(RequestError, match="as many heads, as in bert:4x312x12"):
        make(tinybert.Tinybert, teacher=Shape(6, 12, (D,)))
