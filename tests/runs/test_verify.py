"""`bench verify`: a record's run is carried out again."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from bench.records import disk
from bench.runs.verify import judge
from tests.factories.commands import bench


@pytest.fixture(scope="module")
def kept(finished, tmp_path_factory):
    """A folder with copies of the results of kd and of the store, and the run's outcome."""
    folder, outcome = tmp_path_factory.mktemp("verify"), finished.outcomes[0]
    place = Path(outcome["record"]).parent
    shutil.copytree(place, folder / "results" / place.relative_to(finished.results))
    shutil.copytree(finished.cache, folder / "cache")
    return folder, outcome


def test_a_run_comes_out_the_same_and_a_changed_record_does_not(kept, tmp_path):
    folder, outcome = kept
    before = {p: p.read_bytes() for p in folder.rglob("*.json") if p.is_relative_to(folder / "results")}
    done = bench("verify", outcome["run_id"][:8], "--results", folder / "results", "--json", cache=folder / "cache")
    found = json.loads(done.out)
    assert found["verdict"] == "same" and found["again"] == pytest.approx(outcome["value"], abs=1e-6)
    assert set(found["metrics"]["lee"]) == {"pearson", "spearman"}
    assert {p: p.read_bytes() for p in before} == before
    assert (folder / "cache/runs" / outcome["run_id"] / "student.safetensors").exists()
    assert not list((folder / "cache/runs").glob("*-verify"))

    shutil.copytree(folder / "results", tmp_path / "results")
    (path,) = (tmp_path / "results").rglob("*.json")
    raw = json.loads(path.read_text())
    raw["metrics"]["main"] |= {"value": 0.99, "ci95": [0.98, 1.0]}
    raw["metrics"]["all"]["lee"]["spearman"] = 0.99
    path.write_text(json.dumps(raw))
    done = bench("verify", path, "--results", tmp_path / "results", cache=folder / "cache", check=1)
    assert "different" in done.out and "99.0000" in done.out


def test_verdicts(kept):
    record = next(iter(disk.read_all(kept[0] / "results")))
    same = record.metrics.all
    low, high = record.metrics.main.ci95
    near = {"lee": {"pearson": same["lee"]["pearson"], "spearman": (record.metrics.main.value + high) / 2}}
    far = {"lee": {"pearson": same["lee"]["pearson"], "spearman": low - 0.01}}
    assert [judge(record, s)["verdict"] for s in (same, near, far)] == ["same", "within interval", "different"]


def test_an_unknown_run_is_refused(kept):
    done = bench("verify", "ffff", "--results", kept[0] / "results", cache=kept[0] / "cache", check=2)
    assert "ffff" in done.err


ATTACKS = {
    "a method by its digest": ("method", True),
    "a method as a path": ("method", False),
    "a task as a path": ("task", False),
    "a student as a path": ("student", False),
}


@pytest.mark.parametrize(("kind", "by_digest"), ATTACKS.values(), ids=ATTACKS)
@pytest.mark.parametrize("command", [("verify",), ("export", "--format", "hf", "--out", "out")], ids=lambda c: c[0])
def test_no_file_that_a_record_names_is_run(kept, tmp_path, command, kind, by_digest):
    """What it would do shows in a file; only who names the plug-in has it imported."""
    # its own text in each test: a file is imported once in a process
    (tmp_path / "evil.py").write_text(f"from pathlib import Path\n\nPath('marker').touch()  # {tmp_path}\n")
    digest = hashlib.sha256((tmp_path / "evil.py").read_bytes()).hexdigest()[:16]
    (path,) = (kept[0] / "results").rglob("*.json")
    raw = json.loads(path.read_text())
    raw["spec"][kind] = "evil" if by_digest else "./evil.py"
    raw["spec"]["versions"][kind] = digest if by_digest else 1
    raw["provenance"]["command"] = "bench run --method ./evil.py"
    (tmp_path / "r.json").write_text(json.dumps(raw))
    typed = (command[0], "r.json", *command[1:])
    done = bench(*typed, cache=kept[0] / "cache", cwd=tmp_path, check=2)
    assert "no file that a record names is run" in done.err and not (tmp_path / "marker").exists()
    bench(*typed, "--file", "evil.py", cache=kept[0] / "cache", cwd=tmp_path, check=2)
    assert (tmp_path / "marker").exists() == (kind != "task")  # a task has to declare its kind first
