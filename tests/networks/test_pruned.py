"""Encoders without some of their units compute what they computed while the units' weights were 0."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
import transformers
from scipy.special import softmax

from bench.errors import RequestError
from bench.kinds.classify import Classify
from bench.networks.pruned import Kept, NoHeads, UnequalHeads, cut, factorise, layers, remade
from bench.networks.transformer import TransformerClassifier

D, H, F, S, V = 12, 3, 20, 3, 50
CONFIGS = {"bert": "BertConfig", "roberta": "RobertaConfig", "electra": "ElectraConfig"}


def network(kind: str = "bert", seed: int = 0, attention: str = "sdpa") -> TransformerClassifier:
    torch.manual_seed(seed)
    config = getattr(transformers, CONFIGS[kind])(
        vocab_size=V, hidden_size=D, num_hidden_layers=S, num_attention_heads=H, intermediate_size=F, num_labels=4,
        max_position_embeddings=20, embedding_size=8, initializer_range=0.4, pad_token_id=0,
        attn_implementation=attention,
    )  # fmt: skip
    model = transformers.AutoModelForSequenceClassification.from_config(config)
    for parameter in model.parameters():
        if parameter.ndim == 1:  # biases are 0 in the beginning
            torch.nn.init.normal_(parameter)
    return TransformerClassifier(model, None, 16, Classify(4)).eval()


def batch() -> dict[str, torch.Tensor]:
    ids = torch.randint(1, V, (4, 7), generator=torch.Generator().manual_seed(1))
    mask = (torch.arange(7) < torch.tensor([7, 3, 1, 5])[:, None]).long()
    return {"input_ids": ids * mask, "attention_mask": mask}


def chosen(seed: int = 0) -> Kept:
    """Random units; the second layer has no values, one head of the first none and another no queries, the third
    layer no neurons."""
    random = np.random.default_rng(seed)
    neurons, queries, values = (torch.from_numpy(random.random((S, n)) < 0.5) for n in (F, D, D))
    queries[0, :8], values[0, 4:8], values[0, :4] = False, False, True
    queries[1], values[1], neurons[2] = False, False, False
    return Kept(neurons, queries, values)


@torch.no_grad()
def masked(whole: TransformerClassifier, kept: Kept) -> TransformerClassifier:
    """The same with zeros in place of what is gone, of whose weights some are left: they must not matter."""
    found = copy.deepcopy(whole)
    for layer, neurons, queries, values in zip(layers(found), kept.neurons, kept.queries, kept.values, strict=True):
        layer.outer.weight[:, ~neurons] = 0
        layer.output.weight[:, ~values] = 0
        for projection in (layer.query, layer.key):
            projection.weight[~queries], projection.bias[~queries] = 0, 0
    return found


@torch.no_grad()
def outputs(net: TransformerClassifier) -> list[torch.Tensor]:
    found = net(batch(), frozenset({"logits", "hidden"}))
    return [found.logits, *(h[batch()["attention_mask"].bool()] for h in found.hidden)]


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("kind", CONFIGS)
def test_what_is_cut_computes_what_was_masked(kind: str, attention: str) -> None:
    whole, kept = network(kind, attention=attention), chosen()
    small = copy.deepcopy(whole)
    cut(small, kept)
    pairs = list(zip(outputs(small), outputs(masked(whole, kept)), strict=True))
    assert all((ours - theirs).abs().max() < 1e-5 for ours, theirs in pairs)
    assert (pairs[0][0] - outputs(whole)[0]).abs().max() > 0.1
    assert isinstance(small.backbone.encoder.layer[1].attention.self, NoHeads)


def test_it_has_the_parameters_of_its_units_and_no_more() -> None:
    whole, kept = network(), chosen()
    small = copy.deepcopy(whole)
    cut(small, kept)
    gone = (2 * D + 1) * int((~kept.neurons).sum() + (~kept.values).sum()) + (2 * D + 2) * int((~kept.queries).sum())
    ours, theirs = (sum(p.numel() for p in n.parameters()) for n in (small, whole))
    assert ours == theirs - gone
    assert small.shape.heads == 0 and "attention_scores" not in small.offers and "hidden" in small.offers


def test_unequal_heads_equal_the_formula() -> None:
    """Worked out head by head, in numpy."""
    whole = network()
    own = copy.deepcopy(whole.backbone.encoder.layer[0].attention.self)
    small = copy.deepcopy(whole)
    kept = chosen()
    cut(small, kept)
    heads = small.backbone.encoder.layer[0].attention.self
    assert (
        isinstance(heads, UnequalHeads)
        and "sizes" not in dict(heads.named_buffers())
        and str(heads.sizes) in str(heads)
    )
    x = torch.randn(1, 6, D, generator=torch.Generator().manual_seed(2))
    q, k, v = (p(x)[0].detach().numpy() for p in (own.query, own.key, own.value))
    parts = []
    for h in range(H):
        rows = np.arange(h * D // H, (h + 1) * D // H)
        seen, given = rows[kept.queries[0].numpy()[rows]], rows[kept.values[0].numpy()[rows]]
        parts.append(softmax(q[:, seen] @ k[:, seen].T / np.sqrt(D / H), -1) @ v[:, given])
    assert np.allclose(heads(x)[0][0].detach().numpy(), np.concatenate(parts, 1), atol=1e-5)


def test_a_plan_makes_the_same_shapes_again() -> None:
    small = network()
    factorise(small, 5)
    cut(small, chosen())
    again = remade(network(seed=1), small.blueprint()).eval()
    again.load_state_dict(small.state_dict())
    assert all(torch.equal(*pair) for pair in zip(outputs(again), outputs(small), strict=True))
    assert str(again) == str(small) and again.blueprint() == small.blueprint()
    sent = pickle.loads(pickle.dumps(small))  # noqa: S301 - just made
    assert torch.equal(outputs(sent)[0], outputs(small)[0])


@pytest.mark.parametrize("kind", CONFIGS)
def test_the_table_is_the_nearest_of_its_rank(kind: str) -> None:
    net = network(kind)
    table = net.word_embeddings.weight.detach().double().numpy()
    u, s, v = np.linalg.svd(table, full_matrices=False)
    factorise(net, 3)
    ids = torch.arange(V)
    assert np.allclose(net.word_embeddings(ids).detach().numpy(), (u[:, :3] * s[:3]) @ v[:3], atol=1e-5)
    assert net.embedding_parameters() < table.size and net.blueprint() == {"rank": 3}
    assert all(p.requires_grad for p in net.word_embeddings.parameters())


def test_all_units_and_the_whole_rank_change_nothing() -> None:
    whole = network()
    same = copy.deepcopy(whole)
    cut(same, Kept(*(torch.ones(S, n, dtype=torch.bool) for n in (F, D, D))))
    assert (outputs(same)[0] - outputs(whole)[0]).abs().max() < 1e-6


def test_what_has_no_such_units_is_refused() -> None:
    small = network()
    cut(small, chosen())
    with pytest.raises(RequestError, match="pruned already"):
        cut(small, chosen())
    for rank in (0, D, 99):
        with pytest.raises(RequestError, match=f"rank of {rank} does not"):
            factorise(network(), rank)
    with pytest.raises(RequestError, match="no plan of a pruned encoder: width"):
        remade(network(), {"width": 3})
    config = transformers.DistilBertConfig(vocab_size=V, dim=D, n_layers=1, n_heads=H, hidden_dim=F, num_labels=4)
    other = transformers.AutoModelForSequenceClassification.from_config(config)
    with pytest.raises(RequestError, match=r"BERT's layers .* this is a distilbert"):
        layers(TransformerClassifier(other, None, 16, Classify(4)))
    with pytest.raises(RequestError, match="this is a Linear"):
        layers(torch.nn.Linear(1, 1))
