"""What in a record follows from the rest of it, and from the files beside it: {where it is said: what it has to be}."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.plugins import registry
from bench.records import derived, scorer, typed
from bench.records.arrays import Samples
from bench.records.disk import run_id_of
from bench.records.schemas import Profile, Record, Taught
from bench.records.specs import CheckedSpec, checked_spec
from bench.scoring.scores import Predictions

Place = tuple[str, ...]  # keys, from the outermost on
Scorers = dict[str, derived.Scorer]  # of records seen so far


def itself(record: Record) -> dict[Place, Any]:
    """From the spec, the curve and what was seen of the machine."""
    spec, noise = checked_spec(record, "the record"), derived.reasons(record.efficiency.seen)
    data = record.spec.get("data")
    stages = derived.stage_lengths(record.curve)
    sizes = {("efficiency",): record.efficiency, ("teacher", "efficiency"): record.teacher.efficiency}
    return {
        ("run_id",): run_id_of(record.spec),
        ("data", "identity"): data.get("identity") if isinstance(data, dict) else None,
        ("data", "source"): data.get("source") if isinstance(data, dict) else None,
        ("teacher", "name"): spec.teacher,
        ("teacher", "identity"): spec.versions.get("teacher"),
        ("student", "name"): spec.student,
        ("efficiency", "noise"): noise,
        ("efficiency", "noisy"): bool(noise),
        ("metrics", "choices"): derived.choices(record.curve),
        ("cost", "stages"): stages,
        ("cost", "student_updates"): sum(stages.values()),
    } | {
        (*at, "parameters", "total"): size.parameters.embedding + size.parameters.active for at, size in sizes.items()
    }  # fmt: skip


def taught(record: Taught, key: str) -> dict[Place, Any]:
    """Of a teacher, from its curve and the name of its file."""
    stages = derived.stage_lengths(record.curve)
    return {
        ("key",): key,
        ("dev",): max((dev for point in record.curve if (dev := point.get("dev")) is not None), default=None),
        ("cost", "stages"): stages,
        ("cost", "student_updates"): sum(stages.values()),
        ("parameters", "total"): record.parameters.embedding + record.parameters.active,
    }


def predictions(record: Record, found: Predictions, scorers: Scorers) -> dict[Place, Any]:
    """Every metric, its interval, the teacher's, retention and loyalty."""
    own = scorer_of(record, scorers)
    return {
        **{("metrics", key): value for key, value in derived.metrics(own, found).items()},
        ("references",): derived.references(own, found),
        **{("teacher", key): value for key, value in derived.teacher(own, found).items()},
    }


def scorer_of(record: Record, scorers: Scorers) -> derived.Scorer:
    """That of the record's task; records of one task share it."""
    spec = checked_spec(record)
    metric, said = metric_of(spec, record), {name: sorted(own) for name, own in record.metrics.all.items()}
    key = repr((spec.task, spec.versions.get("task"), metric, sorted(said.items())))
    if key not in scorers:
        scorers[key] = derived.Scorer(scorer.of(spec, said), metric)
    return scorers[key]


def metric_of(spec: CheckedSpec, record: Record) -> str:
    """The task's main metric; of one that is a file what the record calls so."""
    family, _, dataset = spec.task.partition("/")
    if typed.by_path(spec, "task"):
        return record.metrics.main.name
    cls = registry.load(registry.installed("task", family))
    return str(cls.main_metrics.get(dataset, cls.main_metric))


def samples(record: Record, found: Samples) -> dict[Place, Any]:
    """Latency, throughput, speed-ups, and the spread between rounds."""
    speedups = derived.speedups(found, "teacher")["student"]
    places = {"student": ("efficiency",), "teacher": ("teacher", "efficiency")}
    return speeds(found, record.efficiency.inputs, places) | {
        ("efficiency", "speedups"): speedups,
        ("efficiency", "speedup"): speedups["single"],
        ("efficiency", "seen", "spread"): derived.spread(found),
    }


def profile(said: Profile, found: Samples) -> dict[Place, Any]:
    """The same of a profile."""
    places = {name: ("models", name) for name in said.models}
    return speeds(found, said.inputs, places) | {("speedups",): derived.speedups(found, said.reference)}


def speeds(found: Samples, inputs: int, places: Mapping[str, Place]) -> dict[Place, Any]:
    """Of each network at its place."""
    every = ((at, derived.speeds(found, name, inputs)) for name, at in places.items())
    return {(*at, key): value for at, said in every for key, value in said.items()}
