"""The card of a student whose run was told to time nothing, or whose teacher has no score on test."""

from __future__ import annotations

from bench.export import card
from tests.factories.records import make

CONTEXT = {
    "kind": "int8", "command": "bench run", "pipeline": "feature-extraction", "base_models": [], "backbone": True,
    "max_length": 64, "method_title": "", "method_citation": "",
}  # fmt: skip


def test_what_was_not_measured_is_not_on_it() -> None:
    record = make("kd", 0, 0.75)
    whole = card.render(record, [], **CONTEXT)
    assert "Measured in PyTorch" in whole and "speed-up over the teacher | 2" in whole
    assert "The teacher has 80.00 (70.00 to 88.00)" in whole
    record.efficiency.speedup, record.efficiency.latency, record.teacher.main = None, {}, None
    bare = card.render(record, [], **CONTEXT)
    assert "It was not timed" in bare and "Measured in PyTorch" not in bare and "The teacher has" not in bare


def test_scores_of_float32_are_none_of_the_int8_form() -> None:
    record = make("kd", 0, 0.75)
    rounded = card.render(record, [], **CONTEXT, dev={"student": 0.5, "int8": 0.25})
    assert "On dev it has 25.00 and the\nstudent in float32 50.00" in rounded and "model-index" not in rounded
    assert "model-index" in card.render(record, [], **CONTEXT | {"kind": "onnx"})
