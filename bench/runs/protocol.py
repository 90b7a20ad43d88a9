"""The standard protocol: from a resolved spec to a record. Read it from top to bottom.

Same for every method: teacher, student initialisation for a seed, data, batch order, number of updates. Every choice is
made on dev; test is opened once, after training.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from bench.base import processes, stopping
from bench.base.console import Console
from bench.base.provenance import now
from bench.base.seeds import derived_seed
from bench.errors import BenchError, RequestError
from bench.inputs import Examples, flat
from bench.measuring import cache, machine, session
from bench.method import Method, Run, finished, finishes
from bench.network import Network
from bench.networks.places import Place
from bench.networks.transformer import load_model
from bench.plugins import registry
from bench.records import disk
from bench.records.arrays import flatten
from bench.records.schemas import Efficiency, Size, made
from bench.runs import recording, teach
from bench.runs.spec import Spec, asked, run_place
from bench.scoring.scores import REFERENCE, TEACHER
from bench.store import folders
from bench.task import Predictions, Task
from bench.teachers import plans
from bench.teachers.plans import Plan
from bench.teachers.teacher import Asked, Teacher
from bench.training import checkpoint
from bench.training.evaluation import Evaluation
from bench.training.loop import Trainer


@dataclass
class Distilled:
    """A trained student, before test was read."""

    student: Network
    teacher: Teacher
    dev: float
    trainer: Trainer


def carry_out(
    spec: Spec, results: Path, device: torch.device, console: Console, cores: int | None = None, timed: bool = True
) -> Path:
    """Distil, evaluate, measure, and leave a record. Resumes an interrupted run. Returns the record's path.

    The runs that it wants have been carried out. `cores`: threads to time with, where the run itself has fewer.
    `timed`: whether networks are timed at all.
    """
    started = now()
    folder = folders.make_folder(folders.root() / "runs" / spec.run_id)
    kept = folder / "checkpoint.safetensors"
    with stopping.saying(lambda: checkpoint.goes_on(kept)):
        d = distil(spec, folder, device, console)
        path = processes.from_main(lambda: leave_record(spec, d, results, console, started, cores, timed))
        kept.unlink(missing_ok=True)
    return path


def leave_record(
    spec: Spec, d: Distilled, results: Path, console: Console, started: str, cores: int | None = None,
    timed: bool = True,
) -> Path:  # fmt: skip
    """Keep the student, evaluate it on test, measure it, and write the record; returns its path."""
    for place in [spec.place, *spec.others.values()]:
        teach.publish(place, results)
    weights = keep(spec, d.student)

    spec.task.unseal()  # training has ended and every choice is made: test is read now, once
    console("  test")
    predictions = predict(spec, d.student, d.teacher)
    scores = recording.scored(spec, predictions)  # what cannot be scored is not timed
    with machine.threads(cores):
        measured = (measure if timed else count)(spec, d.student, d.teacher, console)
    record = recording.make_record(
        spec, d.student, d.teacher, d.trainer, predictions, scores, d.dev, measured, weights, started, results
    )
    return disk.write(results, record, flatten(predictions), measured["samples"])


def keep(spec: Spec, student: Network) -> Path:
    """Store a run's student, for runs that start from it or learn from it, and for export."""
    about = {"spec": dict(spec.values), "blueprint": student.blueprint()}
    checkpoint.save(weights_of(spec), checkpoint.trained(student), about)
    return weights_of(spec)


def distil(spec: Spec, folder: Path, device: torch.device, console: Console) -> Distilled:
    """Train the student; the test split is sealed. The folder holds the checkpoint of an interrupted run."""
    spec.task.seal()
    recording.check_card(spec.task)
    for _, helper in spec.wanted:  # their records may be there without their students
        retrain(helper, device, console)
    if plans.untaught(spec.place) and not spec.wanted:  # what cannot be built is known before a teacher is taught
        build(spec, untaught(spec.task, spec.place))
    teachers = make_teachers(spec, device, console)
    teacher = teachers["teacher"]
    check_signals(spec, f"the teacher {teacher.place.name}", teacher.network, "needs")
    dev = Evaluation(spec.task, "dev")
    for each in [teacher, *(teachers[name] for name in spec.others)]:
        check_teacher(spec, each, dev)
    student = from_starts(spec, build_student(spec, teacher), device, console)
    if student.reads_targets:
        raise RequestError(f"{spec.values['student']} is told the answers: it can teach, and be no student")
    if student.reads_together:
        raise RequestError(f"{spec.values['student']} reads two texts together: it can teach, and be no student")
    method = build_method(spec, student, teachers, dev)
    recording.check_networks(spec, student, method)
    path = folder / "checkpoint.safetensors"
    trainer = Trainer(student, method, teachers, lambda n: dev.score(dev.outputs(n)), path, console, device)
    trainer.fit()
    score = dev.score(dev.outputs(trainer.student))
    if not math.isfinite(score):
        raise BenchError(f"{spec.task.main_metric} on dev is undefined ({score}) for the student: nothing was chosen")
    return Distilled(trainer.student, teacher, score, trainer)


def measure_again(spec: Spec, results: Path, device: torch.device, console: Console, again: set[str]) -> Path:
    """Time a finished run's kept student and its teacher again, for a record that was measured on a busy machine.

    `again`: see `cache.once`. Everything else in the record stays. RequestError: the student is no longer in the store.
    """
    path = disk.path_of(results, spec.values, spec.run_id)
    record = disk.read(path)
    student, teacher = restore(spec, device, console)
    spec.task.unseal()
    measured = measure(spec, student, teacher, console, again)
    record.efficiency = made(Efficiency, recording.efficiency(spec, student, measured, weights_of(spec)))
    of_teacher = recording.size(teacher.network, measured, spec.place.disk_bytes, "teacher")
    record.teacher.efficiency = made(Size, of_teacher)
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


def weights_of(spec: Spec) -> Path:
    """Where a run's student is kept."""
    return folders.student_of(spec.run_id)


def restore(spec: Spec, device: torch.device, console: Console) -> tuple[Network, Teacher]:
    """A finished run's student as it was kept, with its teacher. RequestError: it is no longer in the store."""
    kept = checkpoint.load(weights_of(spec))
    if kept is None:
        raise RequestError(folders.gone(spec.run_id))
    teacher = make_teacher(spec, device, console)
    tensors, state = kept
    blueprint = state.get("blueprint")
    student = build_student(spec, teacher, blueprint=blueprint)
    if not blueprint and finishes(registry.load(spec.method)):
        method = build_method(spec, student, make_teachers(spec, device, console), Evaluation(spec.task, "dev"))
        student = finished(method, student, teacher.network).to(device)
    checkpoint.put_back(student, tensors)
    return student, teacher


def retrain(spec: Spec, device: torch.device, console: Console) -> None:
    """Train a finished run's student again and keep it, unless the store has it: it was removed, or the record is
    from elsewhere. The record stays as it is, and test is not read."""
    folder = folders.make_folder(folders.root() / "runs" / spec.run_id)
    with folders.locked(f"run-{spec.run_id}") if processes.main() else nullcontext():
        if processes.from_main(weights_of(spec).is_file):
            return
        console(f"  the student of {spec.run_id} is not in the store, and is trained again")
        found = distil(spec, folder, device, console)
        processes.from_main(lambda: keep(spec, found.student))
        (folder / "checkpoint.safetensors").unlink(missing_ok=True)
        console(f"  trained again: {found.dev:.4f} on dev")


def opened(spec: Spec, place: Place, device: torch.device, console: Console) -> Network:
    """The network at a place: another run's student, a taught teacher, or a model as it is."""
    if isinstance(place.origin, Spec):
        return restore(place.origin, device, console)[0]
    if isinstance(place.origin, Plan):
        return teach.ensure(place.origin, device, console)
    return load_model(place, spec.task.goal)


def make_teacher(spec: Spec, device: torch.device, console: Console, place: Place | None = None) -> Teacher:
    """The run's teacher (or another one, at `place`), not yet loaded (or taught)."""
    goal = spec.task.goal
    return Teacher(
        place or spec.place, device, console, goal, lambda place, device, console: opened(spec, place, device, console)
    )


def make_teachers(spec: Spec, device: torch.device, console: Console) -> dict[str, Teacher]:
    """Who may teach, by name: the run's own teacher, others that the method names, and the runs that it wants."""
    own = {"teacher": make_teacher(spec, device, console)}
    wanted = {w.name: run_place(s) for w, s in spec.wanted if w.use == "teaches"}
    others = {**spec.others, **wanted}
    return own | {name: make_teacher(spec, device, console, place) for name, place in others.items()}


def check_teacher(spec: Spec, teacher: Teacher, dev: Evaluation) -> None:
    """RequestError: what the teacher says of dev speaks against it, as classes in another order do."""
    outputs = dev.of_teacher(teacher)
    if outputs is None:
        return
    doubt = spec.task.doubt(outputs)
    if doubt:
        raise RequestError(f"the teacher {teacher.place.name} {doubt}")
    if not math.isfinite(score := dev.score(outputs)):
        metric = spec.task.main_metric
        raise RequestError(f"{metric} on dev is undefined ({score}) for the teacher {teacher.place.name}")


def untaught(task: Task, place: Place, sort: type[Teacher] = Teacher) -> Teacher:
    """A teacher with its first weights: its shapes are those that it will have."""

    def opened(place: Place, *_: Any) -> Network:
        return place.origin.network() if isinstance(place.origin, Plan) else load_model(place, task.goal)

    return sort(place, torch.device("cpu"), Console(quiet=True), task.goal, opened)


def build(spec: Spec, teacher: Teacher) -> None:
    """Student and method as the run would begin with. RequestError: they cannot be built."""
    build_method(spec, build_student(spec, teacher), {"teacher": teacher}, Evaluation(spec.task, "dev"))


def build_student(
    spec: Spec, teacher: Teacher, purpose: str = "student", blueprint: Mapping[str, Any] | None = None
) -> Network:
    """The student before training: the same for every method with this seed. Another purpose: other random numbers."""
    known = teacher.network  # before the seed: what is loaded, or taught, draws random numbers of its own
    torch.manual_seed(derived_seed(spec.seed, purpose))
    family = registry.load(spec.student)(spec.student_settings)
    network: Network = family.rebuild(blueprint or {}, spec.size, spec.task, known.lender)
    return network.to(teacher.device)


def build_other(spec: Spec, teacher: Teacher, purpose: str) -> Network:
    """Another student of the same shapes. Its head is drawn anew: layers that are copied from the teacher are the same
    in both, and two that are one network learn nothing from each other."""
    network = build_student(spec, teacher, purpose)
    heads = [m for m in network.modules() if isinstance(m, nn.Linear) and m.out_features == spec.task.outputs]
    for head in heads:
        head.reset_parameters()
    return network


def from_starts(spec: Spec, student: Network, device: torch.device, console: Console) -> Network:
    """The student with the weights of the runs that it starts from, where names and shapes are the same."""
    for wanted, other in spec.wanted:
        if wanted.use == "starts":
            theirs, own = restore(other, device, console)[0].state_dict(), student.state_dict()
            chosen = {n: t for n, t in theirs.items() if n.startswith(wanted.weights or "")}
            fitting = {n: t for n, t in chosen.items() if n in own and own[n].shape == t.shape}
            if not fitting:
                raise RequestError(f"nothing of {other.label} fits into {spec.values['student']}, which starts from it")
            student.load_state_dict(own | fitting)
            student.origin = f"run {other.run_id}"
    return student


def build_method(spec: Spec, student: Network, teachers: Mapping[str, Teacher], dev: Evaluation) -> Method:
    """The method with its own trainable parts."""
    torch.manual_seed(derived_seed(spec.seed, "method"))
    teacher = teachers["teacher"]
    check_signals(spec, f"the teacher {teacher.place.name}", teacher.network, "needs")
    check_signals(spec, f"the student {spec.values['student']}", student, "needs", "wants")
    if why := spec.task.goal.incomparable(student, teacher.network, lambda: dev.inputs):
        raise RequestError(f"on {spec.task.name} {spec.values['student']} and its teacher {teacher.place.name} {why}")
    run = Run(
        spec.task, spec.track, student.width, teacher.network.width, spec.seed, student.optimiser,
        student.shape, teacher.network.shape, student,
        lambda purpose: build_other(spec, teacher, purpose), lambda name: dev.of_teacher(teachers[name]),
        lambda examples: taught(spec, teacher, examples), lambda name: teachers[name].network, dev.score,
    )  # fmt: skip
    return registry.load(spec.method)(spec.method_settings, run)


def check_signals(spec: Spec, who: str, network: Network, *declared: str) -> None:
    """RequestError: the method reads a signal that this network does not give; `declared` as its needs, or wants."""
    read = asked(registry.load(spec.method), spec.method_settings)
    output = spec.task.goal.output
    names = network.named(frozenset().union(*(read[key] for key in declared)), output)
    given = network.offers | {network.instead.get(output, output)}  # `offers` may be of its body alone
    if missing := sorted(names - given):
        why = f"{spec.method.name} reads the signal {', '.join(missing)}, which {who} does not give"
        if network.reads_together:
            offered = ", ".join(sorted(network.offers))
            why += f": it reads two texts together, and has {offered} of a pair and no vector of a text"
        raise RequestError(why)


def taught(spec: Spec, teacher: Teacher, examples: Examples) -> np.ndarray:
    """The teacher's output at each place of a training set's groups, (N, K, ...), from the store."""
    goal, track, (count, width) = spec.task.goal, spec.track, examples.groups.shape
    asked = Asked(examples, frozenset({goal.output}), track.max_length, "train", track.signals)
    source = teacher.serve(asked, lambda: np.unique(examples.groups))
    parts = [source.rows(flat(rows))[goal.output].cpu() for rows in np.array_split(examples.groups, 1 + count // 1024)]
    return torch.cat([part.unflatten(0, (width, -1)).transpose(0, 1) for part in parts]).numpy()


def predict(spec: Spec, student: Network, teacher: Teacher) -> Predictions:
    """The student's predictions on test; beside them the teacher's where it has any, and the task's references."""
    test = Evaluation(spec.task, "test")
    found, others = test.predictions(test.outputs(student)), dict[str, Predictions]()
    theirs = test.predictions_of(teacher)  # from the store after its first run
    if theirs is not None:
        others[TEACHER] = theirs
    others |= {REFERENCE + name: rows for name, rows in spec.task.references("test").items()}
    return {
        data: arrays | {name: rows[data]["prediction"] for name, rows in others.items()}
        for data, arrays in found.items()
    }  # fmt: skip


def measure(
    spec: Spec, student: Network, teacher: Teacher, console: Console, again: set[str] | None = None
) -> dict[str, Any]:
    """Size and speed of teacher and student on test inputs; from the store where their shapes were timed before."""
    console("  measuring")
    networks = {"teacher": teacher.network, "student": student}
    inputs, lengths, searches = spec.task.inputs("test"), spec.task.lengths, spec.task.searches()
    effort = session.EFFORTS.get(spec.values["track"], session.STANDARD)
    want = frozenset({spec.task.goal.output})
    key = cache.key_of(networks, inputs, effort, lengths, searches)
    return cache.once(key, lambda: session.measure(networks, inputs, want, effort, console, lengths, searches), again)


def count(spec: Spec, student: Network, teacher: Teacher, console: Console) -> dict[str, Any]:
    """In the place of `measure`: sizes and operations alone."""
    networks = {"teacher": teacher.network, "student": student}
    effort = session.EFFORTS.get(spec.values["track"], session.STANDARD)
    want, task = frozenset({spec.task.goal.output}), spec.task
    return session.count(networks, task.inputs("test"), want, effort, task.lengths, task.searches())
