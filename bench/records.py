"""Records: one JSON file a run, validated, written atomically, beside the predictions it was scored from.

<results>/<track>/<task>/<method>/<student>/<run id>.json and .npz
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.errors import BenchError, RequestError

SCHEMA: Literal[1] = 1


class Part(BaseModel):
    """Unknown keys and numbers that are not finite are errors."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, ser_json_inf_nan="constants")


class Interval(Part):
    value: float
    ci95: tuple[float, float]


class Main(Interval):
    """The metric the board ranks by, with its bootstrap interval over test examples."""

    name: str
    dataset: str


class Metrics(Part):
    main: Main
    all: dict[str, dict[str, float]]
    retention: float | None = Field(description="student score / teacher score on the same test set")
    dev: float = Field(description="dev score of the chosen checkpoint; every choice was made on dev")


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

    total: int
    embedding: int
    active: int


class Teacher(Part):
    name: str
    identity: str
    fingerprint: str
    parameters: Parameters
    disk_bytes: int
    metrics: dict[str, dict[str, float]]
    main: Main
    latency_single: dict[str, float]
    throughput_offline_per_s: float


class Student(Part):
    name: str
    origin: str = Field(description="where its initial weights came from")
    width: int


class Efficiency(Part):
    """Measured in one session with the teacher, interleaved; see `scope` for what is inside the clock."""

    parameters: Parameters
    disk_bytes: int
    latency: dict[str, dict[str, float]]
    throughput: dict[str, float]
    speedup: Interval
    scope: str
    device: str
    threads: int
    noisy: bool
    notes: list[str]
    samples: dict[str, dict[str, list[list[int]]]] = Field(description="ns; scenario -> model -> rounds of samples")


class Cost(Part):
    """What distilling cost; signals that an earlier run had stored are counted apart."""

    student_updates: int
    stages: dict[str, int]
    teacher_forwards: int
    teacher_forwards_reused: int
    train_seconds: float
    teacher_seconds: float
    teacher_seconds_reused: float
    energy_j: float | None
    energy_source: str | None


class Provenance(Part):
    command: str
    commit: str | None
    dirty: bool | None
    version: str
    started: str
    finished: str


class StoredPredictions(Part):
    file: str
    sha256: str


class Record(Part):
    """One run."""

    schema_: Literal[1] = Field(SCHEMA, alias="schema")
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
    predictions: StoredPredictions

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


def read_all(results: Path) -> Iterator[Record]:
    """All records under a folder, in path order."""
    for path in sorted(results.rglob("*.json")):
        yield read(path)


def write(results: Path, record: Record, predictions: dict[str, np.ndarray]) -> Path:
    """Predictions first, record last, each in one rename: a record that is there is complete."""
    path = path_of(results, record.spec, record.run_id)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path.with_suffix(".npz"), pack(predictions))
    except OSError as error:
        raise BenchError(f"cannot write the predictions beside {path}: {error.strerror}") from error
    return rewrite(path, record)


def rewrite(path: Path, record: Record) -> Path:
    """Put a record in its place, whole or not at all; its predictions stay as they are."""
    text = record.model_dump_json(by_alias=True, indent=1) + "\n"
    try:
        replace(path, text.encode())
    except OSError as error:
        raise BenchError(f"cannot write the record {path}: {error.strerror}") from error
    return path


def replace(path: Path, data: bytes) -> None:
    """Write beside the target, then rename over it."""
    handle, temporary = tempfile.mkstemp(prefix=".", suffix=".partial", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
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


def unpack(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """Stored predictions: {data set: {array: values}}."""
    found: dict[str, dict[str, np.ndarray]] = {}
    with np.load(path, allow_pickle=False) as arrays:
        for key in arrays.files:
            dataset, _, name = key.rpartition("/")
            found.setdefault(dataset, {})[name] = arrays[key]
    return found


def flatten(predictions: dict[str, dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """{data set: {array: values}} -> {data set/array: values}."""
    return {f"{dataset}/{name}": array for dataset, arrays in predictions.items() for name, array in arrays.items()}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
