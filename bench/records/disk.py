"""Records: one JSON file a run, validated, written atomically, beside the predictions it was scored from.

<results>/<track>/<task>/<method>/<student>/<run id>.json and .npz
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import ValidationError

from bench.base import files
from bench.base.archive import pack
from bench.base.console import warn
from bench.errors import BenchError, RequestError
from bench.records.arrays import Samples, flatten_samples
from bench.records.schemas import Part, Record, Taught, first_error
from bench.records.specs import checked_spec
from bench.records.values import odd_number

PROFILES = "profiles"  # the folder of what `bench profile` measured
TEACHERS = "teachers"  # the folder of the records of teachers that were fine-tuned here
TUNING = "tuning"  # the folder of what `bench tune` tried
APART = (PROFILES, TEACHERS, TUNING)  # where no records of runs lie

LARGEST = 20_000_000  # bytes of a record

P = TypeVar("P", bound=Part)


def path_of(results: Path, spec: Mapping[str, Any], run_id: str) -> Path:
    """Where the record of a run lies; `:` in a student's name becomes `-` for file systems that forbid it."""
    return (
        results / spec["track"] / spec["task"] / spec["method"] / spec["student"].replace(":", "-") / f"{run_id}.json"
    )


def read(path: Path) -> Record:
    """A validated record, its spec too. RequestError: broken file, in one sentence that says where."""
    record = read_form(path, Record, "record")
    checked_spec(record, str(path))
    return record


def read_teacher(path: Path) -> Taught:
    """The record of a taught teacher. RequestError: broken."""
    return read_form(path, Taught, "record of a teacher")


def read_form(path: Path, form: type[P], what: str) -> P:
    """A file of this form. RequestError: broken, in one sentence that calls it `what`."""
    try:
        if path.stat().st_size > LARGEST:
            raise RequestError(f"{path} is not a valid {what}: larger than {LARGEST // 10**6} MB")
        data = files.plain(path)
        found = form.model_validate_json(data, strict=True)
        if why := odd_number(data):
            raise RequestError(f"{path} is not a valid {what}: {why}")
        return found
    except ValidationError as error:
        raise RequestError(f"{path} is not a valid {what}: {first_error(error)}") from None
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror}") from None


def paths(results: Path) -> list[Path]:
    """All records of runs under a folder; what lies in the folders of profiles, teachers and tunings is none. No link
    is followed, and only plain files are read."""
    return sorted(below(results))


def below(results: Path) -> Iterator[Path]:
    found = (Path(folder, name) for folder, _, names in os.walk(results) for name in names if name.endswith(".json"))
    apart = [results / name for name in APART]
    return (p for p in found if p.parent not in apart and stat.S_ISREG(p.lstat().st_mode))


def check_level(results: Path) -> None:
    """RequestError: it is a part of a folder of results, as its first record tells."""
    first = next(below(results), None)
    if first is None:
        return
    try:
        record = read(first)
        own, whole = first.relative_to(results).parts, path_of(Path(), record.spec, record.run_id).parts
    except RequestError:
        return  # which is told with the others
    if 1 < len(own) < len(whole) and whole[-len(own) :] == own:
        place = "/".join(whole[: -len(own)])
        raise RequestError(f"{results} is a part of a folder of results: give the folder that has it as {place}/")


def beside(record: Path, name: str) -> Path:
    """A file in the record's own folder. RequestError: a name that leads elsewhere."""
    if name in ("", ".", "..") or name != Path(name).name or "\0" in name or len(name.encode()) > 255:
        raise RequestError(f"{record} names the file {name!r}, which cannot lie beside it")
    return record.with_name(name)


def placed(path: Path, results: Path) -> Record:
    """A record that lies where its spec says, under the id of its spec. RequestError: it does not, or is broken."""
    record = read(path)
    if record.run_id != (run_id := run_id_of(record.spec)):
        raise RequestError(f"{path} is not a valid record: run_id: the record says {record.run_id}, computed {run_id}")
    if path != (place := path_of(results, record.spec, record.run_id)):
        raise RequestError(f"{path} belongs to {place.relative_to(results)}")
    inside(path, results)
    return record


def run_id_of(spec: Mapping[str, Any]) -> str:
    """A hash of all that decides a result, which names a run."""
    return hashlib.sha256(json.dumps(spec, sort_keys=True, allow_nan=False).encode()).hexdigest()[:16]


def inside(path: Path, results: Path) -> Path:
    """The path. RequestError: it leads out of the folder of results, by its name or over a link."""
    where = os.path.relpath(path, results)
    if ".." in path.parts or Path(os.path.realpath(path)) != Path(os.path.realpath(results), where):
        raise RequestError(f"{path} leads out of the folder of results")
    return path


def read_all(results: Path, board: str = "") -> Iterator[Record]:
    """All records of a folder, or of a board (`lite/sts`), in path order; what cannot be read is told and left out."""
    return readable(paths(results / board), lambda path: placed(path, results))


def readable(found: Iterable[Path], reader: Callable[[Path], Record] = read) -> Iterator[Record]:
    """The records that can be read; of each other is told why it is left out."""
    for path in found:
        try:
            yield reader(path)
        except RequestError as error:
            warn(f"left out: {error}")


def write(results: Path, record: Record, predictions: dict[str, np.ndarray], samples: Samples | None) -> Path:
    """Predictions first, record last, each in one rename: a record that is there is complete."""
    path = path_of(results, record.spec, record.run_id)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.replace(path.with_suffix(".npz"), pack(predictions))  # no record names them yet
    except OSError as error:
        raise BenchError(f"cannot write the predictions beside {path}: {error.strerror}") from error
    return rewrite(path, record, samples)


def finish(path: Path) -> None:
    """End what a command that was killed had begun to write of a run, whose lock the caller holds: a record that waits
    takes its place where the samples are already its own, and is forgotten where they are not."""
    for ready in files.left(path, "ready"):
        stored = read(ready).efficiency.samples
        whole = stored is None or is_file(beside(path, stored.file), stored.sha256)
        if whole and path.with_suffix(".npz").is_file():
            ready.replace(path)
        else:
            ready.unlink()
    for name in (path, path.with_suffix(".npz"), path.with_suffix(".samples.npz")):
        files.clear(files.left(name, "partial"))


def is_file(path: Path, sha256: str) -> bool:
    return path.is_file() and files.sha256(path.read_bytes()) == sha256


def rewrite(path: Path, record: Record, samples: Samples | None) -> Path:
    """Put a record and its samples, where it has any, in their place, each whole or not at all; its predictions stay.

    The record waits beside its place until the samples are in theirs, see `finish`.
    """
    text = record.model_dump_json(by_alias=True, indent=1, exclude_defaults=True) + "\n"
    try:
        ready = files.stage(path, text.encode())
        if samples is not None and record.efficiency.samples is not None:
            files.replace(path.with_name(record.efficiency.samples.file), pack(flatten_samples(samples)))
        ready.replace(path)
    except OSError as error:
        raise BenchError(f"cannot write the record {path}: {error.strerror}") from error
    return path
