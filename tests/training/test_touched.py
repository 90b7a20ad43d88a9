"""Rows of a table that no text reads are left out of the optimiser's work, and end where they would have ended."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from bench.inputs import TokenArrays
from bench.network import Network
from bench.optimiser import Optimiser, make_optimiser
from bench.training.touched import touched

TEXTS = TokenArrays([[5, 6, 7], [8, 5], [20, 6, 30, 31]], pad=0)
RECIPE = Optimiser(lr=0.05, weight_decay=0.1)


class Words(Network):
    """Mean of word vectors, then a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.word_embeddings = nn.Embedding(40, 3, padding_idx=0)
        self.last = nn.Linear(3, 2)

    def encode(self, inputs, max_length=None):
        return TEXTS

    def forward(self, batch, want=frozenset()):
        return self.last(self.word_embeddings(batch["input_ids"]).mean(1))


def steps(network, table, count=7):
    optimiser = make_optimiser(RECIPE, network)
    losses = []
    for step in range(count):
        lr = RECIPE.lr * (1 - step / count)
        for group in optimiser.param_groups:
            group["lr"] = lr
        loss = network(TEXTS.batch(np.array([step % 3, (step + 1) % 3]))).square().sum()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        if table:
            table.after_step(lr, RECIPE.weight_decay)
        losses.append((float(loss.detach()), float(norm)))
    return losses


def test_the_same_as_the_whole_table():
    plain = Words()
    part = copy.deepcopy(plain)
    table = touched(part, TEXTS, RECIPE)
    assert sum(p.numel() for p in part.parameters()) == 3 * 8 + 8  # pad, 7 word pieces; and the last layer
    expected, found = steps(plain, None), steps(part, table)
    table.leave()
    assert np.allclose(expected, found, rtol=1e-6)
    for (name, a), (_, b) in zip(plain.state_dict().items(), part.state_dict().items(), strict=True):
        assert torch.allclose(a, b, rtol=1e-6, atol=1e-8), name
    unread = torch.ones(40, dtype=torch.bool)
    unread[[0, 5, 6, 7, 8, 20, 30, 31]] = False
    assert not torch.equal(part.word_embeddings.weight[unread], Words().word_embeddings.weight[unread])  # decayed


def test_the_whole_table_is_there_to_be_judged_and_kept_meanwhile():
    part = Words()
    names = list(part.state_dict())
    table = touched(part, TEXTS, RECIPE)
    steps(part, table, 2)
    with table.whole():
        assert list(part.state_dict()) == names and part.word_embeddings.weight.shape == (40, 3)
        other = part({"input_ids": torch.tensor([[39, 2]])})  # words that the training texts do not hold
        assert torch.isfinite(other).all()
    assert part.word_embeddings.weight.shape == (8, 3) and part.word_embeddings.padding_idx == 0
    steps(part, table, 2)
    table.leave()
    assert not part.word_embeddings._forward_pre_hooks and part.word_embeddings.padding_idx == 0


@pytest.mark.parametrize("why", ["sgd", "most", "tied", "frozen", "images"])
def test_left_alone_where_it_would_not_be_exact_or_saves_little(why):
    network, texts, recipe = Words(), TEXTS, RECIPE
    if why == "sgd":
        recipe = Optimiser(lr=0.1, kind="sgd")
    elif why == "most":
        texts = TokenArrays([list(range(30))], pad=0)
    elif why == "tied":
        network.out = nn.Linear(3, 40)
        network.out.weight = network.word_embeddings.weight
    elif why == "frozen":
        network.word_embeddings.requires_grad_(False)
    else:
        texts = object()
    assert touched(network, texts, recipe) is None
