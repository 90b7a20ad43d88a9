"""Ctrl-C and SIGTERM: what is said is true, and the same command gives what an uninterrupted one gives."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from bench.base import stopping
from bench.cli import main as command
from bench.teachers.teacher import Teacher
from bench.training.loop import Trainer
from tests.factories.commands import bench
from tests.worlds.tools import TOY, alike, planned, trained

SMALL = ("updates=60", "batch_size=4", "evaluations=1", "teach=1")  # losses are read every third update


def plan() -> Any:
    return planned(TOY, "kd", "bow:4", "bow:6", *SMALL)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return trained(plan(), tmp_path_factory.mktemp("whole"))


def signalled(patch: pytest.MonkeyPatch, number: int, at: int, of: str = "_update") -> None:
    """The process gets a signal in this update of the run, before it is done."""
    own, seen = getattr(Trainer, of), list[int]()

    def update(trainer: Trainer, stage: Any, *given: Any) -> Any:
        seen.extend([1] * (stage.name == "kd"))
        if len(seen) == at and stage.name == "kd":
            os.kill(os.getpid(), number)
        return own(trainer, stage, *given)

    patch.setattr(Trainer, of, update)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_update_is_ended_and_kept(whole, tmp_path, monkeypatch, number, status) -> None:
    """Between two readings of the losses, whose sums are kept too."""
    before = [signal.getsignal(n) for n in stopping.SIGNALS]
    with monkeypatch.context() as during:
        signalled(during, number, at=20)
        with pytest.raises(KeyboardInterrupt, match=r"the same command goes on from update 20$"):
            trained(plan(), tmp_path)
    assert stopping.asked.status == status and [signal.getsignal(n) for n in stopping.SIGNALS] == before
    assert alike(whole, trained(plan(), tmp_path))


def test_a_second_signal_does_not_wait(tmp_path, monkeypatch) -> None:
    """And says from where the same command goes on: nothing was kept yet."""
    own = Trainer._update

    def update(trainer: Trainer, stage: Any, *given: Any) -> Any:
        if stage.name == "kd":
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        return own(trainer, stage, *given)

    monkeypatch.setattr(Trainer, "_update", update)
    with pytest.raises(KeyboardInterrupt, match="the same command starts this run again"):
        trained(plan(), tmp_path)


RUN = ("run", "--task", TOY, "--method", "kd", "--student", "bow:4", "--teacher", "bow:6", "--no-measure")


def test_the_command_says_so_whenever_it_is_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping.asked, "said", "")
    settings = [word for setting in SMALL for word in ("--set", setting)]
    given = {"cache": tmp_path / "cache", "cwd": tmp_path, "check": None}
    with monkeypatch.context() as during:
        during.setattr(Teacher, "outputs", lambda *_: os.kill(os.getpid(), signal.SIGINT))
        told = bench(*RUN, *settings, **given)
    assert told.status == 130 and told.err.rstrip().endswith("interrupted; the same command starts this run again")
    with monkeypatch.context() as during:
        signalled(during, signal.SIGTERM, at=6)  # one is of the rehearsal
        told = bench(*RUN, *settings, **given)
    assert told.status == 143 and told.err.rstrip().endswith("interrupted; the same command goes on from update 5")
    told = bench(*RUN, *settings, **given)
    assert told.status == 0 and "resumed after 5 updates" in told.err
    monkeypatch.setattr(stopping.asked, "said", "")
    assert "leaves what is finished" in command.AGAIN
