"""Commands that are killed before each of their file operations: given again, they leave what they always leave."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from bench.base import provenance as times
from bench.base.archive import pack
from bench.base.console import Console, printable, warn
from bench.base.files import sha256
from bench.errors import RequestError
from bench.networks.places import Place
from bench.records import disk
from bench.records.arrays import flatten, flatten_samples
from bench.records.schemas import Record
from bench.runs import protocol, sweep, teach
from bench.runs.teach import CHECKPOINT
from bench.store import folders
from bench.task import Track
from bench.training import checkpoint
from bench.training.loop import Progress
from bench.web import build as site
from bench.web import publish
from tests.factories.killing import Killed, at_every_operation, killed, tree
from tests.factories.records import make, predictions

QUIET = Console(quiet=True)
SAMPLES = {"single": {"teacher": [[5, 6]], "student": [[1, 2]]}}
AGAIN = {"single": {"teacher": [[7, 8]], "student": [[3, 4]]}}


def record(samples: Any) -> Record:
    """A record that is whole beside its predictions and these samples."""
    found = make()
    found.predictions.file, found.predictions.sha256 = f"{found.run_id}.npz", sha256(pack(flatten(predictions(0.4, 0))))
    found.efficiency.samples.sha256 = sha256(pack(flatten_samples(samples)))
    return found


@pytest.fixture
def spec(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A run of which all is real that writes, and nothing that computes."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    found = record(SAMPLES)
    student = SimpleNamespace(state_dict=lambda: {"w": torch.ones(2)}, named_parameters=list, blueprint=dict)

    def distil(spec: Any, folder: Path, *_: Any) -> Any:
        checkpoint.save(folder / CHECKPOINT, {"w": torch.zeros(2)}, {})
        return SimpleNamespace(student=student, teacher=None, trainer=None, dev=0.5)

    monkeypatch.setattr(protocol, "distil", distil)
    monkeypatch.setattr(protocol, "predict", lambda *_: predictions(0.4, 0))
    monkeypatch.setattr(protocol, "measure", lambda *_, anew=False: {"samples": AGAIN if anew else SAMPLES})
    monkeypatch.setattr(protocol.recording, "scored", lambda *_: {})
    monkeypatch.setattr(protocol.recording, "make_record", lambda *_: found.model_copy(deep=True))
    monkeypatch.setattr(protocol.recording, "efficiency", lambda *_: record(AGAIN).efficiency.model_dump())
    monkeypatch.setattr(protocol.recording, "size", lambda *_: found.teacher.efficiency.model_dump())
    teacher = SimpleNamespace(network=None)
    monkeypatch.setattr(protocol, "restore", lambda *_: (student, teacher))
    task = SimpleNamespace(unseal=lambda: None)
    return SimpleNamespace(
        values=found.spec, run_id=found.run_id, label="run", wanted=(), others={}, task=task,
        place=Place("teacher", "x", "", tmp_path),
    )  # fmt: skip


def sound(path: Path) -> bool:
    """Whether the files beside a record are those that it names."""
    said = disk.read(path)
    files = said.predictions, said.efficiency.samples
    return all(sha256(path.with_name(stored.file).read_bytes()) == stored.sha256 for stored in files)


def test_a_run(spec: Any, tmp_path: Path) -> None:
    results, cache = tmp_path / "results", tmp_path / "cache"

    def start() -> None:
        for folder in (results, cache):
            shutil.rmtree(folder, ignore_errors=True)

    def run() -> None:
        sweep.run_one(spec, results, torch.device("cpu"), QUIET)

    whole, *others = at_every_operation(start, run, lambda: tree(results, cache))
    assert [Path(name).suffix for name in whole] == [".json", ".npz", ".npz", ".safetensors"]
    assert all(other == whole for other in others) and len(others) > 8


def test_a_run_that_is_measured_again(spec: Any, tmp_path: Path) -> None:
    """At every moment, too, the next plain command leaves a record whose files are its own."""
    results, cache = tmp_path / "results", tmp_path / "cache"
    path = disk.path_of(results, spec.values, spec.run_id)

    def start() -> None:
        for folder in (results, cache):
            shutil.rmtree(folder, ignore_errors=True)
        sweep.run_one(spec, results, torch.device("cpu"), QUIET)

    def again() -> None:
        sweep.run_one(spec, results, torch.device("cpu"), QUIET, again=set())

    whole, *others = at_every_operation(start, again, lambda: tree(results, cache))
    assert all(other == whole for other in others) and len(others) >= 4

    def plain() -> bool:
        sweep.run_one(spec, results, torch.device("cpu"), QUIET)
        left = [p.name for p in path.parent.iterdir() if p.name.startswith(".")]
        return sound(path) and not left

    for number in range(len(others)):
        start()
        with pytest.raises(Killed), killed(number):
            again()
        assert plain(), number


def test_a_teacher(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    said = make()

    class Trained:
        def __init__(self, *arguments: Any) -> None:
            self.path, self.meter = arguments[4], None

        def fit(self) -> Progress:
            checkpoint.save(self.path, {"w": torch.zeros(2)}, {})
            return Progress(updates=80, curve=list(said.curve))

    network = SimpleNamespace(
        width=1, optimiser=said.data, origin="here", reads_targets=False, reads_together=False,
        state_dict=lambda: {"w": torch.ones(2)}, load_state_dict=lambda tensors: None,
    )  # fmt: skip
    dev = SimpleNamespace(outputs=lambda n: n, score=lambda o: 0.5, diagnosis=lambda n: {})
    task = SimpleNamespace(name="sts", track=Track(1, 1), track_name="mini", main_metric="spearman")
    folder = folders.root() / "teachers" / "key"
    plan = teach.Plan("model", task, None)  # type: ignore[arg-type]
    for name, value in {
        "key": "key", "folder": folder, "weights": folder / "teacher.safetensors", "name": "model",
        "network": lambda self: network,
    }.items():  # fmt: skip
        monkeypatch.setattr(teach.Plan, name, value)
    for name, value in {
        "Trainer": Trained, "Evaluation": lambda *_: dev, "Supervised": lambda *_: network, "Run": lambda *_: None,
        "asdict": lambda _: {}, "parameters": lambda _: said.efficiency.parameters.model_dump(),
        "now": lambda: "2025-01-01T10:00:00+00:00", "provenance": lambda _: said.provenance.model_dump(),
    }.items():  # fmt: skip
        monkeypatch.setattr(teach, name, value)
    monkeypatch.setattr(teach.recording, "check_card", lambda _: None)
    monkeypatch.setattr(teach.recording, "data", lambda _: said.data.model_dump())
    monkeypatch.setattr(teach.recording, "cost", lambda *_: said.cost.model_dump(exclude={"before"}))
    monkeypatch.setattr(teach.machine, "describe", lambda _: dict(said.environment))
    place, results = Place("model", "taught key", "", folder, origin=plan), tmp_path / "results"

    def start() -> None:
        for there in (results, tmp_path / "cache"):
            shutil.rmtree(there, ignore_errors=True)

    def command() -> None:
        teach.ensure(plan, torch.device("cpu"), QUIET)
        teach.publish(place, results)

    whole, *others = at_every_operation(start, command, lambda: tree(results, tmp_path / "cache"))
    assert set(whole) == {
        "results/teachers/key.json", "cache/teachers/key/record.json", "cache/teachers/key/teacher.safetensors"
    }  # fmt: skip
    assert all(other == whole for other in others) and len(others) > 6


def test_a_site_from_which_runs_were_withdrawn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of all that a build does, only what pages say is made up here."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    results, out = tmp_path / "results", tmp_path / "out"

    def unit(results: Path, out: Path, others: Any, links: Any, name: str, stamps: Any) -> dict[str, Any]:
        ids = [Path(path).stem for path in stamps]
        made = {f"runs/{run}.html": name.encode() for run in ids}
        made[f"tasks/{name.replace('/', '-')}.html"] = "\n".join(ids).encode()
        publish.write(out, site.part_of(name), made, others)
        runs = [{"run_id": run} for run in ids]
        return {"stamps": dict(stamps), "boards": [], "runs": runs, "files": sorted(made)}

    def wide(*found: Any) -> dict[str, bytes]:
        return {"index.html": "\n".join(sorted(found[0])).encode(), "feed.xml": str(len(found[0])).encode()}

    monkeypatch.setattr(site, "build_unit", unit)
    monkeypatch.setattr(site.sitewide, "files", wide)

    def start() -> None:
        for folder in (results, out, tmp_path / "cache"):
            shutil.rmtree(folder, ignore_errors=True)
        for track, seed in (("mini", 0), ("mini", 1), ("lite", 0)):
            found = make(seed=seed, track=track)
            disk.write(results, found, {"lee/gold": np.zeros(1)}, SAMPLES)
        site.build(results, out)
        disk.path_of(results, found.spec, found.run_id).unlink()  # a whole board is withdrawn
        first = make(seed=0, track="mini")
        disk.path_of(results, first.spec, first.run_id).unlink()  # and a run of another one
        disk.write(results, make(seed=2, track="mini"), {"lee/gold": np.zeros(1)}, SAMPLES)

    whole, *others = at_every_operation(start, lambda: site.build(results, out), lambda: tree(out))
    assert len(others) > 10 and not any(make(seed=0, track="lite").run_id in name for name in whole)
    for number, other in enumerate(others):
        assert other == whole, (number, other.keys() ^ whole.keys())


@pytest.mark.parametrize("status", [0, 1, None])
def test_a_plug_in_that_exits_has_failed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, status: int | None) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    found, code = sweep.attempt("run", lambda: sys.exit(status), QUIET)
    assert code == 1 and isinstance(found, dict) and found["error"].startswith("SystemExit")
    assert "sys.exit" in Path(found["log"]).read_text()


def test_nobody_reads_what_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that is gone ends no run."""

    class Gone:
        closed = False

        def isatty(self) -> bool:
            return True

        def write(self, _: str) -> None:
            raise BrokenPipeError

        flush = None

    monkeypatch.setattr(sys, "stderr", Gone())
    console = Console()
    console("a line")
    console.progress("stage", 1, 1)
    console("another")
    warn("a word")


def test_names_command_neither_terminal_nor_ci() -> None:
    assert printable("a\x1b[2J\nb\u202e") == "a\\x1b[2J\\nb\\u202e"
    assert printable("::error::x") == "./::error::x" and printable("Zürich: ok") == "Zürich: ok"


def test_a_user_without_a_home_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("BENCH_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    with pytest.raises(RequestError, match="BENCH_CACHE"):
        folders.root()


def test_a_clock_that_was_set_back_leaves_times_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(times, "now", lambda: "2025-01-01T09:00:00+00:00")
    assert times.provenance("2025-01-01T10:00:00+00:00")["finished"] == "2025-01-01T10:00:00+00:00"
