"""What damages are made with: the first record by path, its JSON by dotted keys, its arrays, its name."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.base.archive import pack
from bench.records import disk

Change = Callable[[Any], Any]


class Inapplicable(Exception):
    """The folder has nothing that this could be done to, or this process could not see it; says why."""


def nothing(results: Path) -> None:
    """A damage whose check can have no side effect."""


@dataclass(frozen=True)
class Damage:
    """`apply(results)` damages the folder in place and returns the path that a check must name, or whose run id."""

    name: str
    apply: Callable[[Path], Path]
    after: Callable[[Path], None] = nothing  # to be called after the check: asserts that it executed nothing


def record_paths(results: Path) -> list[Path]:
    return sorted(results.rglob("*.json"))


def first(results: Path) -> Path:
    return record_paths(results)[0]


def second(results: Path) -> Path:
    """Another record of the same data sets."""
    path = first(results)
    for other in record_paths(results)[1:]:
        if load(other)["metrics"]["all"].keys() == load(path)["metrics"]["all"].keys():
            return other
    raise Inapplicable("needs two records of the same data sets")


def load(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def save(path: Path, raw: Any) -> Path:
    path.write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
    return path


def place(raw: Any, keys: str) -> tuple[Any, Any]:
    """(container, key) of a dotted path; `*` is the first key, a number counts in a list. KeyError: not there."""
    *parents, last = keys.split(".")
    for key in parents:
        raw = raw[_key(raw, key)]
    key = _key(raw, last)
    raw[key]
    return raw, key


def _key(container: Any, key: str) -> Any:
    if isinstance(container, list):
        return int(key)
    return next(iter(container)) if key == "*" else key


def either(raw: Any, alternatives: tuple[str, ...]) -> tuple[Any, Any]:
    """The first of these dotted paths that the record has: schemas name some things differently."""
    for keys in alternatives:
        try:
            return place(raw, keys)
        except (KeyError, IndexError, StopIteration):
            continue
    raise Inapplicable(f"the record has no {' or '.join(alternatives)}")


def edit_json(path: Path, change: Change, *keys: str) -> Path:
    """Replace the value at the first of these dotted paths that is there by change(value)."""
    raw = load(path)
    container, key = either(raw, keys)
    new = change(container[key])
    if new == container[key]:
        raise Inapplicable(f"{keys[0]} is {new!r} already")
    container[key] = new
    return save(path, raw)


def edit(name: str, change: Change, *keys: str) -> Damage:
    """A damage of one value of the first record."""
    return Damage(name, lambda results: edit_json(first(results), change, *keys))


def record(name: str, change: Callable[[dict[str, Any]], Any]) -> Damage:
    """A damage of the first record as a whole; `change` works in place."""

    def apply(results: Path) -> Path:
        raw = load(first(results))
        change(raw)
        return save(first(results), raw)

    return Damage(name, apply)


def to(value: Any) -> Change:
    return lambda old: value


def plus(step: float) -> Change:
    return lambda old: known(old) + step


def times(factor: float) -> Change:
    return lambda old: factor * known(old)


def known(value: float | None) -> float:
    if value is None:
        raise Inapplicable("the value is not known")
    return value


def key_to(container: str, key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Put a key that need not be there into the container at a dotted path; "": the record itself."""

    def change(raw: dict[str, Any]) -> None:
        target = raw
        if container:
            parent, last = place(raw, container)
            target = parent[last]
        target[key] = value

    return change


def without(keys: str) -> Callable[[dict[str, Any]], None]:
    """Remove the key at a dotted path."""

    def change(raw: dict[str, Any]) -> None:
        container, key = place(raw, keys)
        del container[key]

    return change


# Arrays beside a record. `part` is where the record names the file: predictions, or efficiency.samples (schema 2).


def stored(path: Path, part: str = "predictions") -> dict[str, Any]:
    """{file, sha256} of a file beside the record."""
    container, key = either(load(path), (f"{part}.file",))
    assert key == "file"
    return container


def file_of(path: Path, part: str = "predictions") -> Path:
    return path.with_name(stored(path, part)["file"])


def arrays_of(path: Path, part: str = "predictions") -> dict[str, np.ndarray]:
    with np.load(file_of(path, part), allow_pickle=False) as found:
        return {name: found[name] for name in found.files}


def put_file(path: Path, data: bytes, part: str = "predictions") -> Path:
    """Replace a file beside the record, and make its hash in the record right."""
    file_of(path, part).write_bytes(data)
    return edit_json(path, to(hashlib.sha256(data).hexdigest()), f"{part}.sha256")


def put_arrays(path: Path, found: Mapping[str, np.ndarray], part: str = "predictions") -> Path:
    return put_file(path, pack(dict(found)), part)


def run_id_of(spec: Mapping[str, Any]) -> str:
    """As docs/design.md defines it: a hash of all that decides a result."""
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:16]


def respec(results: Path, change: Callable[[dict[str, Any]], Any]) -> Path:
    """Change the spec of the first record, and make run id, file names and place right for the new one."""
    path = first(results)
    raw = load(path)
    change(raw["spec"])
    old, new = raw["run_id"], run_id_of(raw["spec"])
    said = disk.path_of(results, {k: str(v) for k, v in raw["spec"].items()}, new)
    target = Path(os.path.normpath(said))
    target.parent.mkdir(parents=True, exist_ok=True)
    for file in path.parent.glob(f"{old}*"):
        file.rename(target.with_name(file.name.replace(old, new)))
    return save(target, renamed(raw, old, new))


def renamed(raw: Any, old: str, new: str) -> Any:
    """A record with its run id replaced wherever it stands."""
    return json.loads(json.dumps(raw).replace(old, new))
