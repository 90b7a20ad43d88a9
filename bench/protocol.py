"""The standard protocol: from a resolved spec to a record. Read it from top to bottom.

Same for every method: teacher, student initialisation for a seed, data, batch order, number of updates. Every choice is
made on dev; test is opened once, after training.
"""

from __future__ import annotations

import datetime
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench import __version__, checkpoint, environment, measuring, plugins, records, statistics, store
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
from bench.training import Progress, Trainer, derived_seed


def carry_out(spec: Spec, results: Path, device: torch.device, console: Console) -> Path:
    """Distil, evaluate, measure, and leave a record. Resumes an interrupted run. Returns the record's path."""
    started = now()
    spec.task.seal()
    teacher = Teacher(spec.place, device, console)
    student = build_student(spec, teacher)
    method = build_method(spec, student, teacher)
    dev = Dev(spec.task, student)
    folder = store.make_folder(store.root() / "runs" / spec.run_id)
    trainer = Trainer(student, method, teacher, dev.score, folder / "checkpoint.safetensors", console)
    progress = trainer.fit()
    chosen_dev = dev.score(student)

    spec.task.unseal()  # training has ended: test is read now, once
    console("  test and measuring")
    predictions = predict(spec.task, student)
    teacher_predictions = predict_teacher(spec.task, teacher)
    measured = measure(spec, student, teacher)
    weights = folder / "student.safetensors"
    checkpoint.save(weights, student.state_dict(), {"spec": dict(spec.values)})

    metrics = score(spec.task, predictions)
    reference = score(spec.task, teacher_predictions)
    record = make_record(
        spec, student, teacher, progress, metrics, reference, chosen_dev, measured, weights, predictions, started
    )
    path = records.write(results, record, records.flatten(predictions))
    (folder / "checkpoint.safetensors").unlink(missing_ok=True)
    return path


def measure_again(spec: Spec, results: Path, device: torch.device, console: Console) -> Path:
    """Time a finished run's kept student and its teacher again, for a record that was measured on a busy machine.

    Everything else in the record stays. RequestError: the student is no longer in the store.
    """
    path = records.path_of(results, spec.values, spec.run_id)
    weights = store.root() / "runs" / spec.run_id / "student.safetensors"
    kept = checkpoint.load(weights)
    if kept is None:
        raise RequestError(
            f"the student of {spec.run_id} is no longer in the store ({weights}): run it again to measure it"
        )
    record = records.read(path)
    teacher = Teacher(spec.place, device, console)
    student = build_student(spec, teacher)
    student.load_state_dict(kept[0])
    measured = measure(spec, student, teacher)
    measured["notes"].append(f"measured again {now()}, after the run")
    record.efficiency = records.Efficiency(**describe_efficiency(student, measured, weights))
    record.teacher.latency_single = measured["latency"]["teacher"]
    record.teacher.throughput_offline_per_s = measured["throughput"]["teacher"]
    return records.rewrite(path, record)


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


def predict(task: Task, network: Network) -> Predictions:
    """Predictions on test."""
    name = OUTPUT[task.kind]
    encoded = network.encode(task.inputs("test"))
    return task.predict(outputs(network, encoded, frozenset({name}))[name], "test")


def predict_teacher(task: Task, teacher: Teacher) -> Predictions:
    """The teacher's predictions on test; its outputs come from the store after the first run."""
    name = OUTPUT[task.kind]
    inputs = list(task.inputs("test"))
    pool = Examples(inputs, np.arange(len(inputs))[:, None])
    return task.predict(np.asarray(teacher.signals(pool, frozenset({name}), None, "evaluate").arrays[name]), "test")


def score(task: Task, predictions: Predictions) -> dict[str, Any]:
    """All metrics, and the main one with its interval."""
    scores = task.score(predictions)
    dataset, value = headline(scores, task.main_metric)
    ci95 = statistics.interval(predictions, task.score, task.main_metric)
    return {"all": scores, "main": {"name": task.main_metric, "dataset": dataset, "value": value, "ci95": ci95}}


def measure(spec: Spec, student: Network, teacher: Teacher) -> dict[str, Any]:
    """Speed of student and teacher on test inputs."""
    want = frozenset({OUTPUT[spec.task.kind]})
    return measuring.measure(student, teacher.network, list(spec.task.inputs("test")), want)


def make_record(
    spec: Spec, student: Network, teacher: Teacher, progress: Progress, metrics: dict, reference: dict, dev: float,
    measured: dict, weights: Path, predictions: Predictions, started: str,
) -> records.Record:  # fmt: skip
    """Everything a reader needs to trust and to repeat the run."""
    value, best = metrics["main"]["value"], reference["main"]["value"]
    return records.Record(
        run_id=spec.run_id,
        spec=dict(spec.values),
        data=describe_data(spec.task),
        teacher={
            "name": spec.place.name,
            "identity": spec.place.identity,
            "fingerprint": teacher.fingerprint,
            "parameters": measuring.parameters(teacher.network),
            "disk_bytes": spec.place.disk_bytes,
            "metrics": reference["all"],
            "main": reference["main"],
            "latency_single": measured["latency"]["teacher"],
            "throughput_offline_per_s": measured["throughput"]["teacher"],
        },
        student={"name": spec.values["student"], "origin": student.origin, "width": student.width},
        metrics={**metrics, "retention": value / best if best > 0 else None, "dev": dev},
        efficiency=describe_efficiency(student, measured, weights),
        cost=describe_cost(progress, teacher),
        curve=progress.curve,
        environment=environment.describe(teacher.device),
        provenance=describe_provenance(started),
        predictions={
            "file": f"{spec.run_id}.npz",
            "sha256": records.sha256(records.pack(records.flatten(predictions))),
        },
    )


def describe_data(task: Task) -> dict[str, Any]:
    card = task.card()
    return {
        "source": task.source.kind, "identity": task.identity(), "title": card.title, "origin": card.source,
        "revision": card.revision, "licence": card.licence, "citation": card.citation,
        "splits": dict(card.splits), "sizes": dict(card.sizes), "notes": list(card.notes),
    }  # fmt: skip


def describe_efficiency(student: Network, measured: dict[str, Any], weights: Path) -> dict[str, Any]:
    kept = {key: measured[key] for key in ("speedup", "scope", "device", "threads", "noisy", "notes", "samples")}
    return kept | {
        "parameters": measuring.parameters(student),
        "disk_bytes": weights.stat().st_size,
        "latency": {"single": measured["latency"]["student"]},
        "throughput": {"offline_per_s": measured["throughput"]["student"]},
    }


def describe_cost(progress: Progress, teacher: Teacher) -> dict[str, Any]:
    stages: dict[str, int] = {}
    for point in progress.curve:
        stages[point["stage"]] = max(stages.get(point["stage"], 0), point["step"])
    return {
        "student_updates": progress.updates,
        "stages": stages,
        "teacher_forwards": teacher.forwards["computed"],
        "teacher_forwards_reused": teacher.forwards["reused"],
        "train_seconds": progress.seconds,
        "teacher_seconds": teacher.seconds["computed"],
        "teacher_seconds_reused": teacher.seconds["reused"],
        "energy_j": None,  # not measured yet; an estimate would not be ranked
        "energy_source": None,
    }


def describe_provenance(started: str) -> dict[str, Any]:
    commit, dirty = environment.commit()
    return {
        "command": shlex.join(["bench", *sys.argv[1:]]),
        "commit": commit, "dirty": dirty, "version": __version__, "started": started, "finished": now(),
    }  # fmt: skip


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
