"""Runs of plug-ins that are given by path, in this process: whole ones, interrupted ones, and what they leave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from bench.base.console import Console
from bench.plugins import registry
from bench.records import disk
from bench.records.schemas import Record
from bench.runs import sweep
from bench.runs.protocol import Distilled, distil
from bench.runs.spec import Request, Spec, resolve
from bench.training.loop import Trainer
from tests.factories.commands import brief_clock

WORLDS = Path(__file__).parent
TOY = str(WORLDS.parent / "factories/toy.py")
QUIET = Console(quiet=True)


def world(name: str, size: str = "") -> str:
    """A plug-in of this folder as the command line names it."""
    return f"{WORLDS / name}.py" + (f":{size}" if size else "")


def planned(task: str, method: str, student: str, teacher: str = "", *settings: str) -> Spec:
    """The one run of such a command."""
    (spec,) = resolve(Request([task], [method], [student], teacher, settings=settings))
    return spec


def carried(spec: Spec, results: Path) -> Record:
    """The record that the run leaves, its networks timed briefly."""
    with brief_clock():
        found = sweep.run_one(spec, results, torch.device("cpu"), QUIET)
    return disk.read(Path(found["record"]))


def installed(patch: pytest.MonkeyPatch, task: str) -> None:
    """The task as an entry point would bring it: `bench check` runs no file that a record names."""
    plugin = registry.find("task", task)
    patch.setitem(registry.found("task"), plugin.name, plugin)


def trained(spec: Spec, folder: Path) -> Distilled:
    """The run's student, before test is read."""
    folder.mkdir(parents=True, exist_ok=True)
    return distil(spec, folder, torch.device("cpu"), QUIET)


def interrupted(spec: Spec, folder: Path, patch: pytest.MonkeyPatch) -> Distilled:
    """The same, stopped after the first checkpoint of an update, and gone on with by the same command."""
    save = Trainer._save

    def stop(trainer: Any, *arguments: Any, **keywords: Any) -> None:
        save(trainer, *arguments, **keywords)
        if list(folder.glob("checkpoint.safetensors")):
            raise KeyboardInterrupt

    with patch.context() as during:
        during.setattr(Trainer, "_save", stop)
        with pytest.raises(KeyboardInterrupt):
            trained(spec, folder)
    return trained(spec, folder)


def same(one: torch.nn.Module, two: torch.nn.Module) -> bool:
    """Bit for bit."""
    ours, theirs = one.state_dict(), two.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def alike(one: Distilled, two: Distilled) -> bool:
    """The same losses and dev scores on the way, and in the end the same networks and parts of the method."""
    ours, theirs = one.trainer, two.trainer
    pairs = [(ours.method, theirs.method), *((ours.networks[name], theirs.networks[name]) for name in ours.networks)]
    return ours.progress.curve == theirs.progress.curve and all(same(*pair) for pair in pairs)
