"""Methods that distil a masked language model first: losses by plain loops in numpy, and what they want before."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from bench.baselines import cmow, compactbiobert, continual, distilbiobert, tinybiobert
from bench.errors import RequestError
from bench.inputs import IGNORED, Batch
from bench.kinds.mask import Mask
from bench.network import Shape
from bench.signals import Signals
from tests.baselines.tools import DEEP, MASK, RNG, B, D, H, L, check, make, slope, tensor, total

V, W = 7, 2
TRUTH = np.array([[3, 4], [5, IGNORED], [6, 2], [1, IGNORED]])  # hidden pieces; the second and fourth text have one
PLACES = [(b, w) for b in range(B) for w in range(W) if TRUTH[b, w] != IGNORED]
Z, T = RNG.normal(size=(B, W, V)), 2 * RNG.normal(size=(B, W, V))
OURS, THEIRS = ([RNG.normal(size=(B, L, D)) for _ in range(n + 1)] for n in (2, 4))
SCORES, ABOVE = ([RNG.normal(size=(B, H, L, L)) for _ in range(n)] for n in (2, 4))
REAL = [(b, t) for b in range(B) for t in range(L) if MASK[b, t]]


def method(cls, **settings):
    found = make(cls, corpus="", **settings)
    found.goal = Mask()
    return found


def given(logits, hidden, scores):
    words = torch.tensor(TRUTH != IGNORED).long()
    return Signals(
        logits=logits, words=words, targets=torch.tensor(TRUTH), mask=torch.tensor(MASK),
        hidden=tuple(hidden), attention_scores=tuple(scores),
    )  # fmt: skip


def teacher(z=T, hidden=THEIRS, scores=ABOVE):
    return given(tensor(z, False), [tensor(h, False) for h in hidden], [tensor(s, False) for s in scores])


def student(logits=None, hidden=None, scores=None):
    return given(
        tensor(Z) if logits is None else logits,
        hidden or [tensor(h) for h in OURS],
        scores or [tensor(s) for s in SCORES],
    )


def batch():
    return Batch(torch.arange(B), 1)


def ce(z):
    return -np.mean([log_softmax(z[p])[TRUTH[p]] for p in PLACES])


def kl(z, tau):
    rows = [(softmax(T[p] / tau), log_softmax(T[p] / tau) - log_softmax(z[p] / tau)) for p in PLACES]
    return np.mean([(p * d).sum() for p, d in rows])


def cosine(ours, theirs):
    found = [1 - ours[p] @ theirs[p] / np.linalg.norm(ours[p]) / np.linalg.norm(theirs[p]) for p in REAL]
    return np.mean(found)


def attention(scores):
    found = np.zeros_like(scores)
    for b in range(B):
        n = MASK[b].sum()
        found[b, :, :, :n] = softmax(scores[b, :, :, :n], axis=-1)
    return found


def test_distilbiobert():
    m = method(distilbiobert.Distilbiobert)
    by_hand = lambda z: 5 * 4 * kl(z, 2) + 2 * ce(z) + cosine(OURS[2], THEIRS[4])  # noqa: E731
    check(lambda leaf: total(m.losses(student(leaf), teacher(), batch())), Z, by_hand)
    of_states = lambda h: 5 * 4 * kl(Z, 2) + 2 * ce(Z) + cosine(h, THEIRS[4])  # noqa: E731
    hidden = [tensor(h) for h in OURS[:2]]
    check(lambda leaf: total(m.losses(student(hidden=[*hidden, leaf]), teacher(), batch())), OURS[2], of_states)


def test_tinybiobert():
    """Two layers against the second and fourth of four; hidden 0, 1, 2 against 0, 2, 4."""
    m = method(tinybiobert.Tinybiobert)
    w, b = (p.detach().numpy() for p in (m.project.weight, m.project.bias))
    soft = lambda z: -np.mean([(softmax(T[p]) * log_softmax(z[p])).sum() for p in PLACES])  # noqa: E731

    def by_hand(scores, z=Z):
        found = soft(z) + ((attention(SCORES[0]) - attention(ABOVE[1])) ** 2).mean()
        found += ((attention(scores) - attention(ABOVE[3])) ** 2).mean()
        return found + sum(((OURS[k] @ w.T + b - THEIRS[2 * k]) ** 2).mean() for k in range(3))

    first = tensor(SCORES[0])
    check(lambda leaf: total(m.losses(student(scores=[first, leaf]), teacher(), batch())), SCORES[1], by_hand)
    check(lambda leaf: total(m.losses(student(leaf), teacher(), batch())), Z, lambda z: by_hand(SCORES[1], z))


def test_compactbiobert():
    m = method(compactbiobert.Compactbiobert)

    def divergence(p, q):
        rows = [(q[b, h, t] + 1e-12, p[b, h, t] + 1e-12) for b, t in REAL for h in range(H)]
        return np.mean([y * np.log(y / x) for y, x in rows])

    def by_hand(z=Z, first=OURS[1], last=OURS[2], scores=SCORES[1]):
        att = divergence(attention(SCORES[0]), attention(ABOVE[1])) + divergence(attention(scores), attention(ABOVE[3]))
        hid = cosine(first, THEIRS[2]) + cosine(last, THEIRS[4])
        return ce(z) + 3 * (att + hid) + 5 * kl(z, 1)

    def loss(**given_):
        return total(m.losses(student(**given_), teacher(), batch()))

    below, first, last = (tensor(h) for h in OURS)
    attended = tensor(SCORES[0])
    check(lambda leaf: loss(scores=[attended, leaf]), SCORES[1], lambda x: by_hand(scores=x))
    check(lambda leaf: loss(logits=leaf), Z, lambda x: by_hand(z=x))
    check(lambda leaf: loss(hidden=[below, leaf, last]), OURS[1], lambda x: by_hand(first=x))
    check(lambda leaf: loss(hidden=[below, first, leaf]), OURS[2], lambda x: by_hand(last=x))
    assert below.grad is None  # the embeddings are matched with nothing


@pytest.mark.parametrize(
    ("cls", "layers", "above"),
    [
        (compactbiobert.Compactbiobert, 6, [2, 4, 6, 8, 10, 12]), (compactbiobert.Compactbiobert, 4, [3, 6, 9, 12]),
        (tinybiobert.Tinybiobert, 6, [2, 4, 6, 8, 10, 12]), (tinybiobert.Tinybiobert, 4, [3, 6, 9, 12]),
    ],
)  # fmt: skip
def test_layers_of_twelve_are_the_papers(cls, layers, above):
    """A student made of those layers of its teacher has no layer left to learn; `above` counts from 1."""
    hidden = [RNG.normal(size=(B, L, D)) for _ in range(13)]
    scores = [RNG.normal(size=(B, H, L, L)) for _ in range(12)]
    m = method(cls, student=Shape(layers, H, (D,) * (layers + 1)), teacher=Shape(12, H, (D,) * 13))
    if cls is tinybiobert.Tinybiobert:
        torch.nn.init.eye_(m.project.weight), torch.nn.init.zeros_(m.project.bias)

    def found(layers_):
        ours = student(
            hidden=[tensor(hidden[t]) for t in (0, *layers_)], scores=[tensor(scores[t - 1]) for t in layers_]
        )
        losses = m.losses(ours, teacher(hidden=hidden, scores=scores), batch())
        return [losses[name].item() for name in ("hidden", "attention")]

    assert found(above) == pytest.approx([0, 0], abs=1e-12)
    assert min(found([1, *above[1:]])) > 1e-3


RECIPES = {  # warm-up, decay and rate on the corpus: 5,000 or 10,000 of 100,000 or 200,000 updates
    distilbiobert.Distilbiobert: (0.05, 0.0, 5e-4), compactbiobert.Compactbiobert: (0.05, 1e-4, 5e-4),
    tinybiobert.Tinybiobert: (0.1, 1e-4, 5e-4), continual.Continual: (0.05, 0.01, 1e-4),
}  # fmt: skip


@pytest.mark.parametrize("cls", RECIPES)
def test_recipes_on_the_corpus_are_the_papers(cls):
    """A linear schedule of AdamW in all."""
    (stage,) = method(cls).stages()
    (part,) = stage.parts.values()
    recipe = part.optimiser
    assert (recipe.warmup, recipe.weight_decay, recipe.lr) == RECIPES[cls]
    assert (recipe.kind, recipe.schedule) == ("adamw", "linear")


@pytest.mark.parametrize(("alpha", "tau"), [(0.5, 2), (1, 1), (0.2, 3)])
def test_cmow(alpha, tau):
    """Half of each, at temperature 2, as published."""
    m = method(cmow.Cmow, **({} if alpha == 0.5 else {"alpha": alpha, "temperature": tau}))
    by_hand = lambda z: alpha * tau**2 * kl(z, tau) + (1 - alpha) * ce(z)  # noqa: E731
    check(lambda leaf: total(m.losses(student(leaf), teacher(), batch())), Z, by_hand)
    assert m.losses(student(tensor(T)), teacher(), batch())["soft"].item() == pytest.approx(0, abs=1e-12)


def test_continual():
    """Hidden pieces alone: its stage asks a teacher for nothing."""
    m = method(continual.Continual)
    check(lambda leaf: total(m.losses(student(leaf), Signals(), batch())), Z, ce)
    (stage,) = m.stages()
    assert "teacher" not in stage.roles or not stage.roles["teacher"].signals


ALL = (distilbiobert.Distilbiobert, tinybiobert.Tinybiobert, compactbiobert.Compactbiobert, cmow.Cmow)


@pytest.mark.parametrize("cls", ALL)
def test_what_the_teacher_says_behind_the_hidden_pieces_changes_nothing(cls):
    m, other = method(cls), T.copy()
    other[TRUTH == IGNORED] += 9
    one, two = (total(m.losses(student(), teacher(z), batch())).item() for z in (T, other))
    assert one == two


def test_a_student_that_is_the_teacher_has_nothing_to_learn():
    """(h) (i) of the specification: only the labels' term is left."""
    run = {"student": DEEP, "teacher": DEEP}
    m = make(distilbiobert.Distilbiobert, corpus="", **run)
    m.goal = Mask()
    same = given(tensor(T), [tensor(h) for h in THEIRS], [tensor(s) for s in ABOVE])
    found = m.losses(same, teacher(), batch())
    assert found["soft"].item() == pytest.approx(0, abs=1e-12)
    assert found["cosine"].item() == pytest.approx(0, abs=1e-12)
    compact = make(compactbiobert.Compactbiobert, corpus="", **run)
    compact.goal = Mask()
    found = compact.losses(same, teacher(), batch())
    assert all(found[name].item() == pytest.approx(0, abs=1e-9) for name in ("soft", "hidden", "attention"))


def test_the_run_that_comes_first_is_the_same_method_on_the_corpus():
    """Once for all seeds, with the losses' settings and without those of fine-tuning."""
    cls = distilbiobert.Distilbiobert
    settings = cls.Settings(temperature=3.0, lr=1e-4, corpus="mlm/text", corpus_teacher="./bert")
    (first,) = cls.wanted(settings)
    assert (first.task, first.method, first.use, first.seed, first.model) == (
        "mlm/text",
        "distilbiobert",
        "starts",
        0,
        "./bert",
    )
    assert first.settings["corpus"] == ""
    assert first.settings["temperature"] == 3.0
    assert "lr" not in first.settings
    assert not cls.wanted(cls.Settings(corpus=""))
    assert cls.needed(settings, cls.needs) == frozenset()
    assert cls.needed(cls.Settings(corpus=""), cls.needs) == cls.needs


@pytest.mark.parametrize(
    ("cls", "shape"),
    [
        (distilbiobert.Distilbiobert, Shape(2, H, (5,) * 3)),
        (tinybiobert.Tinybiobert, Shape(2, 3, (D,) * 3)),
        (compactbiobert.Compactbiobert, Shape(6, H, (D,) * 7)),
    ],
)
def test_networks_that_do_not_fit_are_refused(cls, shape):
    with pytest.raises(RequestError, match="matches layers"):
        make(cls, corpus="", student=shape)


def test_replicated_attention_is_dropped_and_the_teacher_is_noisy():
    m = method(compactbiobert.Compactbiobert, replicate=True)
    (stage,) = m.stages()
    assert stage.roles["teacher"].noisy
    p = tinybiobert.attention(student(), dropped=True)[0]
    real = torch.tensor(attention(SCORES[0])) > 0
    assert 0 < (p[real] == 0).float().mean() < 0.4


def test_slope_of_the_projection():
    m = method(tinybiobert.Tinybiobert)
    leaf = m.project.bias
    total(m.losses(student(), teacher(), batch())).backward()
    w, start = m.project.weight.detach().numpy(), leaf.detach().numpy().copy()
    by_hand = lambda b: sum(((OURS[k] @ w.T + b - THEIRS[2 * k]) ** 2).mean() for k in range(3))  # noqa: E731
    assert np.allclose(leaf.grad.numpy(), slope(by_hand, start), atol=1e-6)
