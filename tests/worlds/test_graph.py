"""A task on a graph: no network's batch is a list of rows, and no line of the engine knows of graphs."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from bench.base import processes
from bench.errors import RequestError
from bench.networks import sharing
from bench.records import disk
from bench.records.check import check
from tests.factories.commands import bench, runs_of
from tests.worlds.tools import alike, carried, installed, interrupted, planned, trained, world

TASK, TEACHER = world("nodes"), world("propagation", "12")


@pytest.mark.parametrize("method", ["kd", "rkd"])
def test_a_smaller_network_learns_from_a_larger_one(
    method: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = planned(TASK, method, world("propagation", "6"), TEACHER)
    record = carried(spec, tmp_path / "results")
    assert record.metrics.main.value > 0.6 and record.teacher.main.value > 0.6  # of three classes
    assert record.efficiency.latency["single"]["p50_ms"] > 0
    assert "single_128" not in record.efficiency.latency and "not timed" in " ".join(record.efficiency.notes)
    installed(monkeypatch, TASK)
    assert check(tmp_path / "results") == (1, [])


def test_an_interrupted_run_gives_the_same_student(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = planned(TASK, "rkd", world("propagation", "6"), TEACHER)
    whole = trained(spec, tmp_path / "whole")
    assert alike(whole, interrupted(spec, tmp_path / "parts", monkeypatch))


def test_the_measuring_process_reads_the_plug_ins_by_path(tmp_path: Path) -> None:
    asked = ("run", "--task", TASK, "--method", "kd", "--student", world("propagation", "5"), "--teacher", TEACHER)
    with patch("tests.factories.commands.brief_clock", nullcontext):
        answer = bench(*asked, "--device", "cpu", "--results", tmp_path, "--json")
    record = disk.read(Path(runs_of(answer)[0]["record"]))
    assert record.efficiency.parameters.total < record.teacher.efficiency.parameters.total


def test_several_processes_are_told_that_a_graph_is_no_list_of_rows(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = trained(planned(TASK, "kd", world("propagation", "6"), TEACHER), tmp_path)
    batch = found.student.encode(found.trainer.method.run.task.inputs("dev")).batch(np.arange(9))
    monkeypatch.setattr(processes, "count", lambda: 2)
    with pytest.raises(RequestError, match="no list of rows"):
        sharing.forward(found.student, batch, frozenset({"logits"}))
