"""Labelled inputs: cuts, the same from every source and with every class; labels that are none; metrics by data set."""

from __future__ import annotations

import numpy as np
import pytest

from bench.data.labelled import Labelled, by_hash, cut, numbers, scored
from bench.errors import BenchError


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


def test_a_label_beyond_any_integer_is_no_label() -> None:
    assert numbers(["1", "yes", 0], ("no", "yes"), ["a", "b", "c"]).tolist() == [1, 1, 0]
    with pytest.raises(BenchError, match=r"labels\.csv, line 1: 1{30} is no label; there are no, yes"):
        numbers([int("1" * 30)], ("no", "yes"), ["labels.csv, line 1"])


def test_metrics_of_a_task_of_one_data_set_need_no_name() -> None:
    right = {"": {"prediction": np.eye(2, dtype=np.float32), "gold": np.arange(2)}}
    assert scored(right, ("accuracy",)) == {"": {"accuracy": 1.0}}
    with pytest.raises(BenchError, match="no metrics are given for the data set ''; there are own"):
        scored(right, {"own": ("accuracy",)})
