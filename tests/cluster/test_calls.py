"""`bench run --engine ray`: what `--engine local` gives, several runs at once, whatever dies meanwhile."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.records import disk
from tests.factories.commands import bench, refused, runs_of
from tests.factories.runs import ROOT, command, spawned

pytestmark = pytest.mark.slow

TOY = str(ROOT / "tests/factories/toy.py")
SWEEP = [
    "run", "--task", TOY, "--method", "kd", "--method", "finetune", "--student", "bow:8",
    "--student", "bow:16", "--seeds", "0,1", "--set", "updates=200", "--set", "evaluations=4", "--json",
]  # fmt: skip
RAY = ["--engine", "ray", "--jobs", "2"]
LONG = ["--set", "updates=20000", "--set", "evaluations=200", "--set", "teach=12"]
ONE = ["--method", "kd", "--student", "bow:8"]
Local = tuple[Path, list[dict]]
Start = Callable[..., subprocess.Popen[str]]
BROKEN = (
    "from bench.baselines.kd import Kd\n\n\nclass Mine(Kd):\n    def after_update(self, progress):\n"
    "        assert progress == 1, 'no'\n"  # a rehearsal is one update
)


@pytest.fixture(scope="module", autouse=True)
def ray() -> None:
    pytest.importorskip("ray", reason="the engine needs the 'ray' extra")
    if (os.cpu_count() or 1) < 2:
        pytest.skip("two runs at once need two CPUs")


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Local:
    """(folder, outcomes) of the sweep without Ray."""
    folder = tmp_path_factory.mktemp("local")
    return folder, runs_of(spawned(*SWEEP, "--results", folder / "results", cache=folder / "cache"))


def with_timings(local: Local, folder: Path) -> Path:
    """A store that holds the teacher and the timings already."""
    for name in ("timings", "teachers"):
        shutil.copytree(local[0] / "cache" / name, folder / "cache" / name)
    return folder / "cache"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a command in the background, on a store in tmp_path; ends it with the test, its cluster with it."""
    started = []

    def command_of(*arguments: str) -> subprocess.Popen[str]:
        environment = os.environ | {"BENCH_CACHE": str(tmp_path / "cache")}
        whole, log = command(*arguments, "--results", tmp_path / "results"), (tmp_path / "log").open("w")
        started.append(
            subprocess.Popen(whole, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
        )
        return started[-1]

    yield command_of
    for child in started:
        child.send_signal(signal.SIGINT)
        child.communicate(timeout=60)


def wait_for(found: Callable[[], int], child: subprocess.Popen[str], folder: Path) -> int:
    deadline = time.monotonic() + 120
    while not (there := found()):
        assert child.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
        time.sleep(0.005)
    return there


def unfinished(folder: Path) -> list[str]:
    """Ids of the runs that have a checkpoint."""
    return [path.parent.name for path in (folder / "cache").glob("runs/*/checkpoint.safetensors")]


def workers_of(folder: Path, run_id: str = "") -> list[int]:
    """Process ids of this store's workers, all or the one that is at a run."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            title, environment = (process / "cmdline").read_bytes(), (process / "environ").read_bytes()
        except OSError:  # it has ended
            continue
        if title.startswith(f"ray::bench {run_id}".encode()) and str(folder / "cache").encode() in environment:
            found.append(int(process.name))
    return found


def without_speed(path: str) -> dict:
    """What a record says that must not depend on how the run was carried out."""
    record = disk.read(ROOT / path).model_dump()
    kept = {key: record[key] for key in ("run_id", "spec", "data", "student", "metrics", "curve", "predictions")}
    return kept | {"updates": record["cost"]["student_updates"], "threads": record["environment"]["threads"]}


def test_a_sweep_whose_worker_is_killed_ends_as_without_ray(local: Local, tmp_path: Path, start: Start) -> None:
    """Two of its runs are finished before, and skipped."""
    with_timings(local, tmp_path)
    finished = Path(local[1][2]["record"]).parent.relative_to(local[0])
    shutil.copytree(local[0] / finished, tmp_path / finished)
    child = start(*SWEEP, *RAY)
    pid = wait_for(
        lambda: next((p for run in unfinished(tmp_path) for p in workers_of(tmp_path, run)), 0), child, tmp_path
    )
    os.kill(pid, signal.SIGKILL)
    out, _ = child.communicate(timeout=200)
    log = (tmp_path / "log").read_text()
    assert child.returncode == 0, log
    assert re.search(r"\[\d+/8\]  resumed after \d+ updates", log), log
    keys = ("run_id", "task", "method", "student", "seed", "metric", "value", "retention")
    runs = json.loads(out)["runs"]
    assert [r["status"] for r in runs] == 2 * ["done"] + 2 * ["skipped"] + 4 * ["done"]
    assert [[r[k] for k in keys] for r in runs] == [[r[k] for k in keys] for r in local[1]]
    for ours, theirs in zip(runs, local[1], strict=True):
        assert without_speed(ours["record"]) == without_speed(theirs["record"])
    assert len(list((tmp_path / "cache" / "timings").iterdir())) == 2  # those of the shapes are found


def test_ray_is_not_started_where_all_runs_are_finished(local: Local, tmp_path: Path) -> None:
    done = bench(*SWEEP, *RAY, "--results", local[0] / "results", cache=tmp_path / "cache")
    assert runs_of(done) == [r | {"status": "skipped"} for r in local[1]]
    assert "Ray" not in done.err


def test_a_failing_run_stops_no_other(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text(BROKEN)
    arguments = ["--task", TOY, "--method", "./broken.py", *ONE, "--results", "r", "--json"]
    done = spawned("run", *arguments, *RAY, cache=tmp_path / "cache", cwd=tmp_path, check=1, PYTHONPATH=str(ROOT))
    broken, fine = runs_of(done)
    assert (broken["status"], broken["record"], fine["status"]) == ("failed", None, "done")
    assert (
        broken["error"].endswith("broken.py, line 6: AssertionError: no")
        and "Traceback" in Path(broken["log"]).read_text()
    )
    assert "[1/2]  failed: " in done.err and "AssertionError: no" in done.err and "Traceback" not in done.err
    assert done.err.splitlines()[-1].startswith("bench: 1 of 2 runs failed")
    assert done.err.count("teaching ") == 1 and "[teacher bilstm:1x8]" in done.err  # before the runs, once
    assert done.err.index("[timing bow:8]  measuring") < done.err.index("[1/2]")
    assert len(list((tmp_path / "cache" / "timings").iterdir())) == 1
    record = json.loads((tmp_path / fine["record"]).read_text())
    assert record["provenance"]["command"].startswith("bench run --task")


def test_ctrl_c_leaves_resumable_runs_and_no_cluster(local: Local, tmp_path: Path, start: Start) -> None:
    arguments = ["run", "--task", TOY, *ONE, *LONG]
    with_timings(local, tmp_path)
    child = start(*arguments, *RAY)
    wait_for(lambda: len(unfinished(tmp_path)), child, tmp_path)
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=60)
    assert child.returncode == 130
    assert (tmp_path / "log").read_text().splitlines()[-1].startswith("bench: interrupted; the same command goes on")
    deadline = time.monotonic() + 20
    while workers_of(tmp_path):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert unfinished(tmp_path) and not list((tmp_path / "results").rglob("*.json"))


def test_ray_that_is_not_installed_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    answer = bench(*SWEEP, "--engine", "ray", "--results", tmp_path / "results", cache=tmp_path / "cache", check=2)
    assert answer.err == "bench: --engine ray needs Ray, from the 'ray' extra: pip install 'bench-kd[ray]'\n"
    assert answer.out == ""


@pytest.mark.parametrize(
    ("arguments", "address", "words"),
    [
        (RAY, "127.0.0.1:9", ["RAY_ADDRESS=127.0.0.1:9", "no Ray cluster answers there", "ray start --head"]),
        (["--engine", "rya"], "", ["--engine rya", "local and ray"]),
        (["--jobs", "2"], "", ["--jobs 2", "--engine ray"]),
        (["--engine", "ray", "--remeasure"], "", ["--remeasure", "leave out --engine ray"]),
    ],
)
def test_wrong_requests(
    arguments: list[str], address: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    refused(bench(*SWEEP, *arguments, "--results", tmp_path / "r", cache=tmp_path / "cache", check=2), *words)
