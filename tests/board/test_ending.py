"""What a command ends with: its rows beside the baselines of the same settings, and the next steps."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from bench.board import leaderboard
from bench.board.ending import rows
from bench.board.verdicts import judge, standing
from bench.cli.ending import next_steps, show_rows
from bench.records import disk
from bench.runs.grid import Cell
from bench.runs.spec import Request
from tests.factories.commands import bench
from tests.factories.records import TRACK, make, put, settings

OTHER = {"track": TRACK | {"updates": 20}, "method": {}, "student": {"init": "teacher"}}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A method with both baselines, whose finetune is there with other updates too, which are better."""
    folder = tmp_path_factory.mktemp("results")
    for seed in range(3):
        put(folder, 0.3, "mine", seed, value=0.9)
        put(folder, 0.5, "kd", seed, value=0.8)
        put(folder, 0.6, "finetune", seed, value=0.7)
        put(folder, 0.2, "finetune", seed, value=0.95, settings=OTHER)
    put(folder, 0.4, "mine", 0, value=0.85, settings=settings(x=1), student="cnn")
    return folder


def test_rows_beside_the_baselines_of_the_same_settings(results: Path) -> None:
    (mine,) = rows(results, "mini", "sts", [make("mine", seed, 0.9).run_id for seed in range(3)])
    assert (mine["seeds"], mine["few"], mine["lacks"]) == ([0, 1, 2], False, [])
    found = list(disk.read_all(results))
    verdicts = judge(leaderboard.rows(found)[0], found, results)
    places = {(row.method, round(row.score.value, 6)): i for i, row in enumerate(verdicts.board.rows) if row.score}
    for method, score in (("kd", 0.8), ("finetune", 0.7)):
        known = verdicts.difference(places["mine", 0.9], places[method, score])
        assert known is not None and mine["against"][method] == known and known["value"] > 0
    interval = verdicts.interval(places["mine", 0.9])
    assert interval is not None and (mine["low"], mine["high"]) == interval[:2]


def test_a_board_judges_rows_by_baselines_that_were_trained_alike(results: Path) -> None:
    """The better finetune was trained for other updates: no difference, correction or rank is taken to it."""
    found = list(disk.read_all(results))
    verdicts = judge(leaderboard.rows(found)[0], found, results)
    rows = verdicts.board.rows
    place = {(row.method, row.student, round(row.score.value, 6)): i for i, row in enumerate(rows) if row.score}
    mine, kd = place["mine", "bert:3", 0.9], place["kd", "bert:3", 0.8]
    same, longer = place["finetune", "bert:3", 0.7], place["finetune", "bert:3", 0.95]
    assert verdicts.baselines(mine) == {"finetune": same, "kd": kd}
    assert verdicts.baselines(kd) == {"finetune": same, "kd": None}
    assert verdicts.baselines(longer) == {"finetune": None, "kd": None}
    shown = {frozenset(verdicts.order[at] for at in pair) for pair in verdicts.family}
    assert shown == {frozenset(pair) for pair in ((mine, kd), (mine, same), (kd, same))}
    assert standing(verdicts)["kd"]["rank"] == 2 and standing(verdicts)["mine"]["rank"] == 1


@pytest.mark.parametrize(
    ("method", "student", "brought", "without"),
    [("deit", "vit:4x128", {"distillation": True}, {"distillation": False}),
     ("sparse", "dan:8x4", {"corpus": "texts.txt"}, {"corpus": ""})],
)  # fmt: skip
def test_what_a_method_brings_along_is_not_asked_of_its_baselines(
    tmp_path: Path, method: str, student: str, brought: dict[str, Any], without: dict[str, Any]
) -> None:
    """DeiT's second token has a head that nothing else trains, n-grams of unlabelled text are Sparse Distillation's:
    rows are held against the same student without them, and not against other methods' that have them."""
    versions = {"teacher": "taught " + 24 * "a"} | dict.fromkeys(("task", "method", "student"), 1)
    for name, own, more in (
        (method, brought, {"initial": "bd63614dbcbf45e4"}),
        ("finetune", without, {}),
        ("kd", brought, {}),
    ):
        for seed in range(3):
            settings_ = {"track": TRACK, "method": {}, "student": own}
            put(tmp_path, 0.3, name, seed, student=student, settings=settings_, versions=versions | more)
    found = list(disk.read_all(tmp_path))
    verdicts = judge(leaderboard.rows(found)[0], found, tmp_path)
    place = {row.method: i for i, row in enumerate(verdicts.board.rows) if row.method}
    assert verdicts.baselines(place[method]) == {"finetune": place["finetune"], "kd": None}


def test_what_is_missing_is_told_with_its_command(results: Path, tmp_path: Path) -> None:
    lone = make("mine", 0, 0.85, settings=settings(x=1), student="cnn").run_id
    found = rows(results, "mini", "sts", [lone])
    assert found[0]["lacks"] == ["finetune", "kd"] and found[0]["few"]
    request = Request(["sts"], ["disco"], ["cnn"], seeds=[0], settings=["queue=8", "updates=9", "cnn.dropout=0.2"])
    command, again, site = next_steps(found, [request], tmp_path / "r")
    assert "--seeds 0,1,2" in again and site == f"bench site build --results {tmp_path / 'r'}"
    words = shlex.split(command)
    assert words[0] == "bench" and "queue=8" not in words
    planned = json.loads(bench(*words[1:], "--dry-run", "--json", cache=tmp_path / "cache").out)["runs"]
    assert {(run["method"], run["seed"]) for run in planned} == {(m, s) for m in ("finetune", "kd") for s in range(3)}
    assert all(run["spec"]["settings"]["track"]["updates"] == 9 for run in planned)
    assert all(run["spec"]["settings"]["student"]["dropout"] == 0.2 for run in planned)


def test_lines(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cells = [Cell({}, Request(["sts"], ["mine"], ["bert:3"], seeds=[0, 1, 2]))]
    ids = [make("mine", seed, 0.9).run_id for seed in range(3)]
    outcomes = [
        {"run_id": run_id, "task": "sts", "record": str(results / "mini/sts/mine/bert-3" / f"{run_id}.json")}
        for run_id in ids
    ]
    show_rows(cells, outcomes, results)
    text = " ".join(capsys.readouterr().out.split())
    assert text.startswith("mine bert:3 ") and "spearman 90.00 (" in text and "), 3 seeds to finetune: +" in text
    assert " to kd: +" in text and "no finetune" not in text and f"next: bench site build --results {results}" in text
    show_rows(cells, [{"run_id": "0" * 16, "task": "sts", "record": None}], results)
    assert capsys.readouterr().out == ""
