"""Grids: the cells of a file or of `--axis` are the single commands, and what is wrong is said before any training."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.errors import RequestError
from bench.runs.grid import read
from tests.factories.commands import bench, refused, runs_of
from tests.factories.runs import ROOT

TOY = str(ROOT / "tests/factories/toy.py")
MINILM = ("--teacher", "all-MiniLM-L6-v2")
GRID = f"""
task = "{TOY}"
method = "kd"
student = "bow:{{width}}"
seeds = [0, 1]
set.updates = 6
[[cells]]
axes.width = [8, 16]
axes.temperature = [1.0, 4]
[[cells]]
method = "finetune"
axes.width = ["8"]
"""


def dry(*arguments: object, cache: Path) -> dict:
    return json.loads(bench(*arguments, "--dry-run", "--json", cache=cache).out)


def ids(found: dict) -> list[str]:
    return [run["run_id"] for run in found["runs"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("grid")
    (folder / "grid.toml").write_text(GRID)
    return folder


def test_cells_are_the_single_commands(folder: Path) -> None:
    found = dry("sweep", folder / "grid.toml", cache=folder / "cache")
    assert found["cells"] == 5 and len(set(ids(found))) == 10
    single = []
    for width, temperature in ((8, "1.0"), (8, "4"), (16, "1.0"), (16, "4")):
        single += ["--method", "kd", "--student", f"bow:{width}", "--set", f"temperature={temperature}"], []
    asked = [words for words in single if words] + [["--method", "finetune", "--student", "bow:8"]]
    common = ("--task", TOY, "--seeds", "0,1", "--set", "updates=6")
    assert ids(found) == [run_id for words in asked for run_id in ids(dry("run", *common, *words, cache=folder))]


def test_an_axis_of_the_command_line_keeps_commas(folder: Path) -> None:
    """Values of a list are one value: an axis is said once for each of its levels."""
    common = ("--task", TOY, *MINILM, "--method", "revisited", "--student", "bert:2", "--set", "revisited.kd=kl")
    levels = "last:hidden_mse,gap:cos", "gap:mmd"
    axes = [word for level in levels for word in ("--axis", f"match={level}")]
    found = dry("run", *common, *axes, "--axis", "bert.init=random", cache=folder)
    assert found["cells"] == 2
    assert [run["spec"]["settings"]["method"]["match"] for run in found["runs"]] == list(levels)
    single = (
        dry("run", *common, "--set", f"match={level}", "--set", "bert.init=random", cache=folder) for level in levels
    )
    assert ids(found) == [run_id for one in single for run_id in ids(one)]


def test_a_dry_run_counts_what_is_done(folder: Path) -> None:
    results = ("--results", folder / "results")
    one = ("--task", TOY, "--method", "kd", "--student", "bow:8", "--set", "updates=6", "--set", "temperature=1")
    done = runs_of(bench("run", *one, *results, "--json", cache=folder / "cache"))
    told = bench("sweep", folder / "grid.toml", *results, "--dry-run", cache=folder / "cache").out.splitlines()
    assert told[-1] == "5 cells, 10 runs: 1 done, 9 to do" and len(told) == 11
    assert [line.split()[0] for line in told if line.endswith("  done")] == [run["run_id"] for run in done]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("axes.width = [8, 16]", "axes.width = []"), "the axis 'width' has no levels"),
        (("axes.width = [8, 16]", "axes.width = [8, 8]"), "the axis 'width' has a level twice"),
        (("axes.width = [8, 16]", ""), "names the axis 'width': there are temperature"),
        (("axes.temperature", "axes.temprature"), "unknown setting 'temprature'"),
        (("[1.0, 4]", '[1.0, "hot"]'), "width=8, temperature=hot: --set temperature=hot"),
        (("bow:{width}", "bow:{width}x"), "'8x' is not a size of bow"),
        (("seeds = [0, 1]", "seeds = [0, -1]"), "not a grid: seeds.1"),
        (("[[cells]]\nmethod", "[[cell]]\nmethod"), "cell"),
        (("updates = 6", "updates = "), "is not TOML"),
    ],
)  # fmt: skip
def test_a_wrong_grid_is_one_sentence(folder: Path, tmp_path: Path, change: tuple[str, str], words: str) -> None:
    (tmp_path / "wrong.toml").write_text(GRID.replace(*change))
    told = bench("sweep", tmp_path / "wrong.toml", "--results", tmp_path / "r", cache=folder / "cache", check=None)
    refused(told, words)
    assert not (tmp_path / "r").exists()


def test_what_cannot_be_built_is_told_before_anything_is_trained(folder: Path) -> None:
    """Each setting is right by itself: a narrower student cannot copy its teacher's layers; three layers of two."""
    common = ("run", "--task", TOY, *MINILM, "--method", "revisited", "--results", folder / "none", "--axis")
    for words, said in (
        (("bert.init=random", "--axis", "bert.init=gap", "--student", "bert:1x24x2"), "init=gap copies teacher layers"),
        (("match=gap:cos", "--axis", "match=last3:cos", "--student", "bert:2"), "takes 3 layers of 2"),
        (("match=frist:cos", "--axis", "match=gap:cos", "--student", "bert:2"), "match=frist:cos: unknown strategy"),
    ):
        refused(bench(*common, *words, cache=folder, check=2), said)
    assert not (folder / "none").exists()


def test_lists_of_methods_and_students_are_run_with_one_another(tmp_path: Path) -> None:
    path = tmp_path / "grid.toml"
    path.write_text('task = "sts"\nmethod = ["kd", "disco"]\naxes = {student = ["bow", "cnn"], lr = [1e-4, 2e-4]}\n')
    requests = [cell.request for cell in read(path)]
    assert [(r.methods, r.students, r.settings) for r in requests] == [
        (["kd", "disco"], [student], [f"lr={lr}"]) for student in ("bow", "cnn") for lr in ("0.0001", "0.0002")
    ]
    with pytest.raises(RequestError, match=r"cannot read .*nowhere\.toml"):
        read(tmp_path / "nowhere.toml")
