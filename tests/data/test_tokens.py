"""Tokenised texts: read once, the same from the store as from the tokenizer, however many there are."""

import numpy as np
import pytest

from bench.data import tokens
from bench.data.tokens import TokenArrays
from bench.inputs import Texts, Words, pool
from bench.store import folders


@pytest.fixture(autouse=True)
def small(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(tokens, "CHUNK", 7)
    monkeypatch.setattr(tokens, "STORED", 10)


TEXTS = [f"{'a' * (i % 5)} b{i}" for i in range(40)]


class Letters:
    """Reads a text as its first letters' numbers, and counts how often it is asked."""

    def __init__(self):
        self.chunks = []

    def __call__(self, chunk, limit):
        self.chunks.append(len(chunk))
        return {"ids": [[ord(c) for c in text[:limit]] for text in chunk]}


def same(one, other):
    rows = np.array([3, 0, 39, 17])
    return all(np.array_equal(a, b) for a, b in zip(one.batch(rows).values(), other.batch(rows).values(), strict=True))


def test_read_in_chunks_once_and_mapped():
    read = Letters()
    first = tokens.tokens(read, pool(TEXTS), 0, lambda: "letters", 64)
    assert read.chunks == [7, 7, 7, 7, 7, 5]
    again = tokens.tokens(read, pool(list(TEXTS)), 0, lambda: "letters", 64)
    assert len(read.chunks) == 6 and isinstance(again.ids.flat, np.memmap) and again.ids.flat.dtype == np.int32
    assert same(first, again) and same(again, TokenArrays.of([[ord(c) for c in t] for t in TEXTS], 0))
    (entry,) = folders.entries()
    assert entry.kind == "tokens" and folders.remove([entry.key]) > 0 and folders.entries() == []


def test_other_texts_rules_and_limits_are_other_entries():
    read = Letters()
    for texts, rules, limit in ((TEXTS, "a", 64), (TEXTS[::-1], "a", 64), (TEXTS, "b", 64), (TEXTS, "a", 32)):
        tokens.tokens(read, pool(texts), 0, lambda rules=rules: rules, limit)
    assert len(folders.entries()) == 4


def test_few_texts_and_tokenizers_that_cannot_be_written_down_are_not_kept():
    read = Letters()
    tokens.tokens(read, pool(TEXTS[:9]), 0, lambda: "letters", 64)
    tokens.tokens(read, pool(TEXTS), 0, lambda: "", 64)
    assert folders.entries() == []


def test_segments_of_pairs_are_kept():
    def read(chunk, limit):
        return {"ids": [[1, 2, 3] for _ in chunk], "segments": [[0, 1, 1] for _ in chunk]}

    for _ in range(2):
        found = tokens.tokens(read, pool([("a", "b")] * 12), 0, lambda: "pairs", 64)
        assert found.batch(np.array([11]))["token_type_ids"].tolist() == [[0, 1, 1]]


def test_no_texts():
    assert len(tokens.tokens(Letters(), pool([]), 0, lambda: "letters", 64)) == 0


def test_an_input_with_a_limit_of_its_own_is_cut_to_it():
    """Rows of unlike limits are read apart and come back in their order; the reader's own limit holds for all."""
    limits = np.where(np.arange(40) % 3, 4, 2)
    inputs = Texts(TEXTS, limits=limits)
    for reader, most in ((64, limits), (3, limits.clip(max=3))):
        found = tokens.tokens(Letters(), inputs, 0, lambda: "letters", reader)
        expected = TokenArrays.of([[ord(c) for c in t[:n]] for t, n in zip(TEXTS, most, strict=True)], 0)
        assert same(found, expected) and np.array_equal(found.lengths, expected.lengths)
    assert len(folders.entries()) == 3, "what both readers cut alike is kept once"


def test_limits_go_where_their_inputs_go():
    inputs = Texts(["ab", "cd", "ef"], limits=np.array([1, 2, 3]))
    assert inputs.take([2, 0]).limits.tolist() == [3, 1] and inputs[1:].limits.tolist() == [2, 3]
    assert [part.limits.tolist() for part in Texts(["a"], ["b"], limits=np.array([7])).apart()] == [[7], [7]]
    bare = Texts(["ab", "cd", "ef"])
    assert inputs.digest != bare.digest != Texts(["ab", "cd", "ef"], limits=np.array([1, 2, 4])).digest
    assert [(n, rows.tolist(), part.digest) for n, rows, part in inputs.within(2)] == [
        (1, [0], bare.take([0]).digest), (2, [1, 2], bare.take([1, 2]).digest),
    ]  # fmt: skip


def test_no_inputs_with_limits():
    found = tokens.tokens(Letters(), Texts([], limits=np.empty(0, np.int64)), 0, lambda: "", 64)
    assert len(found) == 0


def test_words_keep_their_places_where_limits_differ():
    def read(chunk, limit):
        return {
            "ids": [list(range(len(s)))[:limit] for s in chunk],
            "starts": [list(range(min(limit, len(s)))) for s in chunk],
        }

    sentences = Words([("a", "b", "c"), ("d",), ("e", "f", "g")], limits=np.array([2, 9, 3]))
    found = tokens.tokens(read, sentences, 0, lambda: "", 64)
    assert found.lengths.tolist() == [2, 1, 3] and found.axes["W"].tolist() == [2, 1, 3]
    assert found.batch(np.array([0, 2]))["words"].tolist() == [[0, 1, -1], [0, 1, 2]]


def test_pools_are_joined_with_their_limits_or_not_at_all():
    one, two = Texts(["a"], limits=np.array([3])), Texts(["b"], limits=np.array([5]))
    assert (one + two).limits.tolist() == [3, 5] and list(one + two) == ["a", "b"]
    assert (pool(["a"]) + pool(["b"])).limits is None
    with pytest.raises(ValueError, match="are not one pool"):
        one + pool(["b"])
