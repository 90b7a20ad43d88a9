"""`bench check`: a folder of results is what it claims to be, found out from the folder alone.

Everything in a record that follows from its stored predictions and samples is computed again. A problem is a path and
a reason; a broken file never stops the check.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import math
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from bench.base.archive import ArchiveError, load_arrays
from bench.board.leaderboard import TRACK_ORDER, spec_of
from bench.errors import BenchError, RequestError
from bench.measuring import noise
from bench.plugins import registry
from bench.records import disk, layout
from bench.scoring.scores import Array, Predictions, Ragged

LARGEST = 20_000_000  # bytes of a record
LONGEST = 20_000  # characters of a text in a record
CLOSE = 1e-8  # relative and absolute; recomputed numbers differ by rounding alone
SCORED_AGAIN = 1e-6  # of a dev score: the same weights in another batch order
OWN = re.compile(r"[0-9a-f]{16}(\.json|\.npz|\.samples\.npz)")


@dataclass(frozen=True)
class Problem:
    path: str
    problem: str


def check(results: Path) -> tuple[int, list[Problem]]:
    """(records seen, problems). RequestError: there is no such folder."""
    from bench.records.check_others import check_profile, check_teacher

    if not results.is_dir():
        raise RequestError(f"there is no folder of results at {results}")
    found = sorted(walk(results))
    profiles = [path for path in found if path.parent == results / layout.PROFILES]
    taught = [path for path in found if path.parent == results / layout.TEACHERS]
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
        record = read_strictly(path)
        return [*of_place(record, path, results, seen), *of_content(record), *of_files(record, path)]
    except BenchError as error:
        return [str(error).removeprefix(f"{path} is not a valid record: ")]
    except Exception as error:  # nothing in a file may stop the check of the others
        return [f"cannot be checked: {type(error).__name__}: {str(error)[:200]}"]


def parse(path: Path) -> dict[str, Any]:
    """A JSON object of plain, finite values. RequestError: it is none, in one sentence."""
    if path.stat().st_size > LARGEST:
        raise RequestError(f"larger than {LARGEST // 10**6} MB")
    try:
        text = path.read_bytes().decode("utf-8")
        raw = json.loads(text, object_pairs_hook=_no_twice, parse_constant=_no_constant)
    except UnicodeDecodeError as error:
        raise RequestError(f"not UTF-8: {error.reason} at byte {error.start}") from None
    except RecursionError:
        raise RequestError("nested too deeply") from None
    except OSError as error:
        raise RequestError(f"cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise RequestError(f"not valid JSON: {error}") from None
    if not isinstance(raw, dict):
        raise RequestError("not a JSON object")
    for where, value in leaves(raw):
        if why := odd(value):
            raise RequestError(f"{where}: {why}")
    return raw


def read_strictly(path: Path) -> disk.Record:
    """The record, with what the schema lets pass made an error too."""
    raw = parse(path)
    version = raw.get("schema")
    if version != disk.SCHEMA or isinstance(version, (bool, float)):
        raise RequestError(f"schema {str(version)[:20]!r}: this version of bench reads schema {disk.SCHEMA}")
    try:
        return disk.Record.model_validate_json(json.dumps(raw), strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        raise RequestError(f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}") from None


def _no_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(k for k in keys if keys.count(k) > 1)!r} is there twice")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def leaves(tree: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """(path, value) of every key and value below."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield f"a key of {where or 'the record'}", key
            yield from leaves(value, f"{where}.{key}".lstrip("."))
    elif isinstance(tree, list):
        for number, value in enumerate(tree):
            yield from leaves(value, f"{where}.{number}")
    else:
        yield where, tree


def odd(value: Any) -> str:
    """Why no record that bench wrote holds this value; empty: it may."""
    if isinstance(value, str):
        if len(value) > LONGEST:
            return f"a text of {len(value)} characters"
        hidden = {unicodedata.category(c) for c in value if c not in "\n\t"} & {"Cc", "Cf", "Cs", "Co"}
        return "control or invisible characters" if hidden else ""
    if isinstance(value, int) and abs(value) >= 2**63:
        return "a number that does not fit into 64 bits"
    return "not a finite number" if isinstance(value, float) and not math.isfinite(value) else ""


def of_place(record: disk.Record, path: Path, results: Path, seen: dict[str, Path]) -> Iterator[str]:
    """The run id is the hash of the spec, and the file lies where the spec says, once."""
    spec = spec_of(record, "the record")
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


def of_content(record: disk.Record) -> Iterator[str]:
    """Numbers that must fit one another, whatever the predictions are."""
    e, m, p = record.efficiency, record.metrics, record.provenance
    for who, size in (("student", e), ("teacher", record.teacher.efficiency)):
        if size.parameters.total != size.parameters.embedding + size.parameters.active:
            yield f"{who}: total parameters are not embedding + active"
    for where, interval in (("metrics.main", m.main), ("teacher.main", record.teacher.main)):
        if not interval.ci95[0] <= interval.value <= interval.ci95[1]:
            yield f"{where}: the value is not inside its interval"
    if e.noise != noise.reasons(e.seen) or e.noisy != bool(e.noise):
        yield "efficiency: noisy and its reasons do not follow from what was seen"
    if e.speedup != e.speedups.get("single"):
        yield "efficiency.speedup is not that of the point single"
    if (record.cost.energy_j is None) != (record.cost.energy_source is None):
        yield "cost: energy without a source, or a source without energy"
    if record.curve and record.cost.student_updates != sum(record.cost.stages.values()):
        yield "cost: student_updates is not the sum over stages"
    times = [moment(p.started), moment(p.finished), moment(e.measured)]
    if None in times:
        yield "provenance: started, finished and measured must be times in ISO 8601 with their zone"
    elif times[0] > times[1]:  # type: ignore[operator]
        yield "provenance: finished before it started"
    from bench.runs.recording import choices, stage_lengths

    if [c.model_dump() for c in m.choices] != choices(record.curve):
        yield "metrics.choices are not the best dev scores of the curve"
    elif not m.choices or abs(m.dev - m.choices[-1].value) > SCORED_AGAIN:
        yield "metrics.dev is not the dev score of the last choice"
    steps = [point.get("step") for point in record.curve]
    if not all(type(step) is int and step >= 0 for step in steps):
        yield "curve: a step is not a whole number from 0 on"
    elif stage_lengths(record.curve) != record.cost.stages:
        yield "cost.stages are not the last steps of the curve's stages"


def moment(text: str) -> datetime.datetime | None:
    try:
        found = datetime.datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None


def of_files(record: disk.Record, path: Path) -> Iterator[str]:
    """The files beside the record are the ones it was made from, and give its numbers."""
    predictions = beside(path, f"{record.run_id}.npz", record.predictions)
    if isinstance(predictions, str):
        yield predictions
    else:
        yield from of_predictions(record, predictions)
    samples = beside(path, f"{record.run_id}.samples.npz", record.efficiency.samples)
    if isinstance(samples, str):
        yield samples
    else:
        yield from of_samples(record, samples)


def beside(path: Path, name: str, stored: disk.StoredFile) -> dict[str, np.ndarray] | str:
    """The arrays of a file beside the record, or what is wrong with it."""
    if stored.file != name:
        return f"names the file {stored.file!r}, which must be {name}"
    file = path.with_name(name)
    if file.is_symlink() or (file.exists() and not file.is_file()):
        return f"{name}: not a plain file"  # opening a pipe would wait for ever
    try:
        data = file.read_bytes()
    except OSError as error:
        return f"{name}: {error.strerror}"
    if disk.sha256(data) != stored.sha256:
        return f"{name}: its hash is not the one in the record"
    try:
        return load_arrays(data)
    except ArchiveError as error:
        return f"{name}: {error}"


ARRAYS = {"prediction", "gold", "teacher", "units"}


def of_predictions(record: disk.Record, arrays: Mapping[str, np.ndarray]) -> Iterator[str]:
    """Every metric, its interval, the teacher's, retention and loyalty, computed again."""
    predictions = disk.unflatten(arrays)
    wrong = list(malformed(predictions, record))
    yield from wrong
    if wrong:
        return
    from bench.runs.recording import metrics, of_teacher, score

    family, _, dataset = record.spec["task"].partition("/")
    cls = registry.load(registry.installed("task", family))
    metric = cls.main_metrics.get(dataset, cls.main_metric)
    again = metrics(cls.score, metric, predictions)
    said = record.metrics.model_dump(include=set(again))
    yield from (f"metrics.{why}" for why in differences(said, again))
    teacher = score(cls.score, metric, of_teacher(predictions))
    said = {"all": record.teacher.metrics, "main": record.teacher.main.model_dump()}
    yield from (f"teacher.{why}" for why in differences(said, teacher))


def malformed(predictions: Predictions, record: disk.Record) -> Iterator[str]:
    """Arrays that no run writes."""
    name = record.predictions.file
    if set(predictions) != set(record.metrics.all):
        yield f"{name}: its data sets are not those of the metrics"
    for dataset, arrays in predictions.items():
        if not {"prediction", "gold", "teacher"} <= set(arrays) <= ARRAYS:
            yield f"{name}: {dataset} holds {', '.join(sorted(arrays))}"
        elif len({len(a) for a in arrays.values()}) > 1 or shape(arrays["prediction"]) != shape(arrays["teacher"]):
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


def of_samples(record: disk.Record, arrays: Mapping[str, np.ndarray]) -> Iterator[str]:
    """Latency, throughput and speed-up, computed again from the samples."""
    from bench.measuring import session

    try:
        samples = disk.unflatten_samples(arrays)
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
    yield from (f"efficiency.seen.{why}" for why in differences(
        {"spread": record.efficiency.seen.get("spread")}, {"spread": session.spread(samples)}
    ))  # fmt: skip
    speedups = session.speedups(samples, "teacher")["student"]
    said = {k: v.model_dump() for k, v in record.efficiency.speedups.items()}
    yield from (f"efficiency.speedups.{why}" for why in differences(said, speedups))
    for name, size in (("student", record.efficiency), ("teacher", record.teacher.efficiency)):
        again = session.derived(samples, name, record.efficiency.inputs)
        said = {"latency": size.latency, "throughput": size.throughput}
        yield from (f"{name}.{why}" for why in differences(said, again))


def differences(said: Any, again: Any, where: str = "") -> Iterator[str]:
    """`path: says a, computed b` for each number that is not the same; intervals may differ by 2% of their width."""
    if isinstance(again, Mapping):
        if not isinstance(said, Mapping) or set(said) != set(again):
            yield f"{where or 'keys'}: other keys than computed"
            return
        width = abs(again["ci95"][1] - again["ci95"][0]) if "ci95" in again else 0.0
        for key, value in again.items():
            room = 0.02 * width if key == "ci95" else 0.0
            yield from _differs(said[key], value, f"{where}.{key}".lstrip("."), room)
    else:
        yield from _differs(said, again, where, 0.0)


def _differs(said: Any, again: Any, where: str, room: float) -> Iterator[str]:
    if isinstance(again, Mapping):
        yield from differences(said, again, where)
    elif isinstance(again, (tuple, list)):
        for one, two in zip(said, again, strict=True):
            yield from _differs(one, two, where, room)
    elif isinstance(again, float) and isinstance(said, (int, float)):
        if not abs(said - again) <= room + CLOSE * max(1.0, abs(again)):
            yield f"{where}: the record says {said:.6g}, its files give {again:.6g}"
    elif said != again:
        yield f"{where}: the record says {said!r}, its files give {again!r}"
