"""BM25 against its formula, worked out for a few words; the first documents of a ranking against a whole sort."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from bench.plugins.registry import find, load
from bench.sources import Source
from bench.tasks._bm25 import Bm25, best, words_of
from tests.factories.data import real_data

DOCUMENTS = ["The cat sat; the CAT slept.", "dog", "a cat and a dog, and the bird", ""]


def test_words():
    assert list(words_of("The On-line Übung, x_2 of 1958!")) == ["line", "übung", "x", "2", "1958"]


def test_scores_by_hand():
    """cat is in 2 of 4 documents, dog in 2; documents have 4, 1, 3 and 0 words, 2 in the mean."""
    idf = math.log(1 + 2.5 / 2.5)

    def part(f, length):
        return idf * f / (f + 0.9 * (0.6 + 0.4 * length / 2))

    found = list(Bm25(DOCUMENTS).scores(["cat dog fish", "dog dog"]))
    assert found[0].dtype == np.float32
    assert found[0] == pytest.approx([part(2, 4), part(1, 1), 2 * part(1, 3), 0], rel=1e-6)
    assert found[1] == pytest.approx([0, 2 * part(1, 1), 2 * part(1, 3), 0], rel=1e-6)


def test_queries_may_share_no_word_and_a_collection_may_have_none():
    """A document without words counts for the mean length, and is never among the first."""
    assert not np.any(list(Bm25(DOCUMENTS).scores(["fish", "the", ""])))
    (nothing,) = Bm25(["", "the"]).scores(["cat"])
    assert nothing.tolist() == [0, 0]
    first = Bm25(DOCUMENTS).first(["cat", "fish"], 3)
    assert first[0][:, 0].tolist() == [0, 2] and first[1].shape == (0, 2)


def test_a_real_collection_by_the_formula():
    """CACM's topics over its documents, each score summed term by term in double precision."""
    task = load(find("task", "retrieval"))(Source("directory", real_data("retrieval")), "lite", "cacm")
    part = task.parts["cacm"]
    bags = [Counter(words_of(text)) for text in part.documents]
    mean = sum(bag.total() for bag in bags) / len(bags)
    holds = Counter(word for bag in bags for word in bag)
    queries = part.collection.splits["dev"].texts[:4]
    for query, found in zip(queries, part.search.scores(queries), strict=True):
        expected = np.zeros(len(bags))
        for word in words_of(query):
            idf = math.log(1 + (len(bags) - holds[word] + 0.5) / (holds[word] + 0.5))
            for n, bag in enumerate(bags):
                expected[n] += (
                    idf * bag[word] / (bag[word] + 0.9 * (0.6 + 0.4 * bag.total() / mean)) if bag[word] else 0
                )
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("depth", [1, 3, 10, 40, 60])
def test_the_best_are_those_of_a_whole_sort(depth):
    """With many ties, which come by number, highest first, at the cut too."""
    scores = np.random.default_rng(depth).integers(0, 4, 40).astype(np.float32)
    order = sorted(range(40), key=lambda n: (-scores[n], -n))[:depth]
    assert best(scores, depth).tolist() == [[n, scores[n]] for n in order]
