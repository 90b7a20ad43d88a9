"""What a change of results changes on the boards, and the workflows that publish and review."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.board.changes import as_markdown, changes
from bench.errors import RequestError
from tests.factories.commands import bench
from tests.factories.records import make, settings
from tests.factories.runs import ROOT
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


def test_a_row_that_only_gets_a_longer_name_is_the_same_row(tmp_path: Path) -> None:
    """A second setting on the board adds `lr=...` to the name of a row that is there."""
    shared = {"file": "shared.samples.npz", "sha256": "0" * 64}  # both were timed in one session
    first, second = (
        make("kd", value=value, settings=settings(lr=lr), efficiency__samples=shared)
        for value, lr in ((0.7, 1), (0.6, 2))
    )
    save(tmp_path / "old", first)
    save(tmp_path / "new", first, second)
    (there,) = changes(tmp_path / "old", tmp_path / "new")
    assert [(row.what, row.row) for row in there.rows] == [("added", "kd bert:3 lr=2")]
    assert there.best == there.best_before == "kd bert:3 lr=1"
    (back,) = changes(tmp_path / "new", tmp_path / "old")
    assert [(row.what, row.row) for row in back.rows] == [("removed", "kd bert:3 lr=2")]


def test_equal_rows_share_their_place_and_are_all_the_best(tmp_path: Path) -> None:
    save(tmp_path / "new", make("kd", value=0.7), make("disco", value=0.7), make("finetune", value=0.6))
    (board,) = changes(tmp_path / "nowhere", tmp_path / "new")
    assert board.best == "disco bert:3, kd bert:3"
    assert {row.row: row.place for row in board.rows} == {"disco bert:3": 1, "kd bert:3": 1, "finetune bert:3": 3}


def test_a_record_that_says_something_else_of_the_same_run_is_told(tmp_path: Path) -> None:
    save(tmp_path / "old", make("kd"))
    save(tmp_path / "new", make("kd", efficiency__speedup={"value": 9.0, "ci95": (8.0, 10.0)}))
    (board,) = changes(tmp_path / "old", tmp_path / "new")
    assert [(row.what, row.score == row.before) for row in board.rows] == [("other numbers", True)]


def test_nothing_changes(tmp_path: Path) -> None:
    save(tmp_path / "old", make("kd"))
    assert changes(tmp_path / "old", tmp_path / "old") == [] and as_markdown([]) == "No board changes.\n"
    (new,) = changes(tmp_path / "nowhere", tmp_path / "old")
    assert new.what == "new"
    with pytest.raises(RequestError, match="there is no results folder"):
        changes(tmp_path / "old", tmp_path / "nowhere")


HOSTILE = [
    "a`b",
    "x | y",
    "@everyone",
    "<img src=x onerror=1>",
    "[a](javascript:1)",
    "#1\n## h",
    "\u202eevil",
    "`" * 9,
]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_shown_and_mean_nothing(tmp_path: Path, name: str) -> None:
    """Each name is one code span in one cell, which nothing in it can end."""
    record = make("kd", task=name, teacher=name, student=name)
    save(tmp_path / "new", record)
    lines = as_markdown(changes(tmp_path / "old", tmp_path / "new")).splitlines()
    for line in lines:
        assert not line.startswith("|") or line.count("|") == 7, "a bar ends a cell in a code span too"
        assert "``" not in line, "nothing between two backticks is no code span, and opens another one"
        outside = re.sub(r"`[^`]*`", "", line)
        assert re.fullmatch(r"[\w #,.:()|+—-]*", outside), outside
        assert not re.search(r"[\u202a-\u202e]", line)
    assert sum(line.startswith("###") for line in lines) == 1


def test_the_command(tmp_path: Path) -> None:
    save(tmp_path / "old", make("kd", value=0.7))
    save(tmp_path / "new", make("kd", value=0.7), make("disco", value=0.9))
    words = bench("site", "diff", tmp_path / "old", tmp_path / "new", cache=tmp_path).out
    assert "### `sts`, `mini` track: changed" in words and "| `disco bert:3` | added | 90.00 | — | 1 | — |" in words
    found = json.loads(bench("site", "diff", tmp_path / "old", tmp_path / "new", "--json", cache=tmp_path).out)
    assert [b["best"] for b in found["boards"]] == ["disco bert:3"]
    (tmp_path / "new" / "broken.json").write_text("{")
    told = bench("site", "diff", tmp_path / "old", tmp_path / "new", cache=tmp_path)
    assert "broken.json is not a valid record" in told.err and told.out == words


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
    head, base = (step["with"] for step in steps(workflow) if step.get("uses", "").startswith("actions/checkout"))
    assert base["ref"] == "${{ steps.base.outputs.commit }}" and base["path"] == "base"
    assert "ref" not in head and head["path"] == "head" and head["sparse-checkout"] == "results"
    assert head["fetch-depth"] == 2, "the first parent of the merge has to be there"
    assert [step["run"] for step in steps(workflow) if "run" in step] == [
        'echo "commit=$(git -C head rev-parse HEAD^1)" >> "$GITHUB_OUTPUT"',
        "python -m pip install --constraint base/constraints.txt ./base",
        "bench check head/results",
        'bench site diff base/results head/results >> "$GITHUB_STEP_SUMMARY"',
    ]


def test_only_what_was_checked_is_published_and_only_the_last_job_may() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/pages.yml").read_text(encoding="utf-8"))
    build, deploy = workflow["jobs"]["build"], workflow["jobs"]["deploy"]
    assert "permissions" not in build and deploy["permissions"] == {"pages": "write", "id-token": "write"}
    assert deploy["needs"] == "build" and [step["uses"].partition("@")[0] for step in deploy["steps"]] == [
        "actions/deploy-pages"
    ]
    done = [
        step.get("run", "").partition(" --base-url")[0] or step["uses"].partition("@")[0] for step in build["steps"]
    ]
    check, site = done.index("bench check results"), done.index("bench site build --results results --out _site")
    assert check < site < done.index("actions/upload-pages-artifact") and workflow["concurrency"]["group"]
