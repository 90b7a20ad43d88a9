"""`bench results` and `bench show` as a user types them."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from tests.factories.commands import bench, refused
from tests.factories.records import put
from tests.factories.runs import Finished


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for method in ("kd", "finetune"):
        for seed in range(2):
            put(tmp_path / "results", 0.4, method, seed)
    return tmp_path / "results"


def runs(*arguments: object) -> list[dict]:
    return json.loads(bench("results", *arguments, "--json").out)["runs"]


def test_ls_lists_what_fits(results: Path) -> None:
    found = runs("ls", "--results", results)
    assert len(found) == 4 and all(run["state"] == "whole" and len(run["files"]) == 3 for run in found)
    assert [run["seed"] for run in runs("ls", "--seed", "1", "--results", results)] == [1, 1]
    text = bench("results", "ls", "--method", "kd", "--results", results).out
    assert "2 runs" in text and found[-1]["run_id"] in text


def test_rm_removes_and_a_dry_run_does_not(results: Path) -> None:
    first = runs("ls", "--results", results)[0]["run_id"]
    assert runs("rm", first[:7], "--dry-run", "--results", results)[0]["run_id"] == first
    assert len(runs("ls", "--results", results)) == 4
    assert "removed 1 runs" in bench("results", "rm", first[:7], "--results", results).out
    assert len(runs("ls", "--results", results)) == 3
    runs("rm", "--all", "--results", results)
    assert not [path for path in results.rglob("*") if path.is_file()]


def test_mv_moves(results: Path, tmp_path: Path) -> None:
    moved = runs("mv", "--method", "kd", "--to", tmp_path / "other", "--results", results)
    assert len(moved) == 2 and len(runs("ls", "--results", tmp_path / "other")) == 2
    assert len(runs("ls", "--results", results)) == 2


def test_what_a_killed_command_left_is_said(results: Path) -> None:
    next(results.rglob("*.json")).unlink()
    assert "1 of them left by a command that was killed" in bench("results", "ls", "--results", results).out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rm"], ["--all"]), (["rm", "--all", "--method", "kd"], ["--all"]), (["rm", "zz"], ["names no runs"]),
        (["mv", "--all"], ["--to"]), (["mv", "--all", "--to", "results"], ["name another"]),
        (["ls", "--method", "dico"], ["none of 4 runs"]), (["ls", "--seed", "x"], ["whole numbers"]),
        (["ls", "--results", "no"], ["there is no results folder no"]),
    ],
)  # fmt: skip
def test_wrong_requests_are_one_sentence(results: Path, arguments: list[str], words: list[str]) -> None:
    refused(bench("results", *arguments, cwd=results.parent, check=None), *words)


def test_show_says_what_a_run_was_and_what_to_do_next(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(finished.cache))
    outcome = next(o for o in finished.outcomes if o["method"] == "kd")
    told = json.loads(bench("show", outcome["run_id"][:8], "--results", finished.results, "--json").out)
    assert told["score"] == outcome["value"] and Path(told["student_file"]).is_file() and told["seed"] == 0
    assert [point["step"] for point in told["curve"]][-1] == 24 and told["kept"]
    steps = {step["what"]: step for step in told["next"]}
    assert set(steps) == {"export", "verify", "compare", "board"} and not steps["export"]["refused"]
    for words in ("compare", "board"):
        bench(*shlex.split(steps[words]["command"])[1:])
    text = bench("show", outcome["record"]).out
    assert f"{100 * outcome['value']:.2f} [" in text and "24 updates" in text and "bench verify" in text


def test_show_says_that_a_student_is_gone(results: Path) -> None:
    run = runs("ls", "--results", results)[0]["run_id"]
    text = " ".join(bench("show", run, "--results", results).out.split())
    assert "no longer in the store" in text and "trains it again, 80 updates" in text and "--retrain" in text
    refused(bench("show", "zz", "--results", results, check=None), "no record of a run 'zz'")
