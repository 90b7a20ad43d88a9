"""`bench board` in 80 columns and in 200: what it shows, what it says as JSON, and how quickly it answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.records.disk import paths
from tests.cli.test_main import ROOT, seconds_of
from tests.factories.commands import bench, refused
from tests.factories.pace import steady
from tests.factories.records import put


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    for method, noise in (("finetune", 0.9), ("kd", 0.4), ("disco", 0.41)):
        for seed in range(3):
            put(folder, noise, method, seed, taught=True, value=round(1 / (1 + noise), 4))
    for task in ("glue/mrpc", "glue/rte"):
        scores = {"lee": {"f1": 0.8, "accuracy": 0.6}}
        put(folder, 0.5, "kd", 0, task=task, track="lite", value=0.8, metrics__all=scores)
    return folder


def lines(*arguments: object, width: int, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(width))
    found = bench("board", *arguments).out.splitlines()
    assert all(len(line) <= width or line.startswith("    bench ") for line in found)
    return found


def test_a_line_a_board(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = lines("--results", results, width=80, monkeypatch=monkeypatch)
    assert any(line.split() == ["sts", "mini", "3", "kd", "bert:3", "71.43", "80.00", "89.3%"] for line in found), found
    wide = lines("--results", results, width=200, monkeypatch=monkeypatch)
    assert "metric" not in found[0] and "metric" in wide[0] and len(json_of("--results", results)["boards"]) == 3


def test_rows_with_intervals_ties_and_evidence(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = lines("--task", "sts", "--results", results, width=80, monkeypatch=monkeypatch)
    best = next(line for line in found if " kd bert:3 " in line)
    assert best.startswith("*") and " to " in best and best.rstrip().endswith("clear")
    assert next(line for line in found if " disco bert:3 " in line).startswith("=")
    assert next(line for line in found if " finetune bert:3 " in line).startswith(" ")
    wide = lines("--task", "sts", "--results", results, width=200, monkeypatch=monkeypatch)
    assert "to kd" in "\n".join(wide) and "to kd" not in "\n".join(found) and "speed-up" in "\n".join(wide)
    (told,) = json_of("--task", "sts", "--results", results)["boards"]
    assert [row["method"] for row in told["rows"]] == ["", "kd", "disco", "finetune"]


def test_a_suite_shows_cells_and_no_average_with_gaps(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = "\n".join(lines("--suite", "glue", "--results", results, width=80, monkeypatch=monkeypatch))
    assert "mrpc: f1 and accuracy; rte: accuracy" in found
    assert "2 of 9 data sets" in found and "70.00" in found and "average: none" in found and "kd bert:3 ?" in found
    answer = json_of("--suite", "glue", "--results", results)
    (table,) = answer["tables"]
    kd = next(row for row in table["rows"] if row["method"] == "kd")
    assert kd["cells"]["mrpc"]["value"] == pytest.approx(0.7) and kd["cells"]["rte"]["value"] == 0.6
    assert kd["averages"] == {"average": None, "without WNLI": None} and kd["cells"]["cola"] is None


def json_of(*arguments: object) -> dict:
    return json.loads(bench("board", *arguments, "--json").out)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--task", "stx"], ["unknown task 'stx'", "did you mean sts"]),
        (["--task", "glue/cola"], ["holds no record of glue/cola; of glue: glue/mrpc, glue/rte"]),
        (["--task", "glue"], ["glue has several data sets: name one of glue/mrpc, glue/rte"]),
        (["--task", "sts", "--track", "full"], ["track full", "mini"]),
        (["--task", "sts", "--suite", "glue"], ["give one of them"]),
        (["--suite", "glu"], ["unknown suite 'glu'", "glue"]),
        (["--suite", "superglue"], ["bench run --suite superglue"]),
        (["--results", "nowhere"], ["there is no results folder nowhere"]),
    ],
)
def test_wrong_requests_are_one_sentence(results: Path, arguments: list[str], words: list[str]) -> None:
    where = [] if "--results" in arguments else ["--results", results]
    refused(bench("board", *arguments, *where, check=None), *words)


@pytest.mark.quiet
def test_it_answers_in_about_a_second() -> None:
    """Half a second, and a millisecond and a half of each of the repository's records: it takes about 3/4 of it."""
    allowed = 0.5 + 0.0015 * len(paths(ROOT / "results"))
    for arguments in ([], ["--task", "sts"], ["--suite", "glue"]):
        assert steady(lambda: seconds_of("board", *arguments)) < allowed, arguments  # noqa: B023


def test_a_part_of_the_results_is_told(results: Path) -> None:
    """And not that each of its records lies at a wrong place."""
    for part, place in (("mini", "mini/"), ("lite/glue", "lite/glue/"), ("mini/sts/kd", "mini/sts/kd/")):
        said = f"{part} is a part of a folder of results: give the folder that has it as {place}"
        refused(bench("board", "--results", results / part, check=None), said)
        refused(bench("check", results / part, check=None), said)
