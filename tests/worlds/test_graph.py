"""A task on a graph: no network's batch is a list of rows, and no line of the engine knows of graphs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.base import processes
from bench.errors import RequestError
from bench.networks import sharing
from bench.records.check import check
from tests.worlds.tools import alike, carried, in_place, installed, interrupted, planned, trained, world

TASK, TEACHER = world("nodes"), world("propagation", "12")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    in_place(monkeypatch)
    return monkeypatch


@pytest.mark.parametrize("method", ["kd", "rkd"])
def test_a_smaller_network_learns_from_a_larger_one(method: str, quick: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = planned(TASK, method, world("propagation", "6"), TEACHER)
    record = carried(spec, tmp_path / "results")
    assert record.metrics.main.value > 0.6 and record.teacher.main.value > 0.6  # of three classes
    assert record.efficiency.latency["single"]["p50_ms"] > 0
    assert "single_128" not in record.efficiency.latency and "not timed" in " ".join(record.efficiency.notes)
    installed(quick, TASK)
    assert check(tmp_path / "results") == (1, [])


def test_an_interrupted_run_gives_the_same_student(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = planned(TASK, "rkd", world("propagation", "6"), TEACHER)
    whole = trained(spec, tmp_path / "whole")
    assert alike(whole, interrupted(spec, tmp_path / "parts", monkeypatch))


def test_the_measuring_process_reads_the_plug_ins_by_path(tmp_path: Path) -> None:
    record = carried(planned(TASK, "kd", world("propagation", "5"), TEACHER), tmp_path)
    assert record.efficiency.parameters.total < record.teacher.efficiency.parameters.total


def test_several_processes_are_told_that_a_graph_is_no_list_of_rows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = trained(planned(TASK, "kd", world("propagation", "6"), TEACHER), tmp_path)
    batch = found.student.encode(found.trainer.method.run.task.inputs("dev")).batch(np.arange(9))
    monkeypatch.setattr(processes, "count", lambda: 2)
    with pytest.raises(RequestError, match="no list of rows"):
        sharing.forward(found.student, batch, frozenset({"logits"}))
