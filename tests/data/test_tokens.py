"""Tokenised texts: read once, the same from the store as from the tokenizer, however many there are."""

import numpy as np
import pytest

from bench.data import tokens
from bench.data.tokens import TokenArrays
from bench.inputs import pool
from bench.store import folders


@pytest.fixture(autouse=True)
def small(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(tokens, "CHUNK", 7)
    monkeypatch.setattr(tokens, "STORED", 10)


TEXTS = [f"{'a' * (i % 5)} b{i}" for i in range(40)]


class Letters:
    """Reads a text as its letters' numbers, and counts how often it is asked."""

    def __init__(self):
        self.chunks = []

    def __call__(self, chunk):
        self.chunks.append(len(chunk))
        return {"ids": [[ord(c) for c in text] for text in chunk]}


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
    def read(chunk):
        return {"ids": [[1, 2, 3] for _ in chunk], "segments": [[0, 1, 1] for _ in chunk]}

    for _ in range(2):
        found = tokens.tokens(read, pool([("a", "b")] * 12), 0, lambda: "pairs", 64)
        assert found.batch(np.array([11]))["token_type_ids"].tolist() == [[0, 1, 1]]


def test_no_texts():
    assert len(tokens.tokens(Letters(), pool([]), 0, lambda: "letters", 64)) == 0
