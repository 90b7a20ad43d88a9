"""`bench check` against damages of every kind, on records that real runs left."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from bench.records import disk
from bench.records.arrays import flatten, unflatten
from bench.records.check import check, malformed
from bench.records.mismatches import mismatches
from bench.scoring.scores import Ragged
from tests.factories import damages as d
from tests.factories.commands import bench
from tests.factories.records import make, run_id_of
from tests.factories.runs import ROOT, Finished

DAMAGES: dict[str, d.Damage] = {
    # what is no record
    "cut in the middle": d.text(lambda data: data[: len(data) // 2]),
    "not UTF-8": d.text(lambda data: data.replace(b'"origin": "', b'"origin": "\xff\xfe', 1)),
    "a number that is none": d.edit("metrics.dev", float("nan")),
    "a number that is a text": d.edit("metrics.dev", str),
    "a number beyond 64 bits": d.edit("metrics.all.*.*", 10**40),
    "a key twice": d.text(lambda data: data.replace(b'"schema": 2', b'"schema": 2,\n "schema": 2', 1)),
    "a key too many": d.record(lambda raw: raw.update(comment="fine")),
    "another schema": d.edit("schema", 99),
    "100,000 brackets": d.text(lambda data: b"[" * 100_000 + b"]" * 100_000),
    "control characters": d.edit("student.origin", "teacher\x1b[2J\x07"),
    # what is another run than it says
    "seed changed, the id left": d.edit("spec.seed", d.plus(1)),
    "task that climbs out of the folder": d.spec(task="../mini/sts"),
    "student that is not the measured one": d.spec(student="imaginary:3"),
    "data that were not read": d.edit("data.identity", "0" * 64),
    "teacher that was not used": d.edit("teacher.identity", "imaginary==1#"),
    "predictions in a file that climbs out": d.edit("predictions.file", lambda name: f"../../{name}"),
    # numbers that do not follow from the files, or do not fit one another
    "main value better by 1e-6": d.edit("metrics.main.value", d.plus(1e-6)),
    "every score better by 0.01, each fitting the others": d.record(d.every_score),
    "ci95 half as wide": d.edit("metrics.main.ci95", lambda ci: [np.dot(ci, (0.75, 0.25)), np.dot(ci, (0.25, 0.75))]),
    "ci95 above the value": d.edit("metrics.main.ci95", lambda ci: [x + 0.5 for x in ci]),
    "loyalty changed": d.edit("metrics.loyalty.*.*", d.plus(1e-3)),
    "one metric of the teacher changed": d.edit("teacher.metrics.*.*", d.plus(1e-3)),
    "a choice of another step": d.edit("metrics.choices.0.step", d.plus(1)),
    "dev of no point of the curve": d.edit("metrics.dev", d.plus(0.05)),
    "parameters that are not embedding + active": d.edit("efficiency.parameters.total", d.plus(1)),
    "latency halved": d.edit("efficiency.latency.single.p50_ms", lambda ms: ms / 2),
    "speedup doubled with its interval": d.record(d.speedup_doubled),
    "noisy that does not fit its reasons": d.edit("efficiency.noisy", lambda noisy: not noisy),
    "updates that are not those of the stages": d.edit("cost.student_updates", d.plus(1)),
    "a stage of other length than its curve": d.edit("cost.stages.*", d.plus(1)),
    "finished before started": d.record(d.swapped_times),
    # arrays that the record was not made from, or that no run writes
    "predictions of another run": d.another_runs,
    "one prediction changed": d.array("prediction", d.one_moved),
    "a prediction that is not a number": d.array("prediction", d.one_nan),
    "a prediction too few": d.array("prediction", lambda values: values[1:]),
    "no predictions of the teacher": d.arrays(lambda found: found.pop(d.key_of(found, "teacher"))),
    "a data set too many": d.arrays(d.added_set),
    "a sample below 0": d.arrays(d.sample(-5), d.SAMPLES),
    "samples of the student halved": d.arrays(d.quicker, d.SAMPLES),
    "samples of one network": d.arrays(d.without_teacher, d.SAMPLES),
    # files of arrays that are broken or hostile
    "predictions cut, the hash left": d.unhashed,
    "predictions that run a command when unpickled": d.pickled,
    "a header that runs a command": d.calling_header,
    # files that are missing, elsewhere, twice, no plain files, or none of ours
    "record without its predictions": d.removed("predictions"),
    "predictions without their record": d.without_record,
    "run in another student's folder": lambda results: d.moved(results, lambda folder: folder.with_name("imaginary-3")),
    "run a second time elsewhere": lambda results: d.moved(results, lambda folder: folder.with_name("x"), copy=True),
    "run a second time under another id": lambda results: d.moved(results, Path, copy=True, name=d.OTHER),
    "a file that is not ours": d.added("notes.txt", b"looks good\n"),
    "an interrupted write": d.added(".abcd1234.partial", b'{\n "schema":'),
    "a name that clears the terminal": d.added("\x1b[2J.json", b"{}\n"),
    "a link to the record outside": d.linked,
    "a link to a folder": d.linked_folder,
    "a folder named like a record": d.folder_for_record,
    "a pipe named like predictions": d.pipe,
}  # fmt: skip


@pytest.fixture(scope="module")
def sound(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The records of two runs."""
    results = tmp_path_factory.mktemp("sound") / "results"
    for outcome in finished.outcomes[:2]:
        folder = Path(outcome["record"]).parent
        shutil.copytree(folder, results / folder.relative_to(finished.results))
    return results


@pytest.fixture
def results(sound: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return shutil.copytree(sound, tmp_path / "results")


def test_what_a_run_leaves_is_sound(sound):
    assert check(sound) == (2, [])


@pytest.mark.parametrize("name", DAMAGES)
def test_every_damage_is_reported(name: str, results: Path) -> None:
    path = DAMAGES[name](results)
    _, problems = check(results)
    assert not d.marker(results).exists(), "the check executed what a file told it to"
    assert any(named(path, p.path) for p in problems), [f"{p.path}: {p.problem}" for p in problems]
    for problem in problems:
        assert len(problem.problem) < 400 and problem.problem.isprintable()
        assert "cannot be checked" not in problem.problem, "a reason of its own, not whatever was raised"


def test_the_trap_is_sprung_by_a_reader_that_allows_pickles(results: Path) -> None:
    with np.load(d.file_of(d.pickled(results)), allow_pickle=True) as found:
        found["lee/prediction"]
    assert d.marker(results).exists()


def named(path: Path, reported: str) -> bool:
    """The file itself, a file of the same run, or something below the folder."""
    return Path(reported) == path or path in Path(reported).parents or Path(reported).name.startswith(path.stem[:16])


def test_the_command_reports_and_fails(results, tmp_path):
    done = bench("check", results, "--json", cache=tmp_path)
    assert json.loads(done.out) == {"records": 2, "ok": True, "problems": []}
    (results / "notes.txt").write_text("hello")
    record = sorted(results.rglob("*.json"))[0]
    raw = json.loads(record.read_text())
    raw["metrics"]["main"]["value"] += 1e-4
    record.write_text(json.dumps(raw))
    done = bench("check", results, "--json", cache=tmp_path, check=1)
    problems = {p["path"]: p["problem"] for p in json.loads(done.out)["problems"]}
    assert set(problems) == {str(results / "notes.txt"), str(record)}
    assert "metrics.main.value: the record says" in problems[str(record)]
    done = bench("check", tmp_path / "nowhere", cache=tmp_path, check=2)
    assert "there is no folder of results" in done.err


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
    assert not list(mismatches(said, said | {"value": 1.0 + 1e-9, "ci95": (0.901, 1.1)}))
    for change in ({"value": 1.0001}, {"ci95": (0.91, 1.1)}, {"name": "y"}):
        assert len(list(mismatches(said, said | change))) == 1


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
    found = list(malformed(unflatten(flatten(arrays)), record))
    assert [why.partition(": ")[2] for why in found] == [problem] * bool(problem)
