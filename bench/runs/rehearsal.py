"""What an author's files are tried with before time is spent: one update of each stage, on a few examples.

A teacher that has to be taught has its first weights here, dev is not scored, and nothing is stored. Installed plug-ins
have tests of their own, and are not rehearsed; nor are runs that want others to come first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from bench.base import processes
from bench.base.console import Console
from bench.errors import BenchError, RequestError
from bench.inputs import Examples
from bench.method import Stage
from bench.network import Network
from bench.plugins import beside, contract, registry
from bench.runs import authored
from bench.runs.ahead import of_any_seed
from bench.runs.protocol import build_method, build_student, taught, untaught
from bench.runs.spec import Spec
from bench.store import folders
from bench.teachers.teacher import Asked, LiveSignals, Source, Teacher
from bench.training.evaluation import Evaluation
from bench.training.loop import Trainer

FEW = 8  # examples


def rehearse(specs: Iterable[Spec]) -> None:
    """RequestError: a file of the author's does not do what its contract says; with file and line."""
    tasks = {plugin.name for plugin in registry.loaded_files() if plugin.kind == "task"}
    seen = set[str]()
    for spec in specs:
        given = spec.method.digest or spec.student.digest or spec.task.name in tasks
        if given and not spec.wanted and (key := of_any_seed(spec)) not in seen:
            seen.add(key)
            with processes.by_itself(), TemporaryDirectory() as folder:
                try_out(spec, Path(folder) / "checkpoint.safetensors", spec.task.name in tasks)


def try_out(spec: Spec, path: Path, task_too: bool) -> None:
    try:
        if task_too:
            authored.check(spec.task)
        found = trainer(spec, path)
        found.fit()
        if task_too:
            authored.check_scores(spec.task, found.student)
    except RequestError:
        raise
    except BenchError:
        pass  # as of a loss that is not finite, which an untaught teacher and few examples may well bring about
    except (Exception, SystemExit) as error:
        where = beside.blamed(error) or " or ".join(map(contract.place, classes(spec, task_too)))
        log = folders.log(error)
        raise RequestError(f"{where}: {type(error).__name__}: {error} (details: {log})") from error


def classes(spec: Spec, task_too: bool) -> list[type]:
    """Those of the author's files, which of them it is that fails nobody knows."""
    given = [registry.load(plugin) for plugin in (spec.method, spec.student) if plugin.digest]
    return [*given, *([type(spec.task)] if task_too else [])]


def trainer(spec: Spec, path: Path) -> Trainer:
    """What carries out the run, with teachers that keep nothing."""
    places = {"teacher": spec.place, **spec.others}
    teachers = {name: untaught(spec.task, place, Live) for name, place in places.items()}
    student = build_student(spec, teachers["teacher"])
    method = build_method(spec, student, teachers, Evaluation(spec.task, "dev"))
    method.run = replace(method.run, taught=lambda examples: alike(spec, teachers["teacher"], examples))
    return Rehearsal(student, method, teachers, lambda network: 0.0, path, Console(quiet=True), torch.device("cpu"))


class Live(Teacher):
    """A teacher that runs when it is asked, and keeps nothing."""

    def serve(self, asked: Asked, rows: Any) -> Source:
        return LiveSignals(self, asked)


class Rehearsal(Trainer):
    """Stages of one update."""

    def _run(self, stage: Stage, networks: Mapping[str, Network], kept: Any) -> None:
        examples = self.method.run.task.examples(stage.data) if isinstance(stage.data, str) else stage.data
        own = few(examples)
        size = stage.batch_size and min(stage.batch_size, len(own))
        super()._run(replace(stage, data=own, updates=1, batch_size=size), networks, kept)


def few(examples: Examples, count: int = FEW) -> Examples:
    """The first of them; the pool stays whole, as a graph must."""
    rows = np.arange(min(count, len(examples)))
    labels = None if examples.labels is None else examples.labels[rows]
    return replace(examples, groups=examples.groups[rows], labels=labels)


def alike(spec: Spec, teacher: Teacher, examples: Examples) -> np.ndarray:
    """In the place of what a teacher says of a training set: what it says of its first group, again and again."""
    first = taught(spec, teacher, few(examples, 1))
    return np.repeat(first, len(examples), axis=0)
