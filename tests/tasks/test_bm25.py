"""BM25 against its formula, worked out for a few words; the first documents of a ranking against a whole sort."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.tasks._bm25 import BLOCK, Bm25, best, words_of

DOCUMENTS = ["The cat sat; the CAT slept.", "dog", "a cat and a dog, and the bird", ""]


def test_words():
    assert list(words_of("The On-line Übung, x_2 of 1958!")) == ["line", "übung", "x", "2", "1958"]


def test_scores_by_hand():
    """cat is in 2 of 4 documents, dog in 2; documents have 4, 1, 3 and 0 words, 2 in the mean."""
    idf = math.log(1 + 2.5 / 2.5)

    def part(f, length):
        return idf * f / (f + 0.9 * (0.6 + 0.4 * length / 2))

    (found,) = Bm25(DOCUMENTS).scores(["cat dog fish", "dog dog"])
    assert found.dtype == np.float32
    assert found[0] == pytest.approx([part(2, 4), part(1, 1), 2 * part(1, 3), 0], rel=1e-6)
    assert found[1] == pytest.approx([0, 2 * part(1, 1), 2 * part(1, 3), 0], rel=1e-6)


def test_queries_come_in_blocks_and_may_share_no_word():
    blocks = list(Bm25(DOCUMENTS).scores(["bird"] * BLOCK + ["fish", "the"]))
    assert [len(block) for block in blocks] == [BLOCK, 2] and not blocks[1].any()
    (nothing,) = Bm25(["", "the"]).scores(["cat"])
    assert nothing.tolist() == [[0, 0]]


@pytest.mark.parametrize("depth", [1, 3, 10, 40, 60])
def test_the_best_are_those_of_a_whole_sort(depth):
    """With many ties, which come by number, highest first, at the cut too."""
    scores = np.random.default_rng(depth).integers(0, 4, 40).astype(np.float32)
    order = sorted(range(40), key=lambda n: (-scores[n], -n))[:depth]
    assert best(scores, depth).tolist() == [[n, scores[n]] for n in order]
