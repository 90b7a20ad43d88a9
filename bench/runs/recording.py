"""The account of a run: everything that a reader needs to trust and to repeat it, in the form of a record."""

from __future__ import annotations

import datetime
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench import __version__
from bench.measuring import machine
from bench.measuring.counting import parameters
from bench.measuring.energy import Meter
from bench.network import Network
from bench.records import disk
from bench.runs.spec import Spec
from bench.scoring import bootstrap
from bench.scoring.loyalty import loyalty
from bench.scoring.scores import Predictions, Scores, headline
from bench.task import Task
from bench.teachers.teacher import Teacher
from bench.training.loop import Progress, Trainer


def make_record(
    spec: Spec, student: Network, teacher: Teacher, trainer: Trainer, predictions: Predictions, dev: float,
    measured: dict[str, Any], weights: Path, started: str,
) -> disk.Record:  # fmt: skip
    """The record of a finished run."""
    reference = score(spec.task.score, spec.task.main_metric, of_teacher(predictions))
    packed = disk.pack(disk.flatten(predictions))
    return disk.Record(
        schema_=disk.SCHEMA,
        run_id=spec.run_id,
        spec=dict(spec.values),
        data=data(spec.task),
        teacher={
            "name": spec.place.name,
            "identity": spec.place.identity,
            "fingerprint": teacher.fingerprint,
            "metrics": reference["all"],
            "main": reference["main"],
            "efficiency": size(teacher.network, measured, spec.place.disk_bytes, "teacher"),
        },
        student={"name": spec.values["student"], "origin": student.origin, "width": student.width},
        metrics=metrics(spec.task.score, spec.task.main_metric, predictions)
        | {"dev": dev, "choices": choices(trainer.progress.curve)},
        efficiency=efficiency(spec, student, measured, weights),
        cost=cost(trainer.progress, list(trainer.teachers.values()), trainer.meter),
        curve=trainer.progress.curve,
        environment=machine.describe(teacher.device, trainer.processes),
        provenance=provenance(started, trainer.processes),
        predictions={"file": f"{spec.run_id}.npz", "sha256": disk.sha256(packed)},
    )


def metrics(scorer: Callable[[Predictions], Scores], metric: str, predictions: Predictions) -> dict[str, Any]:
    """All that follows from stored predictions alone: scores, the main one's interval, retention, loyalty."""
    own, reference = score(scorer, metric, predictions), headline(scorer(of_teacher(predictions)), metric)[1]
    retention = own["main"]["value"] / reference if reference > 0 else None
    return own | {"retention": retention, "loyalty": loyalty(predictions)}


def score(scorer: Callable[[Predictions], Scores], metric: str, predictions: Predictions) -> dict[str, Any]:
    """All metrics, and the main one with its interval."""
    scores = scorer(predictions)
    dataset, value = headline(scores, metric)
    ci95 = bootstrap.interval(predictions, scorer, metric)
    return {"all": scores, "main": {"name": metric, "dataset": dataset, "value": value, "ci95": ci95}}


def of_teacher(predictions: Predictions) -> Predictions:
    """The teacher's predictions in the student's place."""
    return {name: arrays | {"prediction": arrays["teacher"]} for name, arrays in predictions.items()}


def choices(curve: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The checkpoint that each stage ended with: the first that was best on dev."""
    best: dict[str, dict[str, Any]] = {}
    for point in curve:
        kept = best.get(point["stage"])
        if "dev" in point and (kept is None or point["dev"] > kept["dev"]):
            best[point["stage"]] = point
    return [
        {"what": f"checkpoint of stage {stage}", "split": "dev", "step": point["step"], "value": point["dev"]}
        for stage, point in best.items()
    ]


def data(task: Task) -> dict[str, Any]:
    card = task.card()
    return {
        "source": task.source.kind, "identity": task.identity(), "title": card.title, "origin": card.source,
        "revision": card.revision, "licence": card.licence, "citation": card.citation,
        "splits": dict(card.splits), "sizes": dict(card.sizes), "notes": list(card.notes),
    }  # fmt: skip


def size(network: Network, measured: dict[str, Any], disk_bytes: int, name: str) -> dict[str, Any]:
    """Counts and timings of one of the measured networks."""
    return measured["models"][name] | {"parameters": parameters(network), "disk_bytes": disk_bytes}


def efficiency(spec: Spec, student: Network, measured: dict[str, Any], weights: Path) -> dict[str, Any]:
    """The student's, beside the teacher's."""
    speedups = measured["speedups"]["student"]
    samples = disk.sha256(disk.pack(disk.flatten_samples(measured["samples"])))
    kept = {key: measured[key] for key in ("scope", "device", "threads", "inputs", "notes", "noise", "seen")}
    return size(student, measured, weights.stat().st_size, "student") | kept | {
        "speedup": speedups["single"], "speedups": speedups, "noisy": bool(measured["noise"]),
        "samples": {"file": f"{spec.run_id}.samples.npz", "sha256": samples},
        "measured": measured["measured"], "commit": measured["commit"], "dirty": measured["dirty"],
    }  # fmt: skip


def cost(progress: Progress, teachers: Sequence[Teacher], meter: Meter | None) -> dict[str, Any]:
    """Of the training loop and of all networks that taught in it; runs that came first have records of their own."""
    return {
        "student_updates": progress.updates,
        "stages": stage_lengths(progress.curve),
        "teacher_forwards": sum(t.forwards["computed"] for t in teachers),
        "teacher_forwards_reused": sum(t.forwards["reused"] for t in teachers),
        "train_seconds": progress.seconds,
        "teacher_seconds": sum(t.seconds["computed"] for t in teachers),
        "teacher_seconds_reused": sum(t.seconds["reused"] for t in teachers),
        "energy_j": progress.joules if meter else None,
        "energy_source": meter.source if meter else None,
    }


def stage_lengths(curve: list[dict[str, Any]]) -> dict[str, int]:
    """{stage: its last step}."""
    return {point["stage"]: point["step"] for point in curve}


def provenance(started: str, processes: int = 1) -> dict[str, Any]:
    commit, dirty = machine.commit()
    launcher = ["torchrun", "--nproc_per_node", str(processes), "-m"] if processes > 1 else []
    return {
        "command": shlex.join([*launcher, "bench", *sys.argv[1:]]),
        "commit": commit, "dirty": dirty, "version": __version__, "started": started, "finished": now(),
    }  # fmt: skip


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
