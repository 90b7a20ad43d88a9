"""Numbers of a record that no machine measures and no training loop leaves, whatever they fit."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from bench.base.groups import grouped
from bench.plugins import registry
from bench.records.arrays import Samples
from bench.records.schemas import Cost, Point, Profile, Provenance, Record, Size
from bench.scoring.metrics import METRICS

TOOL, SKEW = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC), datetime.timedelta(days=1)  # no run is older, or later
READ_LOSSES = 20  # times a stage, see bench.training.loop
MOST_INPUTS = 128  # of a session of the clock
MOST_CALLS = 2000 * 100  # of a network at a point: of a round, in all rounds
SHORTEST, LONGEST = 1_000, 3600 * 10**9  # ns of a call
PER_CORE, PER_GPU = 5e11, 5e15  # operations a second that no core, and no GPU, is above
WATTS = 0.01, 20_000.0
DRAWN = "test inputs drawn with seed"


def of_run(record: Record, settings: Mapping[str, Any]) -> Iterator[str]:
    """`settings`: of the track."""
    fastest = rate_limit(record.efficiency.device, record.environment.get("cores"))
    whole = "batch_size" in settings and settings["batch_size"] is None  # as of a graph: one pass is of all inputs
    for where, size in (("efficiency", record.efficiency), ("teacher.efficiency", record.teacher.efficiency)):
        shared = record.efficiency.inputs if whole else 1
        counted = bool(size.flops) or size is record.efficiency  # a teacher's may be none of torch's
        yield from (f"{where}.{why}" for why in of_size(size, fastest * shared, counted))
        if not (size is record.efficiency and frozen(record.student.name)) and (
            3.9 * size.parameters.total > size.disk_bytes * (2 if where[0] == "t" else 1)
        ):
            yield f"{where}.disk_bytes: too few for {size.parameters.total:,} parameters"
    p = record.efficiency.parameters
    if record.efficiency.disk_bytes > 4.5 * p.total + 4 * p.embedding + 10**6:  # tables that are tied are stored twice
        yield "efficiency.disk_bytes: too many for the student's parameters"
    yield from inputs(record.efficiency.inputs, record.efficiency.notes)
    tests = {name: record.data.sizes.get(name, record.data.sizes.get("test")) for name in record.metrics.all}
    if None not in tests.values() and record.efficiency.inputs > 10 * sum(tests.values()):  # type: ignore[arg-type]
        yield f"efficiency.inputs: {record.efficiency.inputs} of a test split of {sum(tests.values())}"  # type: ignore[arg-type]
    yield from of_seen(record.efficiency.seen)
    yield from of_cost(record.cost, record.curve, settings)
    readings = [dev for point in record.curve if (dev := point.get("dev")) is not None]
    if metric := METRICS.get(record.metrics.main.name):
        least, most = metric.bounds
        if not all(least <= reading <= most for reading in readings):
            yield f"curve: no {record.metrics.main.name} is so far from 0"
    work = 2 * record.efficiency.flops.get("mean", 0.0) * record.cost.student_updates * (settings["batch_size"] or 1)
    if work > 10 * fastest * record.cost.train_seconds:
        yield "cost.train_seconds: too few for so many updates"
    libraries = record.environment.get("libraries")
    if not isinstance(libraries, dict) or "torch" not in libraries:
        yield "environment.libraries: every run has those that trained it"
    if record.student.width < 1 or not record.student.origin:
        yield "student: a network without a width, or of no origin"
    yield from of_provenance(record.provenance, record.efficiency.measured or "")


def frozen(student: str) -> bool:
    """Whether what is stored of a student is a part of it."""
    plugin = registry.found("student").get(student.partition(":")[0])
    return bool(plugin and plugin.declares.get("frozen"))


def rate_limit(device: str, cores: Any) -> float:
    """Operations a second that nothing of this kind is above."""
    return PER_CORE * (cores if isinstance(cores, int) else 1024) if device.startswith("CPU") else PER_GPU


def of_operations(size: Size, fastest: float) -> Iterator[str]:
    if "mean" not in size.flops or min(size.flops.values()) < 0 or size.flops["mean"] < size.parameters.active / 2:
        yield "flops: fewer than its parameters need"
    elif size.flops["mean"] * max(size.throughput.values(), default=0.0) > fastest:
        yield "throughput: more operations a second than the device can do"
    elif size.flops["mean"] > 1e6 * max(size.parameters.active, 1) * max(1.0, size.tokens.get("mean", 1.0)):
        yield "flops: more than its parameters and inputs explain"


def of_size(size: Size, fastest: float, counted: bool = True) -> Iterator[str]:
    """`counted`: its operations are."""
    p = size.parameters
    if p.total < 1 or p.embedding > p.total:
        yield "parameters: of no network"
    if counted:
        yield from of_operations(size, fastest)
    if size.memory_bytes is not None and not 3.9 * p.total <= size.memory_bytes < 1e13:
        yield "memory_bytes: of no network with so many parameters"
    if not 0 < size.tokens.get("mean", 0.0) < 1e7 or not 0 <= size.tokens.get("padding", 0.0) < 1:
        yield "tokens: of no inputs"
    if size.index_bytes is not None and size.index_bytes < 1:
        yield "index_bytes: of no index"
    if size.energy is not None:
        watts = size.energy.joules_per_1000 * size.throughput.get("offline_per_s", 0.0) / 1000
        if not WATTS[0] <= watts <= WATTS[1] or not known_source(size.energy.source):
            yield f"energy: {watts:.3g} W, by {size.energy.source!r:.40}"


def of_untimed(record: Record) -> str:
    """What a record says of times without samples of any; empty: nothing."""
    e = record.efficiency
    times = (e.speedup, e.speedups, e.measured, e.latency, e.throughput, e.energy, e.seen, e.noise)
    own = record.teacher.efficiency
    return "efficiency: times without samples" if any((*times, own.latency, own.throughput, own.energy)) else ""


def known_source(source: str | None) -> bool:
    return source is not None and (source in ("nvml", "rapl") or source.startswith("estimate"))


def inputs(number: int, notes: list[str]) -> Iterator[str]:
    """The inputs that were timed are as many as the session says, and not more than one takes."""
    said = next((note.split()[0] for note in notes if DRAWN in note), None)
    if number > MOST_INPUTS or (said is not None and said != str(number)):
        yield f"efficiency.inputs: {number}, the session drew {said or f'at most {MOST_INPUTS}'}"


def of_seen(seen: Mapping[str, float]) -> Iterator[str]:
    """Shares lie between 0 and 1, and nothing is below 0."""
    shares = {"foreign", "steal", "clock"}
    if any(value < 0 or (name in shares and value > 1) for name, value in seen.items()):
        yield "efficiency.seen: below 0, or a share above 1"


def of_samples(samples: Samples) -> str:
    """Why no clock gives these; empty: one may. Every network is timed at every point, round by round."""
    for point, by in samples.items():
        rounds = {len(turns) for turns in by.values()}
        if len(rounds) > 1:
            return f"the networks were timed in different numbers of rounds at {point}"
        for turns in by.values():
            if any(not turn or min(turn) < SHORTEST or max(turn) > LONGEST for turn in turns):
                return f"a round without samples, or a time at {point} that no network takes"
            if sum(map(len, turns)) > MOST_CALLS:
                return f"more calls at {point} than a session makes"
            flat = np.concatenate(turns)
            if len(flat) >= 30 and len(np.unique(flat)) < 3:
                return f"the same time again and again at {point}"
    return ""


def of_cost(cost: Cost, curve: list[Point], settings: Mapping[str, Any]) -> Iterator[str]:
    """The curve has the points of stages of such a length, and a cost is one."""
    points = grouped(curve, lambda p: p["stage"])
    for stage, updates in cost.stages.items():
        yield from of_stage(stage, updates, points.get(stage, []), settings.get("evaluations"))
    entered = [
        one["stage"] for one, two in zip(curve, [None, *curve], strict=False) if not two or two["stage"] != one["stage"]
    ]
    if len(entered) > len(set(entered)):
        yield "curve: a stage that begins twice"
    if not cost.train_seconds:
        yield "cost.train_seconds: no training takes no time"
    if cost.teacher_forwards_reused and not cost.teacher_seconds_reused:
        yield "cost.teacher_seconds_reused: forwards without time"
    if cost.energy_j is not None and cost.train_seconds:
        watts = cost.energy_j / cost.train_seconds
        if not WATTS[0] <= watts <= 100 * WATTS[1] or not known_source(cost.energy_source):
            yield f"cost.energy_j: {watts:.3g} W, by {cost.energy_source!r:.40}"


def of_stage(stage: str, updates: int, points: list[Point], evaluations: Any) -> Iterator[str]:
    """Losses are read 20 times, and dev as often as the settings say and before the first update, or not at all."""
    if not isinstance(evaluations, int) or evaluations < 1 or not 1 <= updates < 10**9:
        yield f"curve: stage {stage!r:.60} of {updates} updates, in which dev is read {evaluations!r:.20} times"
        return
    every = max(1, updates // READ_LOSSES)
    due = (
        {round(updates * (k + 1) / evaluations) for k in range(min(evaluations, updates + 1))}
        if evaluations <= updates
        else set(range(updates + 1))
    )
    read = {p["step"] for p in points if "dev" in p}
    start = {0} if read else set[int]()
    if read - {0} != (due - {0} if read else set()) or (read and 0 not in read):
        yield f"curve: dev was not read in stage {stage!r:.60} when the settings say"
    elif [p["step"] for p in points] != sorted(start | (due - {0}) | set(range(every, updates + 1, every))):
        yield f"curve: stage {stage!r:.60} of {updates} updates has points at other steps"
    elif any(bool(p["losses"]) != bool(p["step"]) for p in points):
        yield f"curve: stage {stage!r:.60} has a point without losses"


def of_provenance(said: Provenance, measured: str = "") -> Iterator[str]:
    """Times in an order that is possible, a command of ours, and a commit that is one."""
    times = [moment(text) for text in (said.started, said.finished, *([measured] if measured else []))]
    if None in times:
        yield "provenance: started, finished and measured must be times in ISO 8601 with their zone"
    elif times[0] > times[1]:  # type: ignore[operator]
        yield "provenance: finished before it started"
    elif not all(TOOL <= t <= datetime.datetime.now(datetime.UTC) + SKEW for t in times if t):
        yield "provenance: a time before there was a bench, or that has not come yet"
    if "bench" not in said.command.split() or not said.version.strip():
        yield "provenance: a command that is none of bench, or no version"
    if said.commit is not None and not (len(said.commit) == 40 and set(said.commit) <= set("0123456789abcdef")):
        yield "provenance.commit: not the hash of a commit"
    if (said.commit is None) != (said.dirty is None):
        yield "provenance.dirty: said without a commit, or not said of one"


def moment(text: str) -> datetime.datetime | None:
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


def of_profile(profile: Profile) -> Iterator[str]:
    fastest = rate_limit(profile.device, profile.environment.get("cores"))
    for name, size in profile.models.items():
        yield from (f"models.{name}.{why}" for why in of_size(size, fastest))
        if size.parameters.total != size.parameters.embedding + size.parameters.active:
            yield f"models.{name}.parameters.total: not the embedding and the active ones"
    yield from inputs(profile.inputs, profile.notes)
    yield from of_seen(profile.seen)
    yield from of_provenance(profile.provenance)
