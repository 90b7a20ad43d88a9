"""What a change of results changes on the boards, and the workflows that publish and review."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.errors import RequestError
from bench.web.changes import as_json, as_markdown, changes
from tests.runs import ROOT, bench
from tests.test_leaderboard import make
from tests.web.site import save

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def test_rows_that_come_go_and_move(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    save(old, make("kd", value=0.7), make("finetune", value=0.6), make("rkd", value=0.5), make("kd", task="gone"))
    save(new, make("kd", value=0.7), make("finetune", value=0.6), make("disco", value=0.9), make("kd", track="lite"))
    gone, first, second = changes(old, new)
    assert (gone.what, gone.task, gone.best, gone.best_before) == ("gone", "gone", None, "kd bert:3")
    assert (first.what, first.track, first.best) == ("new", "lite", "kd bert:3")
    assert (second.what, second.best, second.best_before) == ("changed", "disco bert:3", "kd bert:3")
    told = {row.row.split()[0]: (row.what, row.score, row.before, row.place, row.place_before) for row in second.rows}
    assert told == {
        "disco": ("added", 0.9, None, 1, None), "kd": ("changed", 0.7, 0.7, 2, 1),
        "finetune": ("changed", 0.6, 0.6, 3, 2), "rkd": ("removed", None, 0.5, None, 3),
    }  # fmt: skip


def test_another_seed_changes_a_row(tmp_path: Path) -> None:
    save(tmp_path / "old", make("kd", 0, 0.7))
    save(tmp_path / "new", make("kd", 0, 0.7), make("kd", 1, 0.8))
    ((board,),) = [changes(tmp_path / "old", tmp_path / "new")]
    (row,) = board.rows
    assert (row.what, row.score, row.before) == ("changed", pytest.approx(0.75), 0.7)
    assert board.best == board.best_before


def test_nothing_changes(tmp_path: Path) -> None:
    save(tmp_path / "old", make("kd"))
    assert changes(tmp_path / "old", tmp_path / "old") == [] and as_markdown([]) == "No board changes.\n"
    (new,) = changes(tmp_path / "nowhere", tmp_path / "old")
    assert new.what == "new"
    with pytest.raises(RequestError, match="there is no results folder"):
        changes(tmp_path / "old", tmp_path / "nowhere")


HOSTILE = ["a`b", "x | y", "@everyone", "<img src=x onerror=1>", "[a](javascript:1)", "#1\n## h", "\u202eevil", "`" * 9]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_shown_and_mean_nothing(tmp_path: Path, name: str) -> None:
    """Each name is one code span in one cell, which nothing in it can end."""
    record = make("kd", task="sts", teacher=name, student=name)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "r.json").write_text(record.model_dump_json(by_alias=True), encoding="utf-8")
    lines = as_markdown(changes(tmp_path / "old", tmp_path / "new")).splitlines()
    for line in lines:
        outside = re.sub(r"`[^`]*`", "", line)
        assert re.fullmatch(r"[\w #,.:()|+-]*", outside), outside
        assert not line.startswith("|") or len(outside.split("|")) == 8
        assert not re.search(r"[\u202a-\u202e]", line)
    assert sum(line.startswith("###") for line in lines) == 1


def test_the_command(tmp_path: Path) -> None:
    save(tmp_path / "old", make("kd", value=0.7))
    save(tmp_path / "new", make("kd", value=0.7), make("disco", value=0.9))
    words = bench("site", "diff", tmp_path / "old", tmp_path / "new", cache=tmp_path).stdout
    assert "### `sts`, `mini` track: changed" in words and "| `disco bert:3` | added | 90.00 |  | 1 |  |" in words
    found = json.loads(bench("site", "diff", tmp_path / "old", tmp_path / "new", "--json", cache=tmp_path).stdout)
    assert found == json.loads(json.dumps(as_json(changes(tmp_path / "old", tmp_path / "new"))))
    (tmp_path / "new" / "broken.json").write_text("{")
    refused = bench("site", "diff", tmp_path / "old", tmp_path / "new", cache=tmp_path, check=2)
    assert "broken.json is not a valid record" in refused.stderr


# Workflows


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_ask_for_little_and_run_no_stranger_s_text(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {"contents": "read"}
    assert "pull_request_target" not in workflow[True], "YAML reads the key `on` as true"
    for step in steps(workflow):
        assert "${{" not in step.get("run", "")
        assert re.fullmatch(r"actions/[\w-]+@v\d+", step.get("uses", "actions/checkout@v4"))
        if step.get("uses", "").startswith("actions/checkout"):
            assert step["with"]["persist-credentials"] is False


def test_a_pull_request_of_results_is_checked_by_the_base_s_code() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/results.yml").read_text(encoding="utf-8"))
    base, head = (step["with"] for step in steps(workflow) if step.get("uses", "").startswith("actions/checkout"))
    assert base["ref"] == "${{ github.event.pull_request.base.sha }}" and base["path"] == "base"
    assert head["path"] == "head" and head["sparse-checkout"] == "results"
    scripts = [step["run"] for step in steps(workflow) if "run" in step]
    assert any("./base" in script for script in scripts) and not any("./head" in script for script in scripts)
    assert "bench check head/results" in scripts
    assert any(script.startswith("bench site diff base/results head/results") for script in scripts)
