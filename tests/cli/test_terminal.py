"""What people who come from other tools type first: patterns, the last run, a board as CSV, several names at once."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

from tests.factories.commands import bench, refused
from tests.factories.records import put


def test_names_that_fit_a_pattern() -> None:
    names = [row["name"] for row in json.loads(bench("list", "tasks", "glue/m*", "--json").out)["tasks"]]
    assert names == ["glue/mrpc", "glue/mnli"]
    assert {"bert", "bow"} <= {
        row["name"] for row in json.loads(bench("list", "students", "b*", "--json").out)["students"]
    }
    suites = {row["name"]: row for row in json.loads(bench("list", "suites", "--json").out)["suites"]}
    assert (
        suites["glue"]["columns"]["mrpc"] == ["f1", "accuracy"]
        and "wnli" not in suites["glue"]["averages"]["without WNLI"]
    )
    assert suites["indonlu"]["methods"] == ["finetune", "kd"]
    refused(bench("list", "methods", "zz*", check=None), "no methods fit zz*: bench list methods shows all")


def test_the_last_run_is_shown_where_none_is_named(tmp_path: Path) -> None:
    for seed, hour in ((0, 12), (1, 9)):
        put(tmp_path, 0.5, "kd", seed, provenance__finished=f"2025-01-02T{hour:02}:00:00+00:00")
    assert json.loads(bench("show", "--results", tmp_path, "--json").out)["seed"] == 0
    refused(bench("show", "--results", tmp_path / "none", check=None), str(tmp_path / "none"))


def test_a_board_as_csv(tmp_path: Path) -> None:
    put(tmp_path, 0.5, "kd", 0)
    put(tmp_path, 0.9, "finetune", 0)
    rows = list(csv.DictReader(io.StringIO(bench("board", "--task", "sts", "--csv", "--results", tmp_path).out)))
    told = json.loads(bench("board", "--task", "sts", "--json", "--results", tmp_path).out)["boards"][0]["rows"]
    assert [row["name"] for row in rows] == [row["name"] for row in told]
    assert float(rows[1]["score"]) == told[1]["score"] and rows[1]["task"] == "sts"
    for others in ([], ["--task", "sts", "--json"]):
        refused(bench("board", "--csv", *others, "--results", tmp_path, check=None), "--csv prints the rows of a board")


def test_several_names_in_one_option() -> None:
    wrong = bench("run", "--task", "sts", "--method", "kd,finetune", "--dry-run", check=None)
    refused(wrong, "'kd,finetune' names several: give each an option of its own, --method ONE --method OTHER")
