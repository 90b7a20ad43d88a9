"""Records: one JSON file a run, validated, written atomically, beside the predictions it was scored from.

<results>/<track>/<task>/<method>/<student>/<run id>.json and .npz
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.base.archive import ArchiveError, load_arrays
from bench.errors import BenchError, RequestError
from bench.records.layout import PROFILES, TEACHERS
from bench.scoring.scores import Predictions, Ragged

SCHEMA: Literal[2] = 2
LENGTHS = ".lengths"  # behind the name of ragged rows, of the array that says how long each is
Samples = dict[str, dict[str, list[list[int]]]]  # {point: {network: [[ns of a call] of a round]}}


class Part(BaseModel):
    """Unknown keys and numbers that are not finite are errors. What checks a part is built when one is first read."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, ser_json_inf_nan="constants", defer_build=True)


class Interval(Part):
    value: float
    ci95: tuple[float, float]


class Main(Interval):
    """The metric the board ranks by, with its bootstrap interval over test examples."""

    name: str
    dataset: str


class Choice(Part):
    """Something that was chosen, and the split that it was chosen on."""

    what: str
    split: Literal["dev"]
    step: int
    value: float


class Metrics(Part):
    main: Main
    all: dict[str, dict[str, float]]
    retention: float | None = Field(description="student score / teacher score on the same test set")
    loyalty: dict[str, dict[str, float]] = Field(description="agreement with the teacher on test, by data set")
    dev: float = Field(description="dev score of the chosen checkpoint")
    choices: list[Choice] = Field(description="every choice that the run made; test was read once, after all of them")


class Data(Part):
    """The task's card, and the content key of what was read."""

    source: Literal["packaged", "directory", "hub"]
    identity: str
    title: str
    origin: str
    revision: str
    licence: str
    citation: str
    splits: dict[str, str]
    sizes: dict[str, int]
    notes: list[str]


class Parameters(Part):
    """`active`: all but look-up tables, of which a forward pass reads a few rows."""

    total: int = Field(ge=0)
    embedding: int = Field(ge=0)
    active: int = Field(ge=0)


class Energy(Part):
    joules_per_1000: float = Field(description="inputs, scenario offline")
    source: str = Field(description="nvml, rapl, or an estimate, which is never ranked")


class Size(Part):
    """Counts and timings of one network. Points: single, offline, with _end_to_end, a length or a thread count."""

    parameters: Parameters
    disk_bytes: int = Field(ge=0, description="weights in safetensors; 0: never stored")
    flops: dict[str, float] = Field(description="of one input, a multiply-add as two; mean over test inputs, lengths")
    memory_bytes: int | None = Field(description="weights, and the peak beside them in a pass over all inputs")
    tokens: dict[str, float] = Field(description="mean of an input, and padding as a share of the offline batches")
    latency: dict[str, dict[str, float]] = Field(description="point -> p50_ms with its interval, p90_ms, p99_ms")
    throughput: dict[str, float] = Field(description="<point>_per_s: inputs a second at the median pass")
    energy: Energy | None


class Teacher(Part):
    name: str
    identity: str
    fingerprint: str
    metrics: dict[str, dict[str, float]]
    main: Main
    efficiency: Size


class Student(Part):
    name: str
    origin: str = Field(description="where its initial weights came from")
    width: int


class StoredFile(Part):
    """A file beside the record."""

    file: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Efficiency(Size):
    """Measured in one session with the teacher, interleaved; see `scope` for what is inside the clock."""

    speedup: Interval = Field(description="point single: median over rounds of teacher latency / student latency")
    speedups: dict[str, Interval] = Field(description="the same at every point")
    scope: str
    device: str
    threads: int = Field(ge=1)
    inputs: int = Field(ge=1, description="test inputs of a pass")
    noisy: bool
    noise: list[str] = Field(description="why it is noisy")
    seen: dict[str, float] = Field(description="spread between rounds, others' share of the cores, load beforehand")
    notes: list[str]
    samples: StoredFile
    measured: str = Field(description="when")
    commit: str | None = Field(description="of the code that measured")
    dirty: bool | None


class Cost(Part):
    """What distilling cost; signals that an earlier run had stored are counted apart."""

    student_updates: int = Field(ge=0)
    stages: dict[str, int]
    teacher_forwards: int = Field(ge=0)
    teacher_forwards_reused: int = Field(ge=0)
    train_seconds: float = Field(ge=0, description="of seeds that were trained together (spec.stack) an equal share")
    teacher_seconds: float = Field(ge=0)
    teacher_seconds_reused: float = Field(ge=0)
    energy_j: float | None = Field(ge=0, description="of the student's training loop")
    energy_source: str | None


class Provenance(Part):
    command: str
    commit: str | None
    dirty: bool | None
    version: str
    started: str
    finished: str


class Record(Part):
    """One run."""

    schema_: Literal[2] = Field(alias="schema")
    run_id: str = Field(pattern="^[0-9a-f]{16}$")
    spec: dict[str, Any]
    data: Data
    teacher: Teacher
    student: Student
    metrics: Metrics
    efficiency: Efficiency
    cost: Cost
    curve: list[dict[str, Any]]
    environment: dict[str, Any]
    provenance: Provenance
    predictions: StoredFile

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, populate_by_name=True)


def path_of(results: Path, spec: Mapping[str, Any], run_id: str) -> Path:
    """Where the record of a run lies; `:` in a student's name becomes `-` for file systems that forbid it."""
    return (
        results / spec["track"] / spec["task"] / spec["method"] / spec["student"].replace(":", "-") / f"{run_id}.json"
    )


def read(path: Path) -> Record:
    """A validated record. RequestError: broken file, in one sentence that says where."""
    try:
        return Record.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(p) for p in first["loc"]) or "the file"
        raise RequestError(f"{path} is not a valid record: {where}: {first['msg']}") from None
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror}") from None


def paths(results: Path) -> list[Path]:
    """All records of runs under a folder; what lies in the folders of profiles and of teachers is none."""
    return sorted(p for p in results.rglob("*.json") if p.parent not in (results / PROFILES, results / TEACHERS))


def beside(record: Path, name: str) -> Path:
    """A file in the record's own folder. RequestError: a name that leads elsewhere."""
    if name in ("", ".", "..") or name != Path(name).name or "\0" in name or len(name.encode()) > 255:
        raise RequestError(f"{record} names the file {name!r}, which cannot lie beside it")
    return record.with_name(name)


def read_all(results: Path) -> Iterator[Record]:
    """All records under a folder, in path order."""
    for path in paths(results):
        yield read(path)


def write(results: Path, record: Record, predictions: dict[str, np.ndarray], samples: Samples) -> Path:
    """Predictions first, record last, each in one rename: a record that is there is complete."""
    path = path_of(results, record.spec, record.run_id)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path.with_suffix(".npz"), pack(predictions))
    except OSError as error:
        raise BenchError(f"cannot write the predictions beside {path}: {error.strerror}") from error
    return rewrite(path, record, samples)


def rewrite(path: Path, record: Record, samples: Samples) -> Path:
    """Put a record and its samples in their place, each whole or not at all; its predictions stay as they are."""
    text = record.model_dump_json(by_alias=True, indent=1) + "\n"
    try:
        replace(path.with_name(record.efficiency.samples.file), pack(flatten_samples(samples)))
        replace(path, text.encode())
    except OSError as error:
        raise BenchError(f"cannot write the record {path}: {error.strerror}") from error
    return path


def replace(path: Path, data: bytes) -> None:
    """Write beside the target, then rename over it."""
    with replacing(path) as new:
        new.write_bytes(data)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside the target, to be written and then renamed over it; removed, it leaves the target as it was."""
    handle, name = tempfile.mkstemp(prefix=".", suffix=".partial", dir=path.parent)
    os.close(handle)
    new = Path(name)
    try:
        yield new
        if new.exists():
            new.chmod(0o644)
            new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def pack(predictions: dict[str, np.ndarray]) -> bytes:
    """A compressed .npz with fixed time stamps: the same predictions give the same bytes."""
    import io
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in sorted(predictions.items()):
            part = io.BytesIO()
            np.save(part, array, allow_pickle=False)
            archive.writestr(
                zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), part.getvalue(), zipfile.ZIP_DEFLATED
            )
    return buffer.getvalue()


def unpack(path: Path) -> Predictions:
    """Stored predictions: {data set: {array: values}}. RequestError: they cannot be read."""
    try:
        arrays = load_arrays(path.read_bytes())
    except (OSError, ArchiveError) as error:
        raise RequestError(f"cannot read the predictions {path}: {error}") from None
    return unflatten(arrays)


def unflatten(arrays: Mapping[str, np.ndarray]) -> Predictions:
    """The inverse of flatten. RequestError: lengths without values, or not theirs."""
    found: Predictions = {}
    for key, array in arrays.items():
        dataset, _, name = key.rpartition("/")
        if not name.endswith(LENGTHS):
            lengths = arrays.get(key + LENGTHS)
            found.setdefault(dataset, {})[name] = array if lengths is None else Ragged(array, lengths)
        elif key.removesuffix(LENGTHS) not in arrays:
            raise RequestError(f"{key} are the lengths of rows that are not there")
    return found


def flatten(predictions: Predictions) -> dict[str, np.ndarray]:
    """{data set: {array: values}} -> {data set/array: values}, and beside ragged ones data set/array.lengths."""
    flat: dict[str, np.ndarray] = {}
    for dataset, arrays in predictions.items():
        for name, array in arrays.items():
            key = f"{dataset}/{name}"
            flat |= {key: array.flat, key + LENGTHS: array.lengths} if isinstance(array, Ragged) else {key: array}
    return flat


def flatten_samples(samples: Samples) -> dict[str, np.ndarray]:
    """{point/network: ns of all calls in order} and {point/network/calls: how many in each round}."""
    flat = {}
    for point, networks in samples.items():
        for name, rounds in networks.items():
            times = np.concatenate([np.asarray(r, np.uint64) for r in rounds])
            fits = times.max(initial=0) < 2**32  # 4 s
            flat[f"{point}/{name}"] = times.astype(np.uint32) if fits else times
            flat[f"{point}/{name}/calls"] = np.array([len(r) for r in rounds], np.uint32)
    return flat


def unflatten_samples(arrays: Mapping[str, np.ndarray]) -> Samples:
    """The inverse of flatten_samples."""
    samples: Samples = {}
    for key in arrays:
        if not key.endswith("/calls"):
            point, _, name = key.partition("/")
            ends = np.cumsum(arrays[f"{key}/calls"])[:-1]
            samples.setdefault(point, {})[name] = [r.tolist() for r in np.split(arrays[key], ends)]
    return samples


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
