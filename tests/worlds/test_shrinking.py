"""A method that ends with a smaller network: what is scored, timed, kept, restored and exported is that one."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.cli import main as cli
from bench.records import disk
from bench.records.check import check
from bench.records.schemas import Record
from bench.runs import sweep
from bench.runs.protocol import restore
from tests.worlds.tools import QUIET, alike, in_place, interrupted, planned, trained, world

SETTINGS = ("updates=10", "examples=60", "batch_size=8", "evaluations=2", "teach=4", "vocabulary=400")
WIDTH, LEFT = 16, 8
TEACHER = "bow:24"


def plan():
    return planned("sts", world("separated"), world("narrowing", str(WIDTH)), TEACHER, *settings())


def settings() -> list[str]:
    return [f"narrowing.{s}" if s.startswith("vocabulary") else s for s in SETTINGS]


def typed(patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: object) -> dict:
    """What a command with --json prints."""
    patch.setattr(sys, "argv", ["bench", *map(str, words), "--json"])
    cli.main()
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def finished(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Record:
    in_place(monkeypatch)
    chosen = [word for setting in settings() for word in ("--set", setting)] + ["--results", tmp_path / "results"]
    outcome = typed(
        monkeypatch, capsys, "run", "--task", "sts", "--method", world("separated"), "--student",
        world("narrowing", str(WIDTH)), "--teacher", TEACHER, "--device", "cpu", *chosen,
    )  # fmt: skip
    return disk.read(Path(outcome["runs"][0]["record"]))


def test_the_record_is_of_the_smaller_network(finished: Record, tmp_path: Path) -> None:
    rows = finished.efficiency.parameters.total // LEFT
    assert finished.student.width == LEFT and finished.efficiency.parameters.total == rows * LEFT
    assert finished.efficiency.disk_bytes < 4 * rows * LEFT + 2000
    assert not finished.metrics.choices and check(tmp_path / "results") == (1, [])


def test_it_is_restored_and_measured_again(finished: Record, tmp_path: Path) -> None:
    student, _ = restore(plan(), torch.device("cpu"), QUIET)
    assert student.width == LEFT
    outcome = sweep.run_one(plan(), tmp_path / "results", torch.device("cpu"), QUIET, remeasure=True)
    again = disk.read(Path(outcome["record"]))
    assert outcome["status"] == "done" and again.efficiency.parameters == finished.efficiency.parameters
    assert again.efficiency.flops == finished.efficiency.flops and check(tmp_path / "results") == (1, [])


@pytest.mark.parametrize("form", ["hf", "onnx"])
def test_it_is_exported(
    form: str,
    finished: Record,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    from bench.export import hf, onnx

    words = ("export", finished.run_id, "--format", form, "--out", tmp_path / "out", "--results", tmp_path / "results")
    assert typed(monkeypatch, capsys, *words)["largest_difference"] < 1e-4
    read = {"hf": hf, "onnx": onnx}[form].read(tmp_path / "out")
    assert np.asarray(read(["a word", "another one"])).shape == (2, LEFT)


def test_masks_grow_and_an_interrupted_run_gives_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = trained(plan(), tmp_path / "whole")
    assert int(whole.trainer.method.kept.sum()) == LEFT == whole.student.width
    assert float(whole.trainer.method.importance.min()) > 0
    assert alike(whole, interrupted(plan(), tmp_path / "parts", monkeypatch))
