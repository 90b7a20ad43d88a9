"""Bags of n-grams: scikit-learn's n-grams, golden values and gradients, and updates that touch what was read."""

from __future__ import annotations

import time
from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.feature_extraction.text import CountVectorizer
from torch import nn

from bench.errors import RequestError
from bench.inputs import Texts, single
from bench.kinds.classify import Classify
from bench.kinds.embed import Embed
from bench.measuring.counting import parameters
from bench.method import Part, learning
from bench.networks.words import PairArrays
from bench.optimiser import Optimiser
from bench.runs.spec import parse_value
from bench.students._ngrams import Ngrams, most_frequent
from bench.students.dan import Dan, DanNetwork
from bench.training.mover import Mover

WORDS = [
    "the",
    "The",
    "cat",
    "sat",
    "on",
    "a",
    "mat,",
    "I",
    "am",
    "5",
    "naïve",
    "café's",
    "don't",
    "UPPER",
    "under_score",
    "42nd",
    "x",
    "ünï",
]
RNG = np.random.default_rng(5)
TEXTS = [" ".join(RNG.choice(WORDS, RNG.integers(0, 12))) for _ in range(200)]
WANT = frozenset({"embedding", "logits"})


def task(inputs: Any = tuple(TEXTS), goal: Any = None) -> SimpleNamespace:
    found = single(Texts(list(inputs)) if isinstance(inputs[0], str) else list(inputs))
    return SimpleNamespace(goal=goal or Classify(3), training_sets=("distil", "supervised"), examples=lambda _: found)


def build(size: str = "400x5", data: Any = None, **settings: Any) -> DanNetwork:
    torch.manual_seed(0)
    student = Dan(Dan.Settings(**settings))
    return student.build(size, data or task(), None).eval()


def names(ngrams: Ngrams, known: list[str], row: np.ndarray) -> Counter[str]:
    return Counter(known[n - 1] for n in row if n)


# N-grams


def fitted(most: int | None) -> tuple[CountVectorizer, np.ndarray]:
    vectorizer = CountVectorizer(ngram_range=(1, 4), max_features=most)
    return vectorizer, np.asarray(vectorizer.fit_transform(TEXTS).sum(0)).ravel()


@pytest.mark.parametrize("most", [1, 10, 100, 700])
def test_known_ngrams_are_as_frequent_as_scikit_learns(most):
    """Which of equally frequent ones is left open there: all that are more frequent than the rarest are the same."""
    vectorizer, counts = fitted(None)
    every = dict(zip(vectorizer.get_feature_names_out(), counts, strict=True))
    known = most_frequent(TEXTS, 4, most)
    theirs = fitted(most)[0].vocabulary_
    assert len(known) == len(theirs) == most
    assert Counter(every[g] for g in known) == Counter(every[g] for g in theirs)
    rarest = min(every[g] for g in known)
    assert {g for g in known if every[g] > rarest} == {g for g in theirs if every[g] > rarest}


@pytest.mark.parametrize("most", [5, 60, 100_000])
@pytest.mark.parametrize("longest", [1, 2, 4])
def test_a_texts_ngrams_are_those_of_scikit_learn(most, longest):
    known = most_frequent(TEXTS, longest, most)
    ngrams, analyse = Ngrams(known, longest), CountVectorizer(ngram_range=(1, longest)).build_analyzer()
    more = [*TEXTS[:40], "", "a I", "unheard of words", "cat unheard cat sat", "THE CAT\tsat\non am"]
    found = ngrams.read(Texts(more), 512).batch(np.arange(len(more)))["input_ids"].numpy()
    for text, row in zip(more, found, strict=True):
        assert names(ngrams, known, row) == Counter(g for g in analyse(text) if g in known)


def test_blocks_in_another_order_change_the_ngrams_across_their_border_alone():
    one, two = ([f"{letter}{n}" for n in range(9)] for letter in "ab")
    ordered, turned = " ".join(one + two), " ".join(two + one)
    known = most_frequent([ordered, turned], 4, 1000)
    ngrams = Ngrams(known, 4)
    first, second = (
        names(ngrams, known, row) for row in ngrams.read(Texts([ordered, turned]), 99).batch(np.arange(2))["input_ids"]
    )
    for changed in (first - second, second - first):
        assert len(changed) == 1 + 2 + 3 and all("a" in gram and "b" in gram for gram in changed)


def test_counting_in_less_memory_finds_the_frequent_ones_and_stays_closed():
    whole, bounded = most_frequent(TEXTS, 4, 40), most_frequent(TEXTS, 4, 40, room=700)
    assert set(whole[:20]) <= set(bounded)
    for gram in bounded:
        first, _, last = gram.rpartition(" ")
        assert not first or {first, last} <= set(bounded)


def test_a_text_is_cut_to_its_first_words():
    network = build()
    whole, cut = network.encode(["the cat sat on am"]), network.encode(["the cat sat on am"], 2)
    assert whole.lengths.tolist() == [5] and cut.lengths.tolist() == [2]
    assert np.array_equal(
        cut.batch(np.array([0]))["input_ids"], network.encode(["The cat"]).batch(np.array([0]))["input_ids"]
    )


# Values


def by_hand(network: DanNetwork, rows: list[list[int]], pairs: list[list[int]] | None = None) -> np.ndarray:
    """Logits, written down with numpy."""
    p = {name: tensor.detach().double().numpy() for name, tensor in network.named_parameters()}
    h = np.array([sum(p["table.weight"][g] for g in row) / len(row) for row in rows])
    if pairs:
        o = np.array([sum(p["table.weight"][g] for g in row) / len(row) for row in pairs])
        h = np.concatenate([h, o, h * o, abs(h - o)], 1)
    e = np.maximum(h @ p["hidden.weight"].T + p["hidden.bias"], 0)
    return e @ p["head.1.weight"].T + p["head.1.bias"]


def test_values_and_gradients_are_those_of_the_formula():
    network = build().double()
    rows = [[1, 5, 5, 9], [2]]
    ids = torch.tensor([[1, 5, 5, 9, 0], [2, 0, 0, 0, 0]])
    found = network({"input_ids": ids}, WANT).logits
    assert np.allclose(found.detach(), by_hand(network, rows), atol=1e-12)
    found.square().sum().backward()
    gradient, table = network.table.weight.grad.to_dense(), network.table.weight.data
    assert gradient.any(1).nonzero().flatten().tolist() == [1, 2, 5, 9]
    for row in (1, 2, 5):
        for column in range(5):
            values = []
            for step in (1e-6, -2e-6):
                table[row, column] += step
                values.append(np.square(by_hand(network, rows)).sum())
            table[row, column] += 1e-6
            assert gradient[row, column].item() == pytest.approx((values[0] - values[1]) / 2e-6, abs=1e-6)


def test_pairs_are_both_texts_their_product_and_their_difference():
    texts = [text for text in TEXTS if "cat" in text]
    given = list(zip(texts, reversed(texts), strict=True))
    network = build(data=task(given)).double()
    encoded = network.encode(given[:2])
    assert isinstance(encoded, PairArrays)
    batch = encoded.batch(np.arange(2))
    rows, others = ([[g for g in row if g] for row in batch[n].tolist()] for n in ("input_ids", "second_ids"))
    assert np.allclose(network(batch, WANT).logits.detach(), by_hand(network, rows, others), atol=1e-12)
    assert network.hidden.in_features == 20 and network.width == 5


@torch.no_grad()
def test_padding_and_companions_change_nothing():
    network, texts = build(), [t for t in TEXTS[:20] if t]
    together = network.table(network.encode(texts).batch(np.arange(len(texts)))["input_ids"])
    for text, row in zip(texts, together, strict=True):
        ids = network.encode([text]).batch(np.array([0]))["input_ids"]
        assert torch.equal(network.table(ids)[0], row)
        assert torch.equal(network.table(nn.functional.pad(ids, (0, 9)))[0], row)


@torch.no_grad()
def test_a_text_without_a_known_word_is_the_zero_vector():
    network = build()
    batch = network.encode(["", "unheard", "cat"]).batch(np.arange(3))
    assert not network.mean(batch["input_ids"])[:2].any() and network(batch, WANT).logits.isfinite().all()


def test_ngrams_are_dropped_in_training_alone_and_one_stays():
    network = build(feature_dropout=0.5, dropout=0.0)
    ids = torch.arange(1, 101).repeat(50, 1)
    with torch.no_grad():
        assert torch.equal(network.mean(ids), network.mean(ids))
    network.train()
    network.mean(ids[:1]).sum().backward()
    read = network.table.weight.grad.coalesce().indices().flatten()
    assert 20 < len(read) < 80
    assert network.mean(torch.ones(200, 1, dtype=torch.int64)).any(1).all()


def test_parameters_are_counted_as_a_table_and_what_is_read_each_time():
    network = build("100x5")
    assert parameters(network) == {"total": 505 + 30 + 18, "embedding": 505, "active": 48}


def test_vectors_alone_where_vectors_are_judged():
    network = build(data=task(goal=Embed()))
    assert network.head is None and network(network.encode(["cat"]).batch(np.array([0])), WANT).embedding.shape == (
        1,
        5,
    )


# Updates


def moved(network: DanNetwork, batches: list[torch.Tensor], optimiser: Optimiser) -> DanNetwork:
    mover = Mover(
        Part(learning, optimiser), {"student": network}, SimpleNamespace(updates=len(batches), batch_size=4), 8
    )
    for step, ids in enumerate(batches):
        network({"input_ids": ids}, WANT).logits.square().sum().backward(inputs=mover.parameters)
        mover.move(step)
    return network


def test_sparse_and_dense_adam_agree_where_every_row_is_read():
    sparse, dense = build("30x5").double(), build("30x5").double()
    dense.table = nn.EmbeddingBag.from_pretrained(
        dense.table.weight.data.clone(), freeze=False, mode="mean", padding_idx=0
    )
    batches = [torch.stack([torch.randperm(30) + 1 for _ in range(4)]) for _ in range(6)]
    optimiser = Optimiser(lr=0.01, weight_decay=0.0, eps=1e-15)  # torch's two lay another factor beside it
    one, two = moved(sparse, batches, optimiser), moved(dense, batches, optimiser)
    assert two.table.sparse is False
    for (name, a), b in zip(one.named_parameters(), two.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-12), name


def test_an_update_moves_the_rows_that_it_reads_and_no_other():
    network, before = build(), build().table.weight.detach()
    moved(network, [torch.tensor([[3, 4, 0]])], DanNetwork.optimiser)
    assert (network.table.weight != before).any(1).nonzero().flatten().tolist() == [3, 4]


def test_a_table_with_sparse_gradients_is_not_moved_by_sgd():
    with pytest.raises(RequestError, match="moved by Adam"):
        moved(build(), [], Optimiser(lr=0.1, kind="sgd"))


@pytest.mark.quiet
def test_an_update_costs_the_same_whatever_the_size_of_the_table():
    """Measured 1.0 to 1.2 from 10,000 to 1,000,000 rows; a dense update would cost fifty times as much."""

    def seconds(rows: int) -> float:
        network = DanNetwork(SimpleNamespace(rows=rows), 64, Dan.Settings(), task())
        mover = Mover(
            Part(learning, network.optimiser), {"student": network}, SimpleNamespace(updates=40, batch_size=32), 8
        )
        times = []
        for step in range(40):
            ids = torch.randint(1, rows, (32, 80))
            began = time.perf_counter()
            network({"input_ids": ids}, WANT).logits.square().sum().backward(inputs=mover.parameters)
            mover.move(step)
            times.append(time.perf_counter() - began)
        return float(np.median(times[5:]))

    assert seconds(500_000) < 4 * seconds(10_000)


# Requests


@pytest.mark.parametrize("size", ["", "0", "100", "0x5", "5x0", "10000000x5", "5x10000", "axb", "5x5x5", "-5x5"])
def test_a_malformed_size_is_an_error_with_the_grammar(size):
    with pytest.raises(RequestError, match="dan:200000x300"):
        Dan.check(size)
    assert Dan.check("10X20") == "10x20"


@pytest.mark.parametrize(
    ("name", "value"), [("dropout", "1"), ("longest", "0"), ("activation", "gelu"), ("max_length", "0")]
)
def test_a_bad_setting_is_an_error(name, value):
    from typing import get_type_hints

    with pytest.raises(RequestError, match=name):
        parse_value(name, value, get_type_hints(Dan.Settings, include_extras=True)[name])


def test_ngrams_of_a_corpus_count_too(tmp_path):
    (tmp_path / "more.txt").write_text("zebra crossing\n" * 500)
    student = Dan(Dan.Settings(corpus=str(tmp_path)))
    network = student.build("3x4", task(), None)
    assert set(network.ngrams.words) == {"zebra", "crossing"} and network.ngrams.rows == 4
    first = student.initial(task())
    (tmp_path / "more.txt").write_text("zebra\n")
    assert first and student.initial(task()) != first and Dan(Dan.Settings()).initial(task()) == ""
