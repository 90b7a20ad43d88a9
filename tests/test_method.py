"""Stages that no loop could carry out are refused when they are made."""

from __future__ import annotations

from typing import Any

import pytest

from bench.errors import RequestError
from bench.method import Part, Role, Stage, Step
from bench.optimiser import Optimiser

STUDENT = Role("student", frozenset({"logits"}), trains=True)
ALL = {"all": Part(lambda networks: (), Optimiser(lr=1e-3))}


def stage(**changes: Any) -> Stage:
    whole: dict[str, Any] = {
        "name": "distil", "data": "distil", "updates": 1, "batch_size": 2, "roles": {"student": STUDENT},
        "steps": [Step(lambda *_: {})], "parts": ALL,
    }  # fmt: skip
    return Stage(**whole | changes)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"updates": 0}, "has 0 updates: every stage needs at least one"),
        ({"updates": -5}, "has -5 updates"),
        ({"parts": {}}, "moves all, and its parts are nothing"),
        ({"steps": [Step(lambda *_: {}, moves=("student",))]}, "moves student, and its parts are all"),
        ({"roles": {"student": [STUDENT, STUDENT]}}, "has a role of its own"),
    ],
)
def test_a_stage_that_is_none(changes: dict[str, Any], why: str) -> None:
    assert stage().updates == 1
    with pytest.raises(RequestError, match=why):
        stage(**changes)
