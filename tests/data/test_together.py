"""Groups of texts as pairs: which they are, in which order, how long."""

from __future__ import annotations

import numpy as np

from bench.data.together import together
from bench.inputs import Examples, Texts, flat


def test_each_pair_is_there_once_and_groups_say_where():
    texts = Texts(["q0", "q1", "a", "b", "c"], limits=np.array([4, 6, 10, 20, 20]))
    groups = np.array([[0, 2, 3], [1, 3, 2], [0, 3, 4]])
    found = together(Examples(texts, groups, np.eye(3)))
    pairs = [found.inputs[n] for n in range(len(found.inputs))]
    assert sorted(pairs) == [("q0", "a"), ("q0", "b"), ("q0", "c"), ("q1", "a"), ("q1", "b")]
    read = [[pairs[n] for n in row] for row in found.groups]
    assert read == [[("q0", "a"), ("q0", "b")], [("q1", "b"), ("q1", "a")], [("q0", "b"), ("q0", "c")]]
    lengths = {"q0": 4, "q1": 6, "a": 10, "b": 20, "c": 20}
    assert found.inputs.limits.tolist() == [lengths[q] + lengths[d] for q, d in pairs]
    assert np.array_equal(found.labels, np.eye(3)) and flat(found.groups[:2]).tolist() == [
        pairs.index(pair) for pair in [("q0", "a"), ("q1", "b"), ("q0", "b"), ("q1", "a")]
    ]


def test_texts_without_limits_make_pairs_without_limits():
    assert together(Examples(["q", "d"], np.array([[0, 1]]))).inputs.limits is None
