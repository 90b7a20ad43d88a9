"""A reader of files that may be anything: what the schema lets pass and no run writes is an error in one sentence."""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar, get_args

import numpy as np
from pydantic import ValidationError

from bench.base.archive import ArchiveError, load_arrays
from bench.base.files import sha256
from bench.errors import RequestError
from bench.records.arrays import Samples, unflatten_samples
from bench.records.schemas import Part, StoredFile, first_error

LARGEST = 20_000_000  # bytes of a record
LONGEST = 20_000  # characters of a text in a record

P = TypeVar("P", bound=Part)


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


def arrays_beside(path: Path, ending: str, stored: StoredFile) -> dict[str, np.ndarray]:
    """The arrays of a file beside the record. RequestError: what is wrong with it."""
    name = path.stem + ending
    if stored.file != name:
        raise RequestError(f"names the file {stored.file!r}, which must be {name}")
    file = path.with_name(name)
    if file.is_symlink() or (file.exists() and not file.is_file()):
        raise RequestError(f"{name}: not a plain file")  # opening a pipe would wait for ever
    try:
        data = file.read_bytes()
        if sha256(data) != stored.sha256:
            raise RequestError(f"{name}: its hash is not the one in the record")
        return load_arrays(data)
    except OSError as error:
        raise RequestError(f"{name}: {error.strerror}") from None
    except ArchiveError as error:
        raise RequestError(f"{name}: {error}") from None


def samples_beside(path: Path, stored: StoredFile, networks: set[str]) -> Samples:
    """The samples of these networks beside a record. RequestError: what is wrong with them."""
    arrays = arrays_beside(path, ".samples.npz", stored)
    try:
        samples = unflatten_samples(arrays)
        complete = {"single", "offline"} <= set(samples) and all(set(s) == networks for s in samples.values())
    except (KeyError, ValueError, TypeError):
        complete = False
    if not complete:
        raise RequestError(f"{stored.file}: not the samples of {' and '.join(sorted(networks))}")
    if any(not turn or min(turn) <= 0 for by in samples.values() for rounds in by.values() for turn in rounds):
        raise RequestError(f"{stored.file}: a round without samples, or a time that is not positive")
    return samples
