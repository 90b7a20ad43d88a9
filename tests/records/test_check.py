"""`bench check` against every damage that we could think of, on records that a real run left."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from bench.records import disk
from bench.records.check import check, differences, malformed
from bench.scoring.scores import Ragged
from tests.board.test_leaderboard import make
from tests.damage import DAMAGES, Damage, Inapplicable
from tests.damage.tools import run_id_of
from tests.factories.runs import ROOT, SMALL, bench, save_teacher


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two methods on the mini track, with a tiny teacher."""
    folder = tmp_path_factory.mktemp("sound")
    teacher = save_teacher(folder / "teacher")
    methods = ("--method", "kd", "--method", "finetune")
    bench(
        "run", "--task", "sts", *methods, "--student", "bow:8", "--teacher", teacher, "--results", folder / "results",
        *SMALL, cache=folder / "cache",
    )  # fmt: skip
    return folder / "results"


def test_what_a_run_leaves_is_sound(sound):
    assert check(sound) == (2, [])


@pytest.mark.parametrize(
    ("teacher", "gold", "problem"),
    [
        ([[(1, 0.5)], []], [[(1, 2)], [(4, 0)]], ""),
        ([[(1, 0.5)]], [[(1, 2)], [(4, 0)]], "the arrays of lee differ in length"),
        ([[1.0], []], [[(1, 2)], [(4, 0)]], "the arrays of lee differ in length"),
        ([[(1, np.nan)], []], [[(1, 2)], [(4, 0)]], "lee holds values that are not finite"),
        ([["Ankara"], ["1923"]], [["Ankara"], ["1923"]], "the arrays of lee differ in length"),
    ],
)
def test_ragged_predictions(teacher: list, gold: list, problem: str) -> None:
    record = make(data__sizes={"lee": 2})
    prediction = Ragged.of([[(2, 0.1), (1, 0.5)], []])
    arrays = {"lee": {"prediction": prediction, "teacher": Ragged.of(teacher), "gold": Ragged.of(gold)}}
    found = list(malformed(disk.unflatten(disk.flatten(arrays)), record))
    assert [why.partition(": ")[2] for why in found] == [problem] * bool(problem)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda d: d.name)
def test_every_damage_is_reported(damage: Damage, sound: Path, tmp_path: Path):
    results = tmp_path / "results"
    shutil.copytree(sound, results)
    try:
        path = damage.apply(results)
    except Inapplicable as why:
        pytest.skip(str(why))
    _, problems = check(results)
    damage.after(results)
    assert any(named(path, p.path) for p in problems), [f"{p.path}: {p.problem}" for p in problems]
    for problem in problems:
        assert len(problem.problem) < 400 and problem.problem.isprintable()
        assert "cannot be checked" not in problem.problem, "a reason of its own, not whatever was raised"


def named(path: Path, reported: str) -> bool:
    """The file itself, a file of the same run, or something below the folder."""
    return Path(reported) == path or path in Path(reported).parents or Path(reported).name.startswith(path.stem[:16])


def test_the_command_reports_and_fails(sound, tmp_path):
    results = tmp_path / "results"
    shutil.copytree(sound, results)
    done = bench("check", results, "--json", cache=tmp_path)
    assert json.loads(done.stdout) == {"records": 2, "ok": True, "problems": []}
    (results / "notes.txt").write_text("hello")
    record = sorted(results.rglob("*.json"))[0]
    raw = json.loads(record.read_text())
    raw["metrics"]["main"]["value"] += 1e-4
    record.write_text(json.dumps(raw))
    done = bench("check", results, "--json", cache=tmp_path, check=1)
    problems = {p["path"]: p["problem"] for p in json.loads(done.stdout)["problems"]}
    assert set(problems) == {str(results / "notes.txt"), str(record)}
    assert "metrics.main.value: the record says" in problems[str(record)]
    done = bench("check", tmp_path / "nowhere", cache=tmp_path, check=2)
    assert "there is no folder of results" in done.stderr


def test_a_run_id_is_the_hash_of_its_spec(sound):
    for path in sound.rglob("*.json"):
        assert run_id_of(json.loads(path.read_text())["spec"]) == path.stem


def test_a_record_names_no_file_that_is_run(tmp_path, monkeypatch):
    """A committed record whose task is the name of a file in the folder that the check is started in."""
    path = next((ROOT / "results/lite/sts").rglob("*.json"))
    text = path.read_text(encoding="utf-8")
    spec = json.loads(text)["spec"] | {"task": "mine.py"}
    raw = json.loads(text.replace(path.stem, run := run_id_of(spec))) | {"spec": spec}
    place = disk.path_of(tmp_path / "results", spec, run)
    place.parent.mkdir(parents=True)
    place.write_text(json.dumps(raw), encoding="utf-8")
    for ending in (".npz", ".samples.npz"):
        shutil.copy(path.with_name(path.stem + ending), place.with_name(run + ending))
    (tmp_path / "mine.py").write_text("from pathlib import Path\nPath('ran').touch()\n")
    monkeypatch.chdir(tmp_path)
    _, problems = check(Path("results"))
    assert [p.problem.partition(":")[0] for p in problems] == ["unknown task 'mine.py'"]
    assert not (tmp_path / "ran").exists()


def test_differences_allow_rounding_alone():
    said = {"value": 1.0, "ci95": (0.9, 1.1), "name": "x"}
    assert not list(differences(said, said | {"value": 1.0 + 1e-9, "ci95": (0.901, 1.1)}))
    for change in ({"value": 1.0001}, {"ci95": (0.91, 1.1)}, {"name": "y"}):
        assert len(list(differences(said, said | change))) == 1
