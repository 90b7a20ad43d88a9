"""One run on two processes against one: the same curve and metric, one voice, one failure, and the way back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.base import processes
from bench.errors import RequestError
from bench.networks import sharing
from bench.records import disk
from bench.records.schemas import Record
from tests.factories.commands import runs_of
from tests.factories.runs import ROOT, save_teacher, spawned
from tests.factories.sharing import all_of, typed

pytestmark = pytest.mark.timeout(1200)  # starting processes is slow on a machine that others use

MINE = """
import os
from pathlib import Path

from bench.baselines.kd import Kd


class Mine(Kd):
    title = "Ends one process in the midst of the first attempt"
    needs = frozenset({"output"})

    def soft_targets(self, student, teacher, batch):
        tried = Path(__file__).with_name("tried")
        if os.environ["RANK"] == "1" and batch.progress > 0.8 and not tried.exists():
            tried.touch()
            raise RuntimeError("lost")
        return super().soft_targets(student, teacher, batch)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which tests/factories/sharing.py has worked, once in one process and once in two.

    It holds a tiny teacher without dropout, whose students have none either, and a method that fails the first time.
    """
    folder = tmp_path_factory.mktemp("processes")
    save_teacher(folder / "teacher", dropout=0.0)
    (folder / "mine.py").write_text(MINE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE", str(folder / "cache"))
        patch.setattr(sys, "argv", [])
        all_of(folder)
    return folder


@pytest.fixture(scope="module")
def failed(place: Path) -> subprocess.CompletedProcess[str]:
    """The two processes that did the same, and then lost one of them."""
    command = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--nproc_per_node",
        "2",
        "-m",
        "tests.factories.sharing",
        str(place),
    ]
    environment = os.environ | {"BENCH_CACHE": str(place / "cache")}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900)


def found(place: Path, rank: int, count: int) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((place / f"found-{rank}-of-{count}.json").read_text())
    return values


def kept(place: Path, count: int) -> dict[str, Record]:
    """The records by method."""
    runs = json.loads((place / f"runs-0-of-{count}.json").read_text())["runs"]
    return {run["method"]: disk.read(Path(run["record"])) for run in runs}


def same_curve(one: list[dict], two: list[dict]) -> None:
    """Losses equal to 1e-5 of their size, and as many readings."""
    assert [(p["stage"], p["step"]) for p in one] == [(p["stage"], p["step"]) for p in two]
    for a, b in zip(one, two, strict=True):
        assert a["losses"] == pytest.approx(b["losses"], rel=1e-5), (a, b)


@pytest.mark.slow
def test_two_processes_give_the_result_of_one(place: Path, failed: subprocess.CompletedProcess[str]) -> None:
    """Regression, and DisCo's contrast with a queue; batches of 9 rows, and of 18 in columns, are shared unequally."""
    one, two = kept(place, 1), kept(place, 2)
    assert one.keys() == two.keys() == {"kd", "disco"}
    for method, record in two.items():
        same_curve(one[method].curve, record.curve)
        assert record.metrics.main.value == pytest.approx(one[method].metrics.main.value, abs=1e-3)
        assert record.environment["processes"] == 2 and "processes" not in one[method].environment
        assert record.provenance.command.startswith("torchrun --nproc_per_node 2 -m bench run --task sts")
        assert record.cost.student_updates == one[method].cost.student_updates
    assert (place / "runs-1-of-2.json").read_text() == "" and failed.stderr.count("  test\n") == 2, "one voice"


@pytest.mark.slow
def test_the_parts_of_an_update(place: Path, failed: subprocess.CompletedProcess[str]) -> None:
    one, first, second = found(place, 0, 1), found(place, 0, 2), found(place, 1, 2)
    for ours in (first, second):
        assert ours["gradients"]["difference"] < 1e-12 and ours["gradients"]["restored"], "batch normalisation"
        assert sum(ours["gradients"]["without"]) == 2, "a gradient that exists nowhere; all others are everywhere"
        same_curve(one["tokens"]["curve"], ours["tokens"]["curve"])
        assert ours["tokens"]["weights"] == pytest.approx(one["tokens"]["weights"], rel=1e-5)
    assert first["dropout"] == second["dropout"], "the same signals of all rows, and the same numbers afterwards"
    assert first["dropout"]["kept"][:4] != first["dropout"]["kept"][4:], "each process drops its own"
    forwards = [sum(ours["tokens"]["forwards"].values()) for ours in (one, first)]
    assert forwards[0] == forwards[1] > 0, "of the whole batch, once"


@pytest.mark.slow
def test_a_lost_process_ends_all_and_the_run_goes_on(place: Path, failed: subprocess.CompletedProcess[str]) -> None:
    assert failed.returncode == 1 and failed.stderr.count("lost") == 1
    assert "bench: 1 of 2 runs failed, the first one: " in failed.stderr and "RuntimeError: lost\n" in failed.stderr
    assert "terminate called" not in failed.stderr, "both end in order, whatever is left of their connections"
    told = [(place / f"failed-{rank}.json").read_text() for rank in range(2)]
    assert told[0] == "" and [r["status"] for r in json.loads(told[1])["runs"]] == ["skipped", "failed"]
    again = spawned(*typed(place, 2, "kd", place / "mine.py"), cache=place / "cache", processes=2)
    assert [r["status"] for r in runs_of(again)] == ["skipped", "done"]
    assert again.err.count("resumed after 18 updates") == 1
    record, whole = disk.read(Path(runs_of(again)[1]["record"])), kept(place, 2)["kd"]
    same_curve(record.curve, whole.curve)
    assert record.metrics.main.value == whole.metrics.main.value


def test_a_batch_that_is_too_small_to_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_here", processes.Here(rank=1, size=3))
    assert sharing.share(9) == slice(3, 6) and sharing.share(4) == slice(1, 2)
    with pytest.raises(RequestError, match="a batch of 2 cannot be shared by 3 processes"):
        sharing.share(2)


def test_a_launcher_that_starts_one_process_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    processes.start("cpu")
    monkeypatch.setenv("ACCELERATE_USE_CPU", "True")
    monkeypatch.setenv("MASTER_PORT", "29500")
    with pytest.raises(RequestError, match="torchrun --nproc_per_node"):
        processes.start("cpu")
