"""What follows from predictions, and how often it is worked out."""

import numpy as np
import pytest

from bench.records import derived
from bench.scoring.scores import TEACHER, Predictions, Scores

RNG = np.random.default_rng(0)
GOLD, TAUGHT = RNG.integers(2, size=(2, 200))


def beside_a_teacher() -> Predictions:
    return {"x": {"prediction": RNG.integers(2, size=200), "gold": GOLD, TEACHER: TAUGHT}}


def test_a_teacher_is_scored_once_beside_all_its_students():
    asked: list[np.ndarray] = []

    def score(found: Predictions) -> Scores:
        asked.extend(arrays["prediction"] for arrays in found.values())
        return {name: {"accuracy": float(np.mean(a["prediction"] == a["gold"]))} for name, a in found.items()}

    scorer, students = derived.Scorer(score, "accuracy"), [beside_a_teacher() for _ in range(3)]
    for found in students:
        own, theirs = derived.metrics(scorer, found), derived.teacher(scorer, found)
        assert own["main"]["value"] == np.mean(found["x"]["prediction"] == GOLD)
        assert theirs["main"]["value"] == np.mean(TAUGHT == GOLD)
        assert own["retention"] == pytest.approx(own["main"]["value"] / theirs["main"]["value"])
    assert len(asked) == 1 + len(students)
    assert sum(np.array_equal(one, TAUGHT) for one in asked) == 1
