"""The grid of knowledge and layers: each loss by hand, a copy is at 0, padding changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from bench.baselines import revisited
from bench.baselines.revisited import KNOWLEDGE, Revisited, pairs
from bench.errors import RequestError
from bench.network import Shape
from bench.signals import Signals
from tests.baselines.tools import DEEP, MASK, RNG, SHALLOW, B, D, H, L, T, Z, batch, ce, check, make, tensor, total

MASKED = torch.tensor(MASK, dtype=torch.float64)
LENGTHS = MASK.sum(1)


def test_layers() -> None:
    assert [t for t, _ in pairs("gap", 4, 12)] == [2, 5, 8, 11]
    assert pairs("last", 4, 12) == [(8, 0), (9, 1), (10, 2), (11, 3)]
    assert pairs("first", 2, 6) == [(0, 0), (1, 1)]
    assert pairs("last2", 4, 12) == [(10, 2), (11, 3)]  # in order, which the released code is not
    assert pairs("first1", 4, 12) == [(0, 0)]
    assert pairs("gap", 4, 6) == [(0, 0), (2, 1), (3, 2), (5, 3)]  # all four, where the released code drops some
    for wrong in ("gap2", "middle", "last9"):
        with pytest.raises(RequestError):
            pairs(wrong, 4, 12)


@pytest.mark.parametrize("match", ["hidden_mse", "gap", "gap:nothing", "last3:hidden_mse", "up:cos"])
def test_matches_that_are_none(match: str) -> None:
    with pytest.raises(RequestError):
        make(Revisited, match=match)


def real(x: int) -> range:
    return range(LENGTHS[x])


def attention_of(scores, x, h):
    n = LENGTHS[x]
    return softmax(scores[x, h, :n, :n], axis=-1)


def by_hand(name, s, t):
    """Each loss from its definition, text by text over real tokens."""
    tokens = [(x, i) for x in range(B) for i in real(x)]
    if name == "hidden_mse":
        return np.mean([((s[x, i] - t[x, i]) ** 2).mean() for x, i in tokens])
    if name == "cos":
        cosine = [s[x, i] @ t[x, i] / np.linalg.norm(s[x, i]) / np.linalg.norm(t[x, i]) for x, i in tokens]
        return np.mean(1 - np.array(cosine))
    if name == "pkd":
        return np.mean([np.sum((a / np.linalg.norm(a) - b / np.linalg.norm(b)) ** 2) for a, b in zip(s[:, 0], t[:, 0])])  # noqa: B905
    if name == "gram":
        cut = [[h[x, : LENGTHS[x]] for x in range(B)] for h in (s, t)]
        return np.mean([((a.T @ a - b.T @ b) / len(a)) ** 2 for a, b in zip(*cut, strict=True)])
    if name == "mmd":
        cut = [[h[x, : LENGTHS[x]] for x in range(B)] for h in (s, t)]
        gaps = [((a @ a.T / a.shape[1] - b @ b.T / b.shape[1]) ** 2).sum() for a, b in zip(*cut, strict=True)]
        return sum(gaps) / (LENGTHS**2).sum()
    heads = range(s.shape[1])
    if name == "attention_mse":
        gaps = [((attention_of(s, x, h) - attention_of(t, x, h)) ** 2).sum() for x in range(B) for h in heads]
        return sum(gaps) / (len(heads) * (LENGTHS**2).sum())
    if name == "attention_mse_sum":
        summed = [[sum(attention_of(z, x, h) for h in range(z.shape[1])) for x in range(B)] for z in (s, t)]
        return sum(((a - b) ** 2).sum() for a, b in zip(*summed, strict=True)) / (LENGTHS**2).sum()
    if name == "attention_ce":
        rows = [-(attention_of(t, x, h) * np.log(attention_of(s, x, h))).sum(-1) for x in range(B) for h in heads]
        return np.concatenate(rows).mean()
    if name == "attention_ce_mean":
        means = [[np.mean([attention_of(z, x, h) for h in range(z.shape[1])], 0) for x in range(B)] for z in (s, t)]
        return np.concatenate([-(b * np.log(a)).sum(-1) for a, b in zip(*means, strict=True)]).mean()
    rows = []
    for x in range(B):
        for h in heads:
            scores = [z[x, h, : LENGTHS[x]] @ z[x, h, : LENGTHS[x]].T / z.shape[-1] ** 0.5 for z in (s, t)]
            p, q = softmax(scores[1], -1), softmax(scores[0], -1)
            rows.append((p * np.log(p / q)).sum(-1))
    return np.concatenate(rows).mean()


def shapes(name):
    if KNOWLEDGE[name].signals == ("hidden",):
        return (B, L, D)
    return (B, H, L, L) if "attention" in name else (B, H, L, 3)


@pytest.mark.parametrize("name", [n for n in KNOWLEDGE if n != "qkv_relation"])
def test_a_knowledge_equals_its_definition(name: str) -> None:
    s, t = RNG.normal(size=shapes(name)), RNG.normal(size=shapes(name))
    loss = KNOWLEDGE[name].loss
    check(lambda leaf: loss(leaf, tensor(t), MASKED), s, lambda x: by_hand(name, x, t))
    if "_ce" not in name:
        assert loss(tensor(t), tensor(t), MASKED).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", [n for n in KNOWLEDGE if n != "qkv_relation"])
def test_padding_changes_nothing(name: str) -> None:
    loss = KNOWLEDGE[name].loss
    s, t = (tensor(RNG.normal(size=shapes(name)), grad=False) for _ in range(2))
    wider = (0, 2, 0, 2) if "attention" in name else (0, 0, 0, 2)
    longer = [torch.nn.functional.pad(x, wider, value=9.0) for x in (s, t)]
    mask = torch.nn.functional.pad(MASKED, (0, 2))
    assert loss(*longer, mask).item() == pytest.approx(loss(s, t, MASKED).item())


def test_a_rotated_student_has_the_same_mmd_and_another_gram_matrix() -> None:
    s, t = (tensor(RNG.normal(size=(B, L, D)), grad=False) for _ in range(2))
    turn = torch.linalg.qr(torch.randn(D, D, dtype=torch.float64))[0]
    same = {n: KNOWLEDGE[n].loss(s @ turn, t, MASKED).item() - KNOWLEDGE[n].loss(s, t, MASKED).item() for n in KNOWLEDGE
            if n in ("mmd", "gram")}  # fmt: skip
    assert same["mmd"] == pytest.approx(0, abs=1e-9) and abs(same["gram"]) > 1e-3


def test_heads_of_other_numbers() -> None:
    scores = [tensor(RNG.normal(size=(B, h, L, L)), grad=False) for h in (H, 2 * H)]
    with pytest.raises(RequestError, match="take attention_mse_sum"):
        KNOWLEDGE["attention_mse"].loss(*scores, MASKED)
    expected = by_hand("attention_mse_sum", *(x.numpy() for x in scores))
    assert KNOWLEDGE["attention_mse_sum"].loss(*scores, MASKED).item() == pytest.approx(expected)
    values = [tensor(RNG.normal(size=(B, h, L, 6 // h)), grad=False) for h in (2, 3)]
    joined = [x.transpose(1, 2).flatten(2)[:, None].numpy() for x in values]
    assert KNOWLEDGE["value_relation"].loss(*values, MASKED).item() == pytest.approx(by_hand("value_relation", *joined))


def test_soft_targets_and_labels_alone() -> None:
    method = make(Revisited, match="", temperature=2.0)
    assert method.needed(method.settings, method.needs) == {"output"}
    crossed = lambda z: -np.mean((softmax(T / 2, 1) * log_softmax(z / 2, 1)).sum(1)) + ce(z)  # noqa: E731
    check(lambda z: total(method.combined(Signals(logits=z), Signals(logits=tensor(T)), batch())), Z, crossed)
    copied = make(Revisited, match="", kd="kl", label_weight=0.0)
    assert total(
        copied.combined(Signals(logits=tensor(T)), Signals(logits=tensor(T)), batch())
    ).item() == pytest.approx(0)


def test_a_match_takes_its_layers_and_a_projection_of_its_own() -> None:
    """last1 of four teacher layers and two student layers, and the embeddings; the teacher is wider."""
    wide = Shape(4, H, (2 * D,) * 5)
    method = make(Revisited, student=SHALLOW, teacher=wide, match="last1:hidden_mse", kd_weight=0.0, label_weight=0.0)
    ours = [RNG.normal(size=(B, L, D)) for _ in range(3)]
    theirs = [RNG.normal(size=(B, L, 2 * D)) for _ in range(5)]
    weights = [(p.weight.detach().numpy(), p.bias.detach().numpy()) for p in method.project]
    assert len(weights) == 2 and not np.array_equal(*(w for w, _ in weights))

    def hand(x):
        found = [(x, theirs[4], *weights[0]), (ours[0], theirs[0], *weights[1])]
        return sum(by_hand("hidden_mse", s @ w.T + b, t) for s, t, w, b in found)

    def loss(leaf):
        hidden = [tensor(ours[0]), tensor(ours[1]), leaf]
        student = Signals(logits=tensor(Z), hidden=hidden, mask=torch.tensor(MASK))
        teacher = Signals(logits=tensor(T), hidden=[tensor(x) for x in theirs], mask=torch.tensor(MASK))
        return total(method.combined(student, teacher, batch()))

    check(loss, ours[2], hand)
    assert all(isinstance(p, torch.nn.Identity) for p in make(Revisited, match="first:mmd", teacher=wide).project)
    assert make(Revisited, student=DEEP, teacher=DEEP, match="first:qkv_relation").needed(
        Revisited.Settings(match="first:qkv_relation"), Revisited.needs
    ) == {"output", "queries", "keys", "values"}


def test_three_relations_are_their_sum() -> None:
    q, k, v = ([tensor(RNG.normal(size=(B, H, L, 3)), grad=False)] for _ in range(3))
    tq, tk, tv = ([tensor(RNG.normal(size=(B, H, L, 3)), grad=False)] for _ in range(3))
    sides = [Signals(queries=a, keys=b, values=c) for a, b, c in ((q, k, v), (tq, tk, tv))]
    found = revisited.matched(revisited.Match("qkv_relation", 0, 0), *sides, MASKED, torch.nn.Identity())
    apart = [by_hand("value_relation", a[0].numpy(), b[0].numpy()) for a, b in ((q, tq), (k, tk), (v, tv))]
    assert found.item() == pytest.approx(sum(apart))
