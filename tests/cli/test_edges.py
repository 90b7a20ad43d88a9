"""What a command is given that is nearly right: found out in a sentence, before anything is trained or timed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bench.records import disk
from bench.records.check import check
from tests.factories.commands import bench, refused
from tests.worlds.tools import TOY, installed

RUN = ("run", "--task", TOY, "--method", "finetune")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--results", ""), "a folder without a name was given"),
        (("--results", "file"), "cannot create the folder file"),
        (("--store-quota", "9" * 400), "is no size of a disk"),
        (("--device", "gpu"), "--device gpu: there are auto, cpu, cuda and mps"),
        (("--no-measure", "--remeasure"), "contradict each other"),
        (("--results", "\udce9"), "is not UTF-8, and a record cannot hold it"),
    ],
)
def test_an_option_that_is_found_out_before_training(tmp_path: Path, more: tuple[str, ...], said: str) -> None:
    (tmp_path / "file").touch()
    refused(bench(*RUN, *more, cache=tmp_path / "cache", cwd=tmp_path, check=None), said)
    assert not (tmp_path / "cache" / "teachers").exists()


def test_a_device_that_teach_does_not_know(tmp_path: Path) -> None:
    asked = ("teach", "--task", TOY, "--device", "gpu", "--results", tmp_path)
    refused(bench(*asked, cache=tmp_path / "cache", check=None), "--device gpu: there are auto, cpu, cuda and mps")


def test_a_grid_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "grid.toml")
    refused(bench("sweep", tmp_path / "grid.toml", check=None), "grid.toml is no plain file")


def test_a_command_without_a_word_shows_what_there_is() -> None:
    for words in ((), ("site",), ("store",)):
        shown = bench(*words)
        assert shown.err == "" and shown.out.startswith("Usage: ") and shown.out.count("\n") > 5


def test_a_try_without_timings_is_a_record_that_can_be_timed_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its board shows a dash until then."""
    place = {"cache": tmp_path / "cache", "cwd": tmp_path}
    first = bench(*RUN, "--no-measure", **place)
    assert "not timed: the same command with --remeasure" in first.err and "measuring" not in first.err
    (record,) = disk.read_all(tmp_path / "results")
    e = record.efficiency
    assert (e.speedup, e.speedups, e.latency, e.samples, e.measured, e.noisy) == (None, {}, {}, None, None, False)
    assert e.scope == "not measured" and e.parameters.total > 0 and e.flops["mean"] > 0 and e.disk_bytes > 0
    installed(monkeypatch, TOY)
    assert check(tmp_path / "results") == (1, [])
    bench("site", "build", "--out", "site", **place)
    (row,) = [row for row in rows_of(tmp_path / "site") if row["method"]]
    assert row["timings"] == [] and row["score"] is not None
    limit = ("--max-latency-ms", 5)
    refused(bench("recommend", "--task", "toy", *limit, check=None, **place), "no run of this board was timed")

    bench(*RUN, "--remeasure", **place)
    (again,) = disk.read_all(tmp_path / "results")
    assert again.efficiency.samples and again.efficiency.speedup and again.efficiency.flops == e.flops
    assert again.metrics == record.metrics and check(tmp_path / "results") == (1, [])


def rows_of(site: Path) -> list[dict]:
    (path,) = (site / "api" / "boards").glob("*.json")
    return json.loads(path.read_text())["rows"]


def test_what_a_killed_export_left_is_no_problem_of_the_results(tmp_path: Path) -> None:
    (tmp_path / "results" / ".student-ab12cd34.partial" / "new").mkdir(parents=True)
    (tmp_path / "results" / ".student-ab12cd34.partial" / "new" / "x").touch()
    assert check(tmp_path / "results") == (0, [])
