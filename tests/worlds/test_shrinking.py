"""A method that ends with a smaller network: what is scored, timed, kept, restored and exported is that one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.records import disk
from bench.records.check import check
from bench.records.schemas import Record
from bench.runs import sweep
from bench.runs.protocol import restore
from tests.factories.commands import bench, brief_clock, runs_of
from tests.worlds.tools import QUIET, alike, interrupted, planned, trained, world

SETTINGS = ("updates=10", "examples=60", "batch_size=8", "evaluations=2", "teach=4", "vocabulary=400")
WIDTH, LEFT = 16, 8
TEACHER = "bow:24"


def plan():
    return planned("sts", world("separated"), world("narrowing", str(WIDTH)), TEACHER, *settings())


def settings() -> list[str]:
    return [f"narrowing.{s}" if s.startswith("vocabulary") else s for s in SETTINGS]


@pytest.fixture
def shrunk(tmp_path: Path) -> Record:
    chosen = [word for setting in settings() for word in ("--set", setting)]
    asked = ("--task", "sts", "--method", world("separated"), "--student", world("narrowing", str(WIDTH)))
    answer = bench("run", *asked, "--teacher", TEACHER, "--results", tmp_path / "results", *chosen, "--json")
    return disk.read(Path(runs_of(answer)[0]["record"]))


def test_the_record_is_of_the_smaller_network(shrunk: Record, tmp_path: Path) -> None:
    rows = shrunk.efficiency.parameters.total // LEFT
    assert shrunk.student.width == LEFT and shrunk.efficiency.parameters.total == rows * LEFT
    assert shrunk.efficiency.disk_bytes < 4 * rows * LEFT + 2000
    assert not shrunk.metrics.choices and check(tmp_path / "results") == (1, [])


def test_it_is_restored_and_measured_again(shrunk: Record, tmp_path: Path) -> None:
    student, _ = restore(plan(), torch.device("cpu"), QUIET)
    assert student.width == LEFT
    with brief_clock():
        outcome = sweep.run_one(plan(), tmp_path / "results", torch.device("cpu"), QUIET, again=set())
    again = disk.read(Path(outcome["record"]))
    assert outcome["status"] == "done" and again.efficiency.parameters == shrunk.efficiency.parameters
    assert again.efficiency.flops == shrunk.efficiency.flops and check(tmp_path / "results") == (1, [])


@pytest.mark.parametrize("form", ["hf", "onnx"])
def test_it_is_exported(form: str, shrunk: Record, tmp_path: Path) -> None:
    from bench.export import hf, onnx

    words = ("export", shrunk.run_id, "--format", form, "--out", tmp_path / "out", "--results", tmp_path / "results")
    named = [part for name in ("separated", "narrowing") for part in ("--file", world(name))]
    assert json.loads(bench(*words, *named, "--json").out)["largest_difference"] < 1e-4
    read = {"hf": hf, "onnx": onnx}[form].read(tmp_path / "out")
    assert np.asarray(read(["a word", "another one"])).shape == (2, LEFT)


def test_masks_grow_and_an_interrupted_run_gives_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = trained(plan(), tmp_path / "whole")
    assert int(whole.trainer.method.kept.sum()) == LEFT == whole.student.width
    assert float(whole.trainer.method.importance.min()) > 0
    assert alike(whole, interrupted(plan(), tmp_path / "parts", monkeypatch))
