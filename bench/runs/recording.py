"""The account of a run: everything that a reader needs to trust and to repeat it, in the form of a record."""

from __future__ import annotations

import inspect
import json
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pydantic_core import PydanticSerializationError

from bench.base import files
from bench.base.archive import pack
from bench.base.provenance import provenance
from bench.errors import BenchError
from bench.measuring import machine
from bench.measuring.counting import parameters
from bench.measuring.energy import Meter
from bench.method import Method
from bench.network import Network
from bench.plugins import registry
from bench.records import derived, disk, tuning
from bench.records.arrays import flatten, flatten_samples
from bench.records.schemas import SCHEMA, Data, Record, Student, made
from bench.runs.spec import Spec
from bench.scoring.scores import Predictions
from bench.task import Task
from bench.teachers.teacher import Teacher
from bench.training.loop import Progress, Trainer


def check_card(task: Task) -> None:
    """BenchError: what the task says of its data cannot be kept in a record; found out before any work is done."""
    try:
        made(Data, data(task)).model_dump_json()
    except TypeError as error:
        raise BenchError(f"{task.name}: the card of the data is none: {error}") from None
    except PydanticSerializationError:  # a path whose name is no text
        raise BenchError(f"{task.name}: the card of the data holds what is not UTF-8 text") from None


def check_networks(spec: Spec, student: Network, method: Method) -> None:
    """BenchError: what student and method say of themselves cannot be kept in a record, or beside the weights."""
    made(Student, about(spec, student))
    blueprint = student.blueprint()
    try:
        json.dumps(blueprint, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BenchError(f"{spec.values['student']}: blueprint() is none that JSON can hold: {error}") from None
    odd = [n for n, v in method.notes.items() if not isinstance(v, (int, float)) or not math.isfinite(v)]
    if odd:
        raise BenchError(f"{spec.values['method']}: the note {odd[0]!r} is {method.notes[odd[0]]!r:.80}, and no number")


def about(spec: Spec, student: Network) -> dict[str, Any]:
    return {"name": spec.values["student"], "origin": student.origin, "width": student.width}


def scored(spec: Spec, predictions: Predictions) -> dict[str, dict[str, Any]]:
    """What follows from the predictions on test. BenchError: the main metric is undefined."""
    scorer = derived.Scorer(spec.task.score, spec.task.main_metric)
    parts = {"metrics": derived.metrics, "teacher": derived.teacher, "references": derived.references}
    return {name: work(scorer, predictions) for name, work in parts.items()}


def make_record(
    spec: Spec, student: Network, teacher: Teacher, trainer: Trainer, predictions: Predictions,
    scores: dict[str, dict[str, Any]], dev: float, measured: dict[str, Any], weights: Path, started: str, results: Path,
) -> Record:  # fmt: skip
    """The record of a finished run. `results`: where the records of the runs that came first are."""
    packed = pack(flatten(predictions))
    return made(Record, {
        "schema_": SCHEMA,
        "run_id": spec.run_id,
        "spec": dict(spec.values),
        "data": data(spec.task),
        "teacher": {
            "name": spec.place.name,
            "identity": spec.place.identity,
            "fingerprint": teacher.fingerprint,
            "efficiency": size(teacher.network, measured, spec.place.disk_bytes, "teacher"),
        }
        | scores["teacher"],
        "student": about(spec, student),
        "metrics": scores["metrics"] | {"dev": dev, "choices": derived.choices(trainer.progress.curve)},
        "references": scores["references"],
        "by_path": by_path(spec),
        "notes": trainer.method.notes,
        "efficiency": efficiency(spec, student, measured, weights),
        "cost": cost(trainer.progress, [*trainer.teachers.values()], trainer.meter) | {"before": before(spec, results)},
        "curve": trainer.progress.curve,
        "environment": machine.describe(teacher.device, trainer.processes),
        "provenance": provenance(started, trainer.processes),
        "tuned": tuning.naming(results, spec.values),
        "predictions": {"file": f"{spec.run_id}.npz", "sha256": files.sha256(packed)},
    })  # fmt: skip


def by_path(spec: Spec) -> dict[str, dict[str, str]]:
    """What task, method and student say of themselves, where they are files of the user's."""
    classes = {"task": type(spec.task), "method": registry.load(spec.method), "student": registry.load(spec.student)}
    given = {kind: cls for kind, cls in classes.items() if isinstance(spec.values["versions"][kind], str)}
    notes = {kind: inspect.cleandoc(sys.modules[cls.__module__].__doc__ or "") for kind, cls in given.items()}
    titles = {kind: getattr(cls, "title", "") or notes[kind].partition("\n")[0] for kind, cls in given.items()}
    return {kind: {"title": titles[kind][:500], "notes": notes[kind][:20_000]} for kind in given}


def before(spec: Spec, results: Path) -> dict[str, Any] | None:
    """What the runs cost that came first, each once; None: there were none. RequestError: a record is not there."""
    costs = [
        disk.read(disk.path_of(results, s.values, s.run_id)).cost
        for s in with_first(o for _, o in spec.wanted).values()
    ]
    return {
        "runs": len(costs),
        "student_updates": sum(c.student_updates for c in costs),
        "teacher_forwards": sum(c.forwards or 0 for c in costs),
        "seconds": sum(c.own_seconds or 0.0 for c in costs),
    } if costs else None  # fmt: skip


def with_first(specs: Iterable[Spec]) -> dict[str, Spec]:
    """These runs and all that they want, which may want others, by run id; each after those that it wants."""
    found: dict[str, Spec] = {}
    for spec in specs:
        found |= with_first(other for _, other in spec.wanted) | {spec.run_id: spec}
    return found


def data(task: Task) -> dict[str, Any]:
    card = vars(task.card())
    return card | {"source": task.source.kind, "identity": task.identity(), "origin": card["source"]}


def size(network: Network, measured: dict[str, Any], disk_bytes: int, name: str) -> dict[str, Any]:
    """Counts and timings of one of the measured networks."""
    return measured["models"][name] | {"parameters": parameters(network), "disk_bytes": disk_bytes}


def efficiency(spec: Spec, student: Network, measured: dict[str, Any], weights: Path) -> dict[str, Any]:
    """The student's, beside the teacher's; of a run that was not timed the counts alone."""
    speedups = measured["speedups"]["student"]
    timed = measured["samples"] is not None
    hashed = files.sha256(pack(flatten_samples(measured["samples"]))) if timed else ""
    names = ("scope", "device", "threads", "inputs", "notes", "noise", "seen", "measured", "commit", "dirty")
    return size(student, measured, weights.stat().st_size, "student") | {key: measured[key] for key in names} | {
        "speedup": speedups.get("single"), "speedups": speedups, "noisy": bool(measured["noise"]),
        "samples": {"file": f"{spec.run_id}.samples.npz", "sha256": hashed} if timed else None,
    }  # fmt: skip


def cost(progress: Progress, teachers: Sequence[Teacher], meter: Meter | None) -> dict[str, Any]:
    """Of the training loop and of all networks that taught in it; runs that came first have records of their own."""
    return {
        "student_updates": progress.updates,
        "stages": derived.stage_lengths(progress.curve),
        "teacher_forwards": sum(t.forwards["computed"] for t in teachers),
        "teacher_forwards_reused": sum(t.forwards["reused"] for t in teachers),
        "train_seconds": progress.seconds,
        "teacher_seconds": sum(t.seconds["computed"] for t in teachers),
        "teacher_seconds_reused": sum(t.seconds["reused"] for t in teachers),
        "energy_j": progress.joules if meter else None,
        "energy_source": meter.source if meter else None,
    }
