"""The standard protocol: from a resolved spec to a record. Read it from top to bottom.

Same for every method: teacher, student initialisation for a seed, data, batch order, number of updates. Every choice is
made on dev; test is opened once, after training.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench import account, checkpoint, measuring, plugins, records, store
from bench.console import Console
from bench.errors import RequestError
from bench.inference import outputs
from bench.inputs import Examples
from bench.method import Method, Run
from bench.network import Network
from bench.signals import OUTPUT
from bench.spec import Spec
from bench.task import Predictions, Task, headline
from bench.teaching import Teacher
from bench.training import Trainer, derived_seed


@dataclass
class Distilled:
    """A trained student, before test was read."""

    student: Network
    teacher: Teacher
    dev: float
    trainer: Trainer


def carry_out(spec: Spec, results: Path, device: torch.device, console: Console) -> Path:
    """Distil, evaluate, measure, and leave a record. Resumes an interrupted run. Returns the record's path."""
    started = account.now()
    folder = store.make_folder(store.root() / "runs" / spec.run_id)
    d = distil(spec, folder, device, console)
    weights = folder / "student.safetensors"
    checkpoint.save(weights, d.student.state_dict(), {"spec": dict(spec.values)})

    spec.task.unseal()  # training has ended and every choice is made: test is read now, once
    console("  test")
    predictions = predict(spec.task, d.student, d.teacher)
    measured = measure(spec, d.student, d.teacher, console)
    record = account.make_record(spec, d.student, d.teacher, d.trainer, predictions, d.dev, measured, weights, started)
    path = records.write(results, record, records.flatten(predictions), measured["samples"])
    (folder / "checkpoint.safetensors").unlink(missing_ok=True)
    return path


def distil(spec: Spec, folder: Path, device: torch.device, console: Console) -> Distilled:
    """Train the student; the test split is sealed. The folder holds the checkpoint of an interrupted run."""
    spec.task.seal()
    teacher = Teacher(spec.place, device, console)
    student = build_student(spec, teacher)
    method = build_method(spec, student, teacher)
    dev = Dev(spec.task, student)
    trainer = Trainer(student, method, teacher, dev.score, folder / "checkpoint.safetensors", console)
    trainer.fit()
    return Distilled(student, teacher, dev.score(student), trainer)


def measure_again(spec: Spec, results: Path, device: torch.device, console: Console) -> Path:
    """Time a finished run's kept student and its teacher again, for a record that was measured on a busy machine.

    Everything else in the record stays. RequestError: the student is no longer in the store.
    """
    path = records.path_of(results, spec.values, spec.run_id)
    record = records.read(path)
    student, teacher, weights = restore(spec, device, console)
    spec.task.unseal()
    measured = measure(spec, student, teacher, console)
    record.efficiency = records.Efficiency(**account.efficiency(spec, student, measured, weights))
    record.teacher.efficiency = records.Size(
        **account.size(teacher.network, measured, spec.place.disk_bytes, "teacher")
    )
    return records.rewrite(path, record, measured["samples"])


def restore(spec: Spec, device: torch.device, console: Console) -> tuple[Network, Teacher, Path]:
    """A finished run's student as it was kept, with its teacher. RequestError: it is no longer in the store."""
    weights = store.root() / "runs" / spec.run_id / "student.safetensors"
    kept = checkpoint.load(weights)
    if kept is None:
        raise RequestError(
            f"the student of {spec.run_id} is no longer in the store ({weights}): run it again with --results elsewhere"
        )
    teacher = Teacher(spec.place, device, console)
    student = build_student(spec, teacher)
    student.load_state_dict(kept[0])
    return student, teacher, weights


def build_student(spec: Spec, teacher: Teacher) -> Network:
    """The student before training: the same for every method with this seed."""
    torch.manual_seed(derived_seed(spec.seed, "student"))
    family = plugins.load(spec.student)(spec.student_settings)
    return family.build(spec.size, spec.task, teacher.network).to(teacher.device)


def build_method(spec: Spec, student: Network, teacher: Teacher) -> Method:
    """The method with its own trainable parts."""
    torch.manual_seed(derived_seed(spec.seed, "method"))
    run = Run(spec.task, spec.track, student.width, teacher.network.width, spec.seed)
    return plugins.load(spec.method)(spec.method_settings, run)


class Dev:
    """The dev split, tokenised once for the student."""

    def __init__(self, task: Task, student: Network) -> None:
        self.task, self.encoded = task, student.encode(task.inputs("dev"))

    def score(self, student: Network) -> float:
        """The main metric on dev."""
        name = OUTPUT[self.task.kind]
        found = outputs(student, self.encoded, frozenset({name}))[name]
        return headline(self.task.score(self.task.predict(found, "dev")), self.task.main_metric)[1]


def predict(task: Task, student: Network, teacher: Teacher) -> Predictions:
    """The student's predictions on test, with the teacher's beside them."""
    name = OUTPUT[task.kind]
    inputs = list(task.inputs("test"))
    found = task.predict(outputs(student, student.encode(inputs), frozenset({name}))[name], "test")
    # the teacher's outputs come from the store after its first run
    pool = Examples(inputs, np.arange(len(inputs))[:, None])
    stored = teacher.signals(pool, frozenset({name}), None, "evaluate").arrays[name]
    reference = task.predict(np.asarray(stored), "test")
    return {data: arrays | {"teacher": reference[data]["prediction"]} for data, arrays in found.items()}


def measure(spec: Spec, student: Network, teacher: Teacher, console: Console) -> dict[str, Any]:
    """Size and speed of teacher and student on test inputs."""
    console("  measuring")
    return measuring.measure(
        {"teacher": teacher.network, "student": student},
        list(spec.task.inputs("test")),
        frozenset({OUTPUT[spec.task.kind]}),
        measuring.EFFORTS.get(spec.values["track"], measuring.STANDARD),
        console,
        spec.task.lengths,
    )
