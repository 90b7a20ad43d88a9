"""`bench check`: a folder of results is what it claims to be, found out from the folder alone.

Everything in a record that follows from its stored predictions and samples is computed again. A problem is a path and
a reason; a broken file never stops the check.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from bench.errors import BenchError, RequestError
from bench.plugins import registry
from bench.records import derived, disk
from bench.records.arrays import unflatten, unflatten_samples
from bench.records.check_others import check_profile, check_teacher
from bench.records.mismatches import mismatches
from bench.records.schemas import Record
from bench.records.specs import TRACK_ORDER, checked_spec
from bench.records.strict import arrays_beside, read_strictly
from bench.scoring.scores import Array, Predictions, Ragged

SCORED_AGAIN = 1e-6  # of a dev score: the same weights in another batch order
ARRAYS = {"prediction", "gold", "teacher", "units"}  # of a data set's predictions
OWN = re.compile(r"[0-9a-f]{16}(\.json|\.npz|\.samples\.npz)")


@dataclass(frozen=True)
class Problem:
    path: str
    problem: str


def check(results: Path) -> tuple[int, list[Problem]]:
    """(records seen, problems). RequestError: there is no such folder."""
    if not results.is_dir():
        raise RequestError(f"there is no folder of results at {results}")
    found = sorted(walk(results))
    profiles = [path for path in found if path.parent == results / disk.PROFILES]
    taught = [path for path in found if path.parent == results / disk.TEACHERS]
    found = [path for path in found if path not in {*profiles, *taught}]
    names = {path for path in found if path.suffix == ".json"}
    problems = [Problem(str(p), why) for p in found if (why := stray(p, results, names))]
    problems += [Problem(str(p), why) for p in profiles for why in check_profile(p)]
    problems += [Problem(str(p), why) for p in taught for why in check_teacher(p)]
    bad = {p.path for p in problems}
    seen: dict[str, Path] = {}
    for path in sorted(names):
        if str(path) not in bad:
            problems += [Problem(str(path), why) for why in check_record(path, results, seen)]
    return len(names), problems


def walk(folder: Path) -> Iterator[Path]:
    """Every file, link and empty folder below; links are not followed."""
    for parent, folders, files in os.walk(folder):
        here = Path(parent)
        linked = [name for name in folders if (here / name).is_symlink()]
        yield from (here / name for name in (*files, *linked))
        if not folders and not files and here != folder:
            yield here


def stray(path: Path, results: Path, known: set[Path]) -> str:
    """Why something in the folder does not belong there; empty: it does."""
    if path.is_symlink():
        return "a link: results are plain files"
    if not path.is_file():
        return "an empty folder" if path.is_dir() else "not a plain file"
    if path.name.endswith(".partial"):
        return "left by a write that was interrupted; it can be deleted"
    if len(path.relative_to(results).parts) < 5 or not OWN.fullmatch(path.name):
        return "a stray file: not <track>/<task>/<method>/<student>/<run id>.json, .npz or .samples.npz"
    if path.with_name(path.name.partition(".")[0] + ".json") not in known:
        return "a stray file: no record of this run lies beside it"
    return ""


def check_record(path: Path, results: Path, seen: dict[str, Path]) -> list[str]:
    """All that is wrong with one record and the files beside it."""
    try:
        record = read_strictly(path, Record)
        apart = (of_place(record, path, results, seen), of_content(record), of_times(record), of_curve(record))
        return [*chain.from_iterable(apart), *of_files(record, path)]
    except BenchError as error:
        return [str(error).removeprefix(f"{path} is not a valid record: ")]
    except Exception as error:  # nothing in a file may stop the check of the others
        return [f"cannot be checked: {type(error).__name__}: {str(error)[:200]}"]


def of_place(record: Record, path: Path, results: Path, seen: dict[str, Path]) -> Iterator[str]:
    """The run id is the hash of the spec, and the file lies where the spec says, once."""
    spec = checked_spec(record, "the record")
    text = json.dumps(record.spec, sort_keys=True, allow_nan=False)
    if hashlib.sha256(text.encode()).hexdigest()[:16] != record.run_id:
        yield f"run_id {record.run_id} is not the hash of the spec"
    expected = disk.path_of(results, record.spec, record.run_id)
    if path != expected:
        yield f"belongs to {expected.relative_to(results)}"
    if spec.track not in TRACK_ORDER:
        yield f"unknown track {spec.track!r}"
    if record.run_id in seen:
        yield f"the same run as {seen[record.run_id]}"
    seen.setdefault(record.run_id, path)
    data = record.spec.get("data")
    if not isinstance(data, dict) or (data.get("identity"), data.get("source")) != (
        record.data.identity,
        record.data.source,
    ):
        yield "data: identity and source are not those of the spec"
    if (spec.teacher, spec.versions.get("teacher")) != (record.teacher.name, record.teacher.identity):
        yield "teacher: name and identity are not those of the spec"
    if spec.student != record.student.name:
        yield "student: the name is not that of the spec"


def of_content(record: Record) -> Iterator[str]:
    """Numbers that must fit one another, whatever the predictions are."""
    e, m = record.efficiency, record.metrics
    for who, size in (("student", e), ("teacher", record.teacher.efficiency)):
        if size.parameters.total != size.parameters.embedding + size.parameters.active:
            yield f"{who}: total parameters are not embedding + active"
    for where, interval in (("metrics.main", m.main), ("teacher.main", record.teacher.main)):
        if interval and not interval.ci95[0] <= interval.value <= interval.ci95[1]:
            yield f"{where}: the value is not inside its interval"
    if e.noise != derived.reasons(e.seen) or e.noisy != bool(e.noise):
        yield "efficiency: noisy and its reasons do not follow from what was seen"
    if e.speedup != e.speedups.get("single"):
        yield "efficiency.speedup is not that of the point single"
    if (record.cost.energy_j is None) != (record.cost.energy_source is None):
        yield "cost: energy without a source, or a source without energy"
    first = checked_spec(record).first
    if record.cost.before and not 0 < len(first) <= record.cost.before.runs:
        yield f"cost.before counts {record.cost.before.runs} runs that came first, the spec names {len(first)}"
    if record.curve and record.cost.student_updates != sum(record.cost.stages.values()):
        yield "cost: student_updates is not the sum over stages"


def of_times(record: Record) -> Iterator[str]:
    """When it was made, in an order that is possible."""
    p = record.provenance
    times = [moment(p.started), moment(p.finished), moment(record.efficiency.measured)]
    if None in times:
        yield "provenance: started, finished and measured must be times in ISO 8601 with their zone"
    elif times[0] > times[1]:  # type: ignore[operator]
        yield "provenance: finished before it started"


def of_curve(record: Record) -> Iterator[str]:
    """What was chosen, and how long stages were, follow from the curve."""
    m = record.metrics
    if [c.model_dump() for c in m.choices] != derived.choices(record.curve):
        yield "metrics.choices are not the best dev scores of the curve"
    elif chosen_last(record) and abs(m.dev - m.choices[-1].value) > SCORED_AGAIN:
        yield "metrics.dev is not the dev score of the last choice"
    steps = [point.get("step") for point in record.curve]
    if not all(type(step) is int and step >= 0 for step in steps):
        yield "curve: a step is not a whole number from 0 on"
    elif derived.stage_lengths(record.curve) != record.cost.stages:
        yield "cost.stages are not the last steps of the curve's stages"


def chosen_last(record: Record) -> bool:
    """Whether the last stage kept what was best on dev; one that keeps its end reads no dev score."""
    last = record.curve[-1]["stage"] if record.curve else ""
    return any(c.what == f"checkpoint of stage {last}" for c in record.metrics.choices)


def moment(text: str) -> datetime.datetime | None:
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


def of_files(record: Record, path: Path) -> Iterator[str]:
    """The files beside the record are the ones it was made from, and give its numbers."""
    predictions = arrays_beside(path, f"{record.run_id}.npz", record.predictions)
    if isinstance(predictions, str):
        yield predictions
    else:
        yield from of_predictions(record, predictions)
    samples = arrays_beside(path, f"{record.run_id}.samples.npz", record.efficiency.samples)
    if isinstance(samples, str):
        yield samples
    else:
        yield from of_samples(record, samples)


def of_predictions(record: Record, arrays: Mapping[str, np.ndarray]) -> Iterator[str]:
    """Every metric, its interval, the teacher's, retention and loyalty, computed again."""
    predictions = unflatten(arrays)
    wrong = list(malformed(predictions, record))
    yield from wrong
    if wrong:
        return
    family, _, dataset = record.spec["task"].partition("/")
    cls = registry.load(registry.installed("task", family))
    metric = cls.main_metrics.get(dataset, cls.main_metric)
    again = derived.metrics(cls.score, metric, predictions)
    said = record.metrics.model_dump(include=set(again))
    yield from (f"metrics.{why}" for why in mismatches(said, again))
    teacher = derived.teacher(cls.score, metric, predictions)
    said = record.teacher.model_dump(include=set(teacher))
    yield from (f"teacher.{why}" for why in mismatches(said, teacher))


def malformed(predictions: Predictions, record: Record) -> Iterator[str]:
    """Arrays that no run writes."""
    name, needed = record.predictions.file, {"prediction", "gold"} | ({"teacher"} if record.teacher.main else set())
    allowed = ARRAYS if record.teacher.main else ARRAYS - {"teacher"}
    if set(predictions) != set(record.metrics.all):
        yield f"{name}: its data sets are not those of the metrics"
    for dataset, arrays in predictions.items():
        if not needed <= set(arrays) <= allowed:
            yield f"{name}: {dataset} holds {', '.join(sorted(arrays))}"
        elif len({len(a) for a in arrays.values()}) > 1 or len({shape(arrays[n]) for n in needed - {"gold"}}) > 1:
            yield f"{name}: the arrays of {dataset} differ in length"
        elif not len(arrays["gold"]):
            yield f"{name}: {dataset} is empty"
        elif len(arrays["gold"]) != record.data.sizes.get(dataset, len(arrays["gold"])):
            yield f"{name}: {dataset} has {len(arrays['gold'])} examples, the record says {record.data.sizes[dataset]}"
        elif not all(map(finite, arrays.values())):
            yield f"{name}: {dataset} holds values that are not finite"


def shape(array: Array) -> tuple[int, ...]:
    """What prediction and teacher have in common: of ragged rows, how many values there are in a column."""
    return array.flat.shape[1:] if isinstance(array, Ragged) else array.shape


def finite(array: Array) -> bool:
    values = array.flat if isinstance(array, Ragged) else array
    return values.dtype.kind == "U" or bool(np.isfinite(values).all())


def of_samples(record: Record, arrays: Mapping[str, np.ndarray]) -> Iterator[str]:
    """Latency, throughput and speed-up, computed again from the samples."""
    try:
        samples = unflatten_samples(arrays)
        complete = {"single", "offline"} <= set(samples) and all(
            set(s) == {"teacher", "student"} for s in samples.values()
        )
    except (KeyError, ValueError, TypeError):
        complete = False
    if not complete:
        yield f"{record.efficiency.samples.file}: not the samples of teacher and student"
        return
    if any(not turn or min(turn) <= 0 for by in samples.values() for rounds in by.values() for turn in rounds):
        yield f"{record.efficiency.samples.file}: a round without samples, or a time that is not positive"
        return
    yield from (f"efficiency.seen.{why}" for why in mismatches(
        {"spread": record.efficiency.seen.get("spread")}, {"spread": derived.spread(samples)}
    ))  # fmt: skip
    speedups = derived.speedups(samples, "teacher")["student"]
    said = {k: v.model_dump() for k, v in record.efficiency.speedups.items()}
    yield from (f"efficiency.speedups.{why}" for why in mismatches(said, speedups))
    for name, size in (("student", record.efficiency), ("teacher", record.teacher.efficiency)):
        again = derived.speeds(samples, name, record.efficiency.inputs)
        said = {"latency": size.latency, "throughput": size.throughput}
        yield from (f"{name}.{why}" for why in mismatches(said, again))
