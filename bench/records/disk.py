"""Records: one JSON file a run, validated, written atomically, beside the predictions it was scored from.

<results>/<track>/<task>/<method>/<student>/<run id>.json and .npz
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import ValidationError

from bench.base import files
from bench.base.archive import pack
from bench.errors import BenchError, RequestError
from bench.records.arrays import Samples, flatten_samples
from bench.records.schemas import Part, Record, Taught

PROFILES = "profiles"  # the folder of what `bench profile` measured
TEACHERS = "teachers"  # the folder of the records of teachers that were fine-tuned here

P = TypeVar("P", bound=Part)


def path_of(results: Path, spec: Mapping[str, Any], run_id: str) -> Path:
    """Where the record of a run lies; `:` in a student's name becomes `-` for file systems that forbid it."""
    return (
        results / spec["track"] / spec["task"] / spec["method"] / spec["student"].replace(":", "-") / f"{run_id}.json"
    )


def read(path: Path) -> Record:
    """A validated record. RequestError: broken file, in one sentence that says where."""
    return _read(path, Record, "record")


def read_teacher(path: Path) -> Taught:
    """The record of a taught teacher. RequestError: broken."""
    return _read(path, Taught, "record of a teacher")


def _read(path: Path, form: type[P], what: str) -> P:
    try:
        return form.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise RequestError(f"{path} is not a valid {what}: {where}: {first['msg']}") from None
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
        files.replace(path.with_suffix(".npz"), pack(predictions))
    except OSError as error:
        raise BenchError(f"cannot write the predictions beside {path}: {error.strerror}") from error
    return rewrite(path, record, samples)


def rewrite(path: Path, record: Record, samples: Samples) -> Path:
    """Put a record and its samples in their place, each whole or not at all; its predictions stay as they are."""
    text = record.model_dump_json(by_alias=True, indent=1, exclude_defaults=True) + "\n"
    try:
        files.replace(path.with_name(record.efficiency.samples.file), pack(flatten_samples(samples)))
        files.replace(path, text.encode())
    except OSError as error:
        raise BenchError(f"cannot write the record {path}: {error.strerror}") from error
    return path
