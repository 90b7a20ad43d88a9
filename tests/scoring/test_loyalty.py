"""Agreement of a student with its teacher, worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.scoring.loyalty import loyalty
from bench.scoring.scores import Ragged


def test_a_teacher_is_loyal_to_itself():
    rng = np.random.default_rng(0)
    logits, values = rng.normal(size=(50, 3)), rng.normal(size=50)
    found = loyalty(
        {"a": {"prediction": logits, "teacher": logits}, "b": {"prediction": values, "teacher": values.copy()}}
    )
    assert found["a"] == {"label": 1.0, "probability": pytest.approx(1.0)} and found["b"] == {"rank": pytest.approx(1)}


def test_label_and_probability_by_hand():
    """Two inputs, two classes. The first agrees; in the second all of p is on one class and q is even.

    JS divergence of (1, 0) and (1/2, 1/2), middle (3/4, 1/4): (ln(4/3) + (1/2 ln(2/3) + 1/2 ln 2)) / 2; its root is the
    distance.
    """
    student = np.array([[3.0, 1.0], [800.0, 0.0]])
    teacher = np.array([[3.0, 1.0], [0.0, 0.0]])
    distance = math.sqrt((math.log(4 / 3) + 0.5 * math.log(2 / 3) + 0.5 * math.log(2)) / 2)
    found = loyalty({"x": {"prediction": student, "teacher": teacher}})["x"]
    assert found == {"label": 1.0, "probability": pytest.approx(1 - distance / 2)}
    found = loyalty({"x": {"prediction": student[:, ::-1], "teacher": teacher}})["x"]
    assert found["label"] == 0.0 and 0 <= found["probability"] < 0.7


def test_labels_and_ranks():
    labels = {"prediction": np.array([0, 1, 2, 1]), "teacher": np.array([0, 2, 2, 1])}
    assert loyalty({"x": labels}) == {"x": {"label": 0.75}}
    values = {"prediction": np.array([0.1, 0.2, 0.9]), "teacher": np.array([5.0, 7.0, 6.0])}  # ranks 123 and 132
    assert loyalty({"x": values}) == {"x": {"rank": pytest.approx(0.5)}}
    flat = {"prediction": np.zeros(3), "teacher": values["teacher"]}
    assert loyalty({"x": flat}) == {"x": {"rank": 0.0}}


def test_texts_and_rows_of_any_length():
    texts = {"prediction": np.array(["Ankara", "in 1923"]), "teacher": np.array(["Ankara", "1923"])}
    tags = {
        "prediction": Ragged.of([["O", "B-X"], ["O"]], np.str_),
        "teacher": Ragged.of([["O", "B-X"], ["B-X"]], np.str_),
    }
    scores = Ragged.of([[(1, 0.5)], [(2, 0.25), (3, 0.5)]], np.float64)
    found = loyalty({"spans": texts, "tags": tags, "lists": {"prediction": scores, "teacher": scores}})
    assert found == {"spans": {"label": 0.5}, "tags": {"label": 0.5}, "lists": {}}
