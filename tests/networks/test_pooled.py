"""The embedding that each layer would make, by the network's own pooling."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bench.networks.transformer import TransformerNetwork, load
from tests.factories.runs import save_teacher

TEXTS = ["A man is playing a guitar.", "Rain", "Two dogs run through the field behind the house, and bark."]
WANT = frozenset({"embedding", "hidden", "pooled"})


@pytest.fixture(scope="module")
def network(tmp_path_factory) -> TransformerNetwork:
    return load(save_teacher(tmp_path_factory.mktemp("pooled") / "tiny", layers=3)).eval()


@pytest.mark.parametrize("pooling", ["mean", "cls", "pooler"])
def test_each_layer_is_pooled_as_the_last(network: TransformerNetwork, pooling: str, tmp_path) -> None:
    folder = save_teacher(tmp_path / "tiny", layers=3)
    read = network if pooling == "mean" else load(folder, pooling).eval()
    batch = read.encode(TEXTS).batch(np.arange(3))
    with torch.no_grad():
        found = read(batch, WANT)
    assert len(found.pooled) == len(found.hidden) == 4
    assert torch.allclose(found.pooled[-1], found.embedding, atol=1e-6)
    mask = batch["attention_mask"][..., None]
    by_hand = {
        "mean": lambda h: F.normalize((h * mask).sum(1) / mask.sum(1), dim=1),  # the saved model normalises
        "cls": lambda h: h[:, 0],
        "pooler": lambda h: torch.tanh(read.backbone.pooler.dense(h[:, 0])),
    }[pooling]
    for layer, tokens in zip(found.pooled, found.hidden, strict=True):
        assert torch.allclose(layer, by_hand(tokens), atol=1e-6)


def test_it_is_made_where_it_is_wanted_alone(network: TransformerNetwork) -> None:
    batch = network.encode(TEXTS).batch(np.arange(3))
    assert {"embedding", "mask"} == set(network(batch, frozenset({"embedding"})))
    assert {"pooled", "mask"} == set(network(batch, frozenset({"pooled"})))


def test_gradients_reach_the_layers_below(network: TransformerNetwork) -> None:
    batch = network.encode(TEXTS).batch(np.arange(3))
    network(batch, frozenset({"pooled"})).pooled[1][0, 0].backward()
    layers = network.backbone.encoder.layer
    assert layers[0].output.dense.weight.grad.abs().sum() > 0 and layers[1].output.dense.weight.grad is None
    network.zero_grad()
