"""Cuts of labelled inputs: the same from every source, equal inputs together, and no class left out."""

from __future__ import annotations

import numpy as np

from bench.data.labelled import Labelled, by_hash, cut


def test_a_cut_has_every_class_that_the_data_has_twice() -> None:
    """In hashed order the first two of these texts are of one class; each other class gives its first one."""
    ordered = by_hash(Labelled([str(n) for n in range(40)], np.zeros(40, np.int64))).inputs
    labels = np.zeros(40, np.int64)
    labels[20], labels[30], labels[35] = 1, 1, 2  # of class 2 there is one alone, which is learned from
    dev, rest = cut(Labelled(list(ordered), labels), 2)
    assert [*dev.inputs] == [ordered[n] for n in (0, 1, 20)] and dev.labels.tolist() == [0, 0, 1]
    assert len(rest) == 37 and set(rest.labels) == {0, 1, 2}


def test_a_cut_that_has_all_classes_is_the_first_in_hashed_order() -> None:
    data = by_hash(Labelled([str(n) for n in range(40)], np.arange(40) % 2))
    labels = np.arange(40) % 2
    dev, test, rest = cut(Labelled(data.inputs, labels), 4, 6)
    assert [len(part) for part in (dev, test, rest)] == [4, 6, 30]
    assert [*dev.inputs, *test.inputs, *rest.inputs] == [*data.inputs]
