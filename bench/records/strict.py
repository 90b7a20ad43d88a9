"""A reader of files that may be anything: what the schema lets pass and no run writes is an error in one sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar, get_args

import numpy as np
from pydantic import ValidationError

from bench.base.archive import ArchiveError, load_arrays
from bench.base.files import plain, sha256
from bench.errors import RequestError
from bench.records import plausible
from bench.records.arrays import Samples, unflatten_samples
from bench.records.disk import LARGEST
from bench.records.schemas import Part, StoredFile, first_error
from bench.records.values import leaves, odd

SAMPLES = 64_000_000  # bytes of a session's samples

P = TypeVar("P", bound=Part)


def parse(path: Path) -> dict[str, Any]:
    """A JSON object of plain, finite values. RequestError: it is none, in one sentence."""
    if path.stat().st_size > LARGEST:
        raise RequestError(f"larger than {LARGEST // 10**6} MB")
    try:
        text = plain(path).decode("utf-8")
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


def read_strictly(path: Path, form: type[P]) -> P:
    """The file in this form, with what its schema lets pass made an error too. RequestError: it is in another."""
    raw = parse(path)
    version, (known,) = raw.get("schema"), get_args(form.model_fields["schema_"].annotation)
    if version != known or isinstance(version, (bool, float)):
        raise RequestError(f"schema {str(version)[:20]!r}: this version of bench reads schema {known}")
    try:
        return form.model_validate_json(json.dumps(raw), strict=True)
    except ValidationError as error:
        raise RequestError(first_error(error)) from None


def _no_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(k for k in keys if keys.count(k) > 1)!r} is there twice")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number")


def arrays_beside(path: Path, ending: str, stored: StoredFile, most: int) -> dict[str, np.ndarray]:
    """The arrays of a file beside the record, `most` bytes. RequestError: what is wrong with it."""
    name = path.stem + ending
    if stored.file != name:
        raise RequestError(f"names the file {stored.file!r}, which must be {name}")
    file = path.with_name(name)
    if file.is_symlink() or (file.exists() and not file.is_file()):
        raise RequestError(f"{name}: not a plain file")  # opening a pipe would wait for ever
    try:
        data = plain(file)
        if sha256(data) != stored.sha256:
            raise RequestError(f"{name}: its hash is not the one in the record")
        return load_arrays(data, most)
    except OSError as error:
        raise RequestError(f"{name}: {error.strerror}") from None
    except ArchiveError as error:
        raise RequestError(f"{name}: {error}") from None


def samples_beside(path: Path, stored: StoredFile, networks: set[str]) -> Samples:
    """The samples of these networks beside a record. RequestError: what is wrong with them."""
    arrays = arrays_beside(path, ".samples.npz", stored, SAMPLES)
    try:
        samples = unflatten_samples(arrays)
        complete = {"single", "offline"} <= set(samples) and all(set(s) == networks for s in samples.values())
    except (KeyError, ValueError, TypeError):
        complete = False
    if not complete:
        raise RequestError(f"{stored.file}: not the samples of {' and '.join(sorted(networks))}")
    if why := plausible.of_samples(samples):
        raise RequestError(f"{stored.file}: {why}")
    return samples
