"""Products of matrices: against sequential ones, padding, direction, published counts."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from bench.errors import RequestError
from bench.inputs import Words, single
from bench.kinds.classify import Classify
from bench.kinds.embed import Embed
from bench.kinds.tag import Tag
from bench.measuring.counting import parameters
from bench.networks.words import WordNetwork
from bench.students.cmow import FORMS, Cmow, Product, fold, scan

SIDE = 3
TEXTS = ["one two three four five", "five four three two one", "three", "two two one five", "four one"]
WANT = frozenset({"embedding"})
ALL = pytest.mark.parametrize("form", FORMS)


def task(inputs: Any = tuple(TEXTS), goal: Any = None) -> SimpleNamespace:
    found = single(list(inputs))
    return SimpleNamespace(goal=goal or Embed(), training_sets=("distil",), examples=lambda _: found)


def build(form: str, data: Any = None, side: int = SIDE, teacher: Any = None, **settings: Any) -> WordNetwork:
    torch.manual_seed(0)
    settings = {"tokens": "words"} | settings
    network = Cmow(Cmow.Settings(**settings)).build(f"{form}-{side}", data or task(), teacher).eval()
    with torch.no_grad():
        network.table.weight += 0.2 * torch.randn_like(network.table.weight)  # as if it were trained
    return network


def batch(network: WordNetwork, texts: list[Any], padding: int = 0) -> dict[str, torch.Tensor]:
    found = network.encode(texts).batch(np.arange(len(texts)))
    return {name: torch.nn.functional.pad(x, (0, padding)) for name, x in found.items()}


def embed(network: WordNetwork, texts: list[Any], padding: int = 0) -> torch.Tensor:
    return network(batch(network, texts, padding), WANT).embedding


def words(network: WordNetwork, text: str) -> list[dict[str, np.ndarray]]:
    """Vector and matrices of each word, by name."""
    rows = network.table.weight.detach().double().numpy()[network.encode([text]).ids.flat]
    parts = [np.split(row, len(network.body.parts)) for row in rows]
    return [dict(zip(network.body.parts, part, strict=True)) for part in parts]


def by_hand(network: WordNetwork, text: str) -> np.ndarray:
    """One word after the other."""
    read, found = words(network, text), []
    for name in network.body.parts:
        x, y, c = np.eye(SIDE), np.eye(SIDE), np.zeros(SIDE**2)
        for word in read:
            part = word[name]
            c = c + part
            x, y = x @ part.reshape(SIDE, SIDE), part.reshape(SIDE, SIDE) @ y
        found.append({"v": c, "m": x.ravel(), "w": y.ravel()}[name])
    return np.concatenate(found)


@ALL
def test_an_embedding_is_the_sequential_product(form):
    network = build(form)
    for text, found in zip(TEXTS, embed(network, TEXTS).detach().numpy(), strict=True):
        assert np.allclose(found, by_hand(network, text), atol=1e-5)


@pytest.mark.parametrize("length", [*range(1, 10), 16, 17, 31, 100])
def test_trees_and_scans_are_sequential_products(length):
    x = torch.eye(4, dtype=torch.float64) + 0.1 * torch.randn(2, length, 4, 4, dtype=torch.float64)
    expected, last = [], torch.eye(4, dtype=torch.float64).expand(2, 4, 4)
    for at in range(length):
        last = last @ x[:, at]
        expected.append(last)
    assert torch.allclose(scan(x, torch.matmul), torch.stack(expected, 1), atol=1e-12)
    assert torch.allclose(fold(x, torch.matmul), last, atol=1e-12)


@ALL
@torch.no_grad()
def test_padding_changes_nothing_at_all(form):
    network = build(form)
    network.table.weight[network.tokens.pad] = 7.0  # whatever a table holds there
    alone = torch.cat([embed(network, [text]) for text in TEXTS])
    for padding in (0, 1, 2, 13, 60):
        assert torch.equal(embed(network, TEXTS, padding), alone)


@ALL
@torch.no_grad()
def test_states_are_those_of_prefixes_and_of_what_follows(form):
    network, text = build(form), TEXTS[0]
    size, many = SIDE**2, len(network.body.parts.replace("w", ""))
    states = network(batch(network, [text], 5), frozenset({"embedding", "states"})).states[0]
    assert states.shape[1] == network.body.state_width
    tokens = text.split()
    for at in range(len(tokens)):
        prefix, rest = (embed(network, [" ".join(part)])[0] for part in (tokens[: at + 1], tokens[at:]))
        assert torch.allclose(states[at, : many * size], prefix[: many * size], atol=1e-5)
        if form == "hybrid":
            assert torch.allclose(states[at, 2 * size :], torch.cat([rest[:size], rest[2 * size :]]), atol=1e-5)


@ALL
@torch.no_grad()
def test_pooled_states_are_the_embedding(form):
    network = build(form)
    found = network(batch(network, TEXTS), frozenset({"embedding", "states"})).embedding
    assert torch.allclose(found, embed(network, TEXTS), atol=1e-5)


@torch.no_grad()
def test_order_counts_for_matrices_and_not_for_vectors():
    for form, counts in (("cbow", False), ("cmow", True), ("unidirectional", True), ("hybrid", True)):
        one, turned = embed(build(form), TEXTS[:2])
        assert torch.allclose(one, turned, atol=1e-6) is not counts


@torch.no_grad()
def test_one_word_is_its_own_vector_and_matrices():
    network = build("hybrid")
    row = network.table.weight[network.encode(["three"]).ids.flat[0]]
    assert torch.equal(embed(network, ["three"])[0], row)


def test_the_gradient_is_that_of_the_sequential_product():
    network = build("hybrid").double()
    goal = torch.randn(network.width, dtype=torch.float64)
    body, x = network.body, torch.eye(SIDE).flatten().repeat(5, 3)[None].double() + 0.1 * torch.randn(1, 5, 27).double()
    x = x.float().double().requires_grad_()

    def loss(values: np.ndarray) -> float:
        c, fw, bw = np.zeros(9), np.eye(3), np.eye(3)
        for word in values[0]:
            v, m, w = np.split(word, 3)
            c, fw, bw = c + v, fw @ m.reshape(3, 3), w.reshape(3, 3) @ bw
        return float(np.concatenate([c, fw.ravel(), bw.ravel()]) @ goal.numpy())

    (body(x, torch.ones(1, 5, dtype=torch.bool)).double() @ goal).sum().backward()
    values = x.detach().numpy()
    for at in [(0, 0, 3), (0, 1, 10), (0, 2, 17), (0, 4, 26), (0, 3, 20)]:
        up, down = values.copy(), values.copy()
        up[at] += 1e-5
        down[at] -= 1e-5
        assert x.grad[at].item() == pytest.approx((loss(up) - loss(down)) / 2e-5, abs=1e-4)


def test_padding_has_no_gradient():
    network = build("hybrid")
    embed(network, TEXTS, 3).square().sum().backward()
    assert not network.table.weight.grad[network.tokens.pad].any()


@torch.no_grad()
def test_products_stay_float32_in_half_precision():
    network = build("hybrid")
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(embed(network, TEXTS), embed(network, TEXTS).float())
        found = embed(network, TEXTS)
    assert torch.equal(found, embed(network, TEXTS))


@torch.no_grad()
def test_pairs_are_both_and_their_difference():
    pairs = list(zip(TEXTS, [*TEXTS[1:], TEXTS[4]], strict=True))
    network = build("hybrid", task(pairs, Classify(2)))
    found = network(batch(network, pairs), frozenset({"embedding", "logits"}))
    sides = [list(side) for side in zip(*pairs, strict=True)]
    alone = build("hybrid", task([*sides[0], *sides[1]]))  # the same words as often
    alone.table.load_state_dict(network.table.state_dict())
    first, second = (embed(alone, side) for side in sides)
    assert torch.equal(found.embedding, torch.cat([first, second, (first - second).abs()], 1))
    assert not found.embedding[4, -27:].any()  # two of the same
    assert found.logits.shape == (5, 2)


@torch.no_grad()
def test_a_joint_pair_is_one_text_with_a_separator():
    pairs = list(zip(TEXTS, [*TEXTS[1:], TEXTS[4]], strict=True))
    network = build("hybrid", task(pairs, Classify(2)), pairs="joint")
    alone = build("hybrid", task([text for pair in pairs for text in pair]))
    alone.table.load_state_dict(network.table.state_dict())
    assert (network.width, network.body.width) == (27, 27)
    found = network(batch(network, pairs, 3), frozenset({"embedding", "logits"}))
    for (one, other), vector in zip(pairs, found.embedding, strict=True):
        assert torch.allclose(embed(alone, [f"{one} unknown {other}"])[0], vector, atol=1e-6)
    assert found.logits.shape == (5, 2)


@ALL
@torch.no_grad()
def test_words_are_tagged_from_their_states(form):
    pool = Words([tuple(text.split()) for text in TEXTS])
    network = build(form, SimpleNamespace(goal=Tag(3), training_sets=("distil",), examples=lambda _: single(pool)))
    found = network(network.encode(pool).batch(np.arange(len(pool))), frozenset({"logits"})).logits
    assert found.shape == (5, 5, 3) and network.classify[-1].in_features == 1000


def bert_sized() -> SimpleNamespace:
    """A teacher whose tokenizer has as many pieces as BERT's."""
    vocabulary = {"[PAD]": 0, "[UNK]": 1} | {f"w{n}": n for n in range(2, 30_522)}
    fast = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    fast.pre_tokenizer = pre_tokenizers.Whitespace()
    named = PreTrainedTokenizerFast(tokenizer_object=fast, pad_token="[PAD]", unk_token="[UNK]")
    return SimpleNamespace(tokenizer=named)


@pytest.mark.parametrize(
    ("size", "head", "millions"),
    [("hybrid-20", "linear", 36.64), ("hybrid-20", "mlp", 40.23), ("unidirectional-20", "linear", 24.43),
     ("unidirectional-20", "mlp", 26.82), ("cmow-28", "mlp", 26.29)],
)  # fmt: skip
def test_parameters_are_the_published_ones(size, head, millions):
    """Pairs in two classes; the paper's supplement prints them."""
    form, side = size.split("-")
    pairs = task([("a", "b")], Classify(2))
    found = parameters(build(form, pairs, int(side), bert_sized(), tokens="teacher", head=head))
    assert round(found["total"] / 1e6, 2) == pytest.approx(millions, abs=0.011)
    assert found["embedding"] == 30_522 * len(FORMS[form]) * int(side) ** 2
    if form == "hybrid":
        assert found["embedding"] == 36_626_400


@torch.no_grad()
def test_matrices_start_near_the_identity_and_vectors_near_zero():
    body = Product("hybrid", 20, Cmow.Settings())
    table = torch.empty(500, body.word_width)
    body.start(table)
    v, m, w = table.split(400, 1)
    for part, middle in ((v, torch.zeros(400)), (m, torch.eye(20).flatten()), (w, torch.eye(20).flatten())):
        assert (part - middle).std().item() == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("size", ["", "20", "hybrid", "hybrid-0", "hybrid-100", "bi-20", "hybrid20", "cmow-2x2"])
def test_a_malformed_size_is_an_error_with_the_grammar(size):
    with pytest.raises(RequestError, match="cmow:hybrid-20"):
        Cmow.check(size)


def test_a_teacher_without_word_pieces_is_told():
    with pytest.raises(RequestError, match="use tokens=words"):
        build("hybrid", tokens="teacher")
