"""`bench tune`: as many trials of every method on dev, test unread, no rows; what was tried is in one file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.cli import forms
from bench.errors import RequestError
from bench.records import disk, tuning
from bench.records.check import check
from bench.runs import tune
from bench.runs.spec import Request
from bench.task import Task
from tests.factories.commands import bench, refused, runs_of

pytest.importorskip("optuna", reason="bench tune needs the 'tune' extra")

FRAGILE = '''
"""Plain matching, which breaks where its weight is large."""

from dataclasses import dataclass
from typing import Annotated

from bench.errors import BenchError
from bench.method import Method, Tuned


class Fragile(Method):
    needs = frozenset({"output"})

    @dataclass(frozen=True)
    class Settings:
        weight: Annotated[float, Tuned(0, 1)] = 0.25

    def __init__(self, settings, run):
        super().__init__(settings, run)
        if settings.weight > 0.6:
            raise BenchError("the weight is too large")

    def stages(self):
        yield self.stage("match", self.loss, needs=self.needs)

    def loss(self, student, teacher, batch):
        return {"match": self.settings.weight * self.goal.match(*self.goal.pair(student, teacher, batch))}
'''
SMALL = ["--set", "updates=2", "--set", "batch_size=4", "--set", "examples=16", "--set", "evaluations=1"]


@pytest.fixture
def asked(teacher: Path, tmp_path: Path) -> list[Any]:
    path = tmp_path / "fragile.py"
    path.write_text(FRAGILE)
    return ["--task", "sts", "--method", path, "--student", "bow:48", "--teacher", teacher, *SMALL]


def tuned(asked: list[Any], results: Path, trials: int) -> dict[str, Any]:
    done = bench("tune", *asked, "--results", results, "--trials", trials, "--json")
    assert not list(forms.problems(forms.FORMS["tune"], json.loads(done.out)))
    return dict(json.loads(done.out)["methods"][0])


@pytest.fixture
def sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever opens test fails."""
    monkeypatch.setattr(Task, "unseal", lambda self: pytest.fail("test was opened"))


def test_trials_are_counted_kept_and_gone_on_with(asked: list[Any], tmp_path: Path, sealed: None):
    results = tmp_path / "results"
    tuned(asked, results, 2)
    told = tuned(asked, results, 4)  # draws two more
    (path,) = (results / "tuning").iterdir()
    kept = tuning.read(path)
    assert disk.paths(results) == [] and check(results)[1] == []
    assert told["file"] == str(path) and told["trials"] == len(kept.trials) == 4
    assert kept.trials[0].settings == {} and kept.space["weight"].model_dump() == {"low": 0, "high": 1, "log": False}
    weights = [trial.settings["weight"] for trial in kept.trials[1:]]
    assert len(set(weights)) == 3 and all(0 <= w <= 1 for w in weights)
    failed = [trial for trial in kept.trials if trial.dev is None]
    assert [t.settings["weight"] > 0.6 for t in kept.trials[1:]] == [t.dev is None for t in kept.trials[1:]]
    assert failed and told["failed"] == len(failed) and failed[0].error == "the weight is too large"
    assert told["updates"] == 2 * (4 - len(failed)) and told["best"] == max(t.dev or -1 for t in kept.trials)
    assert "--seeds 0,1,2" in told["command"] and kept.sampler.startswith("optuna")
    again = tuned(asked, tmp_path / "again", 4)  # at once: the sampler draws the same
    (other,) = (tmp_path / "again/tuning").iterdir()
    assert [t.run_id for t in tuning.read(other).trials] == [t.run_id for t in kept.trials]
    assert (again["best"], other.name) == (told["best"], path.name)
    refused(bench("tune", *asked, "--results", results, "--trials", 3, check=2), "has had 4 trials")


def test_a_run_with_the_best_settings_names_the_tuning(asked: list[Any], tmp_path: Path):
    results = tmp_path / "results"
    told = tuned(asked, results, 2)
    best = [w for key, value in told["settings"].items() for w in ("--set", f"fragile.{key}={value}")]
    run = runs_of(bench("run", *asked, *best, "--seeds", "1", "--results", results, "--json"))[0]
    record, name = disk.read(Path(run["record"])), Path(told["file"]).name
    assert record.tuned == name and check(results)[1] == []
    other = record.spec | {"settings": record.spec["settings"] | {"method": {"weight": 0.5}}}
    assert tuning.naming(results, record.spec | {"seed": 7}) == name and tuning.naming(results, other) is None
    record.spec = other
    assert list(tuning.unnamed(record, results)) == [f"tuned: no trial of tuning/{name} had these settings"]
    Path(told["file"]).write_text("{")  # a run goes on, and the check says what is wrong
    assert tuning.naming(results, record.spec) is None
    assert any("tuning" in p.path for p in check(results)[1])
    Path(told["file"]).unlink()
    assert f"tuned: there is no tuning/{name}" in [p.problem for p in check(results)[1]]


def test_every_method_has_as_many_trials_and_updates():
    request = Request(["sts"], ["kd", "rkd"], ["bow:8"], settings=["updates=8", "kd.form=hinton"])
    kd, rkd = tune.plan(request, [])
    assert kd.request.settings == request.settings and rkd.request.settings == ["updates=8"]
    assert kd.first.track == rkd.first.track and kd.first.track.updates == 8
    assert kd.space.keys() == {"lr"} == rkd.space.keys()  # of vectors kd has no weight and no temperature
    # kd's recipe for vectors has 2e-4; a factor of 4 each way
    assert kd.space["lr"].model_dump() == pytest.approx({"low": 5e-5, "high": 8e-4, "log": True})
    assert kd.own() == {"lr": 2e-4} and [type(d).__name__ for d in kd.distributions().values()] == ["FloatDistribution"]


def test_ranges_of_the_command_replace_and_add():
    request = Request(["sts"], ["disco"], ["bow:8"], settings=["disco.lr=1e-4"])
    (study,) = tune.plan(request, ["disco.queue=64:4096:log", "theta=0:2"])
    assert {name: (r.low, r.high, r.log) for name, r in study.space.items()} == {
        "queue": (64, 4096, True), "theta": (0, 2, False),
    }  # fmt: skip
    assert type(study.distributions()["queue"]).__name__ == "IntDistribution"  # as the setting is a whole number


@pytest.mark.parametrize(
    ("search", "settings", "words"),
    [
        ("lr=1", (), "give LOW:HIGH"),
        ("lr=1e-3:1e-4", (), "LOW is below HIGH"),
        ("lr=0:1:log", (), "above 0 on a log scale"),
        ("lr=1e-4:1e-3:lin", (), "LOW is below HIGH"),
        ("lr=nan:1", (), "give LOW:HIGH"),
        ("rate=0:1", (), "unknown setting 'rate'"),
        ("form=0:1", (), "the setting is no number"),
        ("rkd.angle=0:1", (), "only settings of kd are searched"),
        ("lr=-1:1", (), "--set kd.lr=-1.0"),
        ("lr=1e-4:1e-3", ("lr=1e-4",), "give one of them"),
        ("", ("lr=1e-4",), "kd has no setting to search"),
    ],
)
def test_a_wrong_search_is_one_sentence(search: str, settings: tuple[str, ...], words: str):
    request = Request(["sts"], ["kd"], ["bow:8"], settings=settings)
    with pytest.raises(RequestError, match=words):
        tune.plan(request, [search] if search else [])


def test_several_data_sets_are_refused_and_a_dry_run_tells_the_space():
    refused(bench("tune", "--task", "images", "--method", "kd", "--trials", 1, check=2), "--trials")
    lines = bench("tune", "--task", "sts", "--method", "kd", "--student", "bow:8", "--trials", 5, "--dry-run").out
    assert "5e-05 to 0.0008" in lines and "400" in lines  # 5 trials of 80 updates


def test_a_changed_file_is_found(asked: list[Any], tmp_path: Path):
    results = tmp_path / "results"
    path = Path(tuned(asked, results, 2)["file"])
    raw = json.loads(path.read_text())
    raw["trials"][0]["dev"] = 0.99
    raw["trials"][0]["run_id"] = "0" * 16
    path.write_text(json.dumps(raw))
    assert {p.problem for p in check(results)[1]} == {
        "spec: not that of the best trial", "asked: not the spec of the first trial",
    }  # fmt: skip
