"""The standard protocol: from a resolved spec to a record. Read it from top to bottom.

Same for every method: teacher, student initialisation for a seed, data, batch order, number of updates. Every choice is
made on dev; test is opened once, after training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.base import processes
from bench.base.console import Console
from bench.errors import RequestError
from bench.inputs import Examples
from bench.measuring import cache, machine, session
from bench.method import Method, Run
from bench.network import Network
from bench.networks.inference import outputs
from bench.plugins import registry
from bench.records import disk
from bench.runs import recording, teach
from bench.runs.spec import Spec, run_place
from bench.signals import OUTPUT
from bench.store import folders
from bench.task import Predictions, Task
from bench.teachers.teacher import Teacher
from bench.training import checkpoint
from bench.training.loop import Dev, Trainer, derived_seed

SWAPPED = 0.2  # mean recall on dev that another order of the classes must add before we call it swapped


@dataclass
class Distilled:
    """A trained student, before test was read."""

    student: Network
    teacher: Teacher
    dev: float
    trainer: Trainer


def carry_out(spec: Spec, results: Path, device: torch.device, console: Console, cores: int | None = None) -> Path:
    """Distil, evaluate, measure, and leave a record. Resumes an interrupted run. Returns the record's path.

    The run's assistants have been carried out. `cores`: threads to time with, where the run itself has fewer.
    """
    started = recording.now()
    folder = folders.make_folder(folders.root() / "runs" / spec.run_id)
    d = distil(spec, folder, device, console)
    path = processes.from_main(lambda: leave_record(spec, d, results, console, started, cores))
    (folder / "checkpoint.safetensors").unlink(missing_ok=True)
    return path


def leave_record(
    spec: Spec, d: Distilled, results: Path, console: Console, started: str, cores: int | None = None
) -> Path:
    """Keep the student, evaluate it on test, measure it, and write the record; returns its path."""
    teach.publish(spec.place, results)
    weights = folders.root() / "runs" / spec.run_id / "student.safetensors"
    checkpoint.save(weights, d.student.state_dict(), {"spec": dict(spec.values)})

    spec.task.unseal()  # training has ended and every choice is made: test is read now, once
    console("  test")
    predictions = predict(spec.task, d.student, d.teacher)
    with machine.threads(cores):
        measured = measure(spec, d.student, d.teacher, console)
    record = recording.make_record(
        spec, d.student, d.teacher, d.trainer, predictions, d.dev, measured, weights, started
    )
    return disk.write(results, record, disk.flatten(predictions), measured["samples"])


def distil(spec: Spec, folder: Path, device: torch.device, console: Console) -> Distilled:
    """Train the student; the test split is sealed. The folder holds the checkpoint of an interrupted run."""
    spec.task.seal()
    teacher = make_teacher(spec, device, console)
    assistants = [Teacher(run_place(a), device, console) for a in spec.assistants]
    check_classes(spec.task, teacher)
    student = build_student(spec, teacher)
    dev = Dev(spec.task, student)
    method = build_method(spec, student, teacher, assistants, dev)
    trainer = Trainer(student, method, teacher, dev.score, folder / "checkpoint.safetensors", console, assistants)
    trainer.fit()
    return Distilled(student, teacher, dev.score(student), trainer)


def measure_again(spec: Spec, results: Path, device: torch.device, console: Console) -> Path:
    """Time a finished run's kept student and its teacher again, for a record that was measured on a busy machine.

    Everything else in the record stays. RequestError: the student is no longer in the store.
    """
    path = disk.path_of(results, spec.values, spec.run_id)
    record = disk.read(path)
    student, teacher, weights = restore(spec, device, console)
    spec.task.unseal()
    measured = measure(spec, student, teacher, console, anew=True)
    record.efficiency = disk.Efficiency(**recording.efficiency(spec, student, measured, weights))
    record.teacher.efficiency = disk.Size(**recording.size(teacher.network, measured, spec.place.disk_bytes, "teacher"))
    return disk.rewrite(path, record, measured["samples"])


def time_ahead(spec: Spec, device: torch.device, console: Console) -> None:
    """Time networks of the run's shapes, so that the run finds its timings in the store.

    Speed does not depend on weights. Inputs of test alone: nothing is trained, chosen or scored here.
    """
    teacher = make_teacher(spec, device, console)
    student = build_student(spec, teacher)
    spec.task.unseal()
    measure(spec, student, teacher, console)
    spec.task.seal()


def restore(spec: Spec, device: torch.device, console: Console) -> tuple[Network, Teacher, Path]:
    """A finished run's student as it was kept, with its teacher. RequestError: it is no longer in the store."""
    weights = folders.root() / "runs" / spec.run_id / "student.safetensors"
    kept = checkpoint.load(weights)
    if kept is None:
        raise RequestError(
            f"the student of {spec.run_id} is no longer in the store ({weights}): run it again with --results elsewhere"
        )
    teacher = make_teacher(spec, device, console)
    student = build_student(spec, teacher)
    student.load_state_dict(kept[0])
    return student, teacher, weights


def make_teacher(spec: Spec, device: torch.device, console: Console) -> Teacher:
    """The run's teacher, not yet loaded (or taught)."""
    outputs = 0 if spec.task.kind == "embed" else spec.task.outputs
    return Teacher(spec.place, device, console, outputs)


def check_classes(task: Task, teacher: Teacher) -> None:
    """RequestError: the teacher numbers the classes in another order than the data, as dev shows."""
    if task.kind != "classify":
        return
    from scipy.optimize import linear_sum_assignment

    inputs = task.inputs("dev")
    pool = Examples(inputs, np.arange(len(inputs))[:, None])
    logits = np.asarray(teacher.signals(pool, frozenset({"logits"}), None, "evaluate").arrays["logits"])
    for arrays in task.predict(logits, "dev").values():
        table = np.zeros((logits.shape[1],) * 2)
        np.add.at(table, (arrays["prediction"].argmax(1), arrays["gold"]), 1)
        table /= np.maximum(1, table.sum(0))  # recalls: a teacher that always says the same is no better in any order
        rows, columns = linear_sum_assignment(-table)
        right, best = table.trace() / len(table), table[rows, columns].sum() / len(table)
        if best - right > SWAPPED:
            order = ", ".join(task.classes[c] for c in columns)
            raise RequestError(
                f"the teacher {teacher.place.name} finds {right:.0%} of a class on dev, and {best:.0%} if its classes "
                f"are {order}: its classes are in another order than the data's ({', '.join(task.classes)})"
            )


def build_student(spec: Spec, teacher: Teacher, purpose: str = "student") -> Network:
    """The student before training: the same for every method with this seed. Another purpose: another one."""
    torch.manual_seed(derived_seed(spec.seed, purpose))
    family = registry.load(spec.student)(spec.student_settings)
    return family.build(spec.size, spec.task, teacher.network).to(teacher.device)


def build_method(spec: Spec, student: Network, teacher: Teacher, assistants: Sequence[Teacher], dev: Dev) -> Method:
    """The method with its own trainable parts."""
    torch.manual_seed(derived_seed(spec.seed, "method"))

    def dev_outputs(number: int) -> np.ndarray:
        inputs, name = spec.task.inputs("dev"), OUTPUT[spec.task.kind]
        pool = Examples(inputs, np.arange(len(inputs))[:, None])
        return np.asarray(assistants[number].signals(pool, frozenset({name}), None, "evaluate").arrays[name])

    run = Run(
        spec.task, spec.track, student.width, teacher.network.width, spec.seed, student.optimiser,
        student.shape, teacher.network.shape,
        lambda purpose: build_student(spec, teacher, purpose), dev_outputs, dev.of,
    )  # fmt: skip
    return registry.load(spec.method)(spec.method_settings, run)


def predict(task: Task, student: Network, teacher: Teacher) -> Predictions:
    """The student's predictions on test, with the teacher's beside them."""
    name = OUTPUT[task.kind]
    inputs = task.inputs("test")
    found = task.predict(outputs(student, student.encode(inputs), frozenset({name}))[name], "test")
    # the teacher's outputs come from the store after its first run
    pool = Examples(inputs, np.arange(len(inputs))[:, None])
    stored = teacher.signals(pool, frozenset({name}), None, "evaluate").arrays[name]
    reference = task.predict(np.asarray(stored), "test")
    return {data: arrays | {"teacher": reference[data]["prediction"]} for data, arrays in found.items()}


def measure(spec: Spec, student: Network, teacher: Teacher, console: Console, anew: bool = False) -> dict[str, Any]:
    """Size and speed of teacher and student on test inputs; from the store where their shapes were timed before."""
    console("  measuring")
    networks = {"teacher": teacher.network, "student": student}
    inputs, lengths = spec.task.inputs("test"), spec.task.lengths
    effort = session.EFFORTS.get(spec.values["track"], session.STANDARD)
    want = frozenset({OUTPUT[spec.task.kind]})
    key = cache.key_of(networks, inputs, effort, lengths)
    return cache.once(key, lambda: session.measure(networks, inputs, want, effort, console, lengths), anew)
