"""Ways to damage a folder of results, each of a kind that `bench check` notices from the folder alone.

A damage changes the first record by path, or a file of its run, leaves the rest, and returns the path that the
check has to name. A hash is made right again wherever a damage is to be found by what the file says.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.base.archive import pack
from bench.records import disk
from tests.factories.records import run_id_of

Damage = Callable[[Path], Path]  # results -> the damaged file
Arrays = dict[str, np.ndarray]
OTHER = "0123456789abcdef"  # a run id that no spec has
SAMPLES = "efficiency.samples"
FLOAT = "{'descr': '<f4', 'fortran_order': False, 'shape': %s}"


def first(results: Path) -> Path:
    return sorted(results.rglob("*.json"))[0]


def second(results: Path) -> Path:
    return sorted(results.rglob("*.json"))[1]


def load(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def save(path: Path, raw: Any) -> Path:
    path.write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
    return path


def place(raw: Any, keys: str) -> tuple[Any, Any]:
    """(container, key) of a dotted path; `*` is the first key."""
    *parents, last = keys.split(".")
    for key in parents:
        raw = raw[next(iter(raw)) if key == "*" else int(key) if isinstance(raw, list) else key]
    return raw, next(iter(raw)) if last == "*" else last


# Of the record: its bytes, its values, its spec.


def text(change: Callable[[bytes], bytes]) -> Damage:
    def apply(results: Path) -> Path:
        path = first(results)
        path.write_bytes(change(path.read_bytes()))
        return path

    return apply


def record(change: Callable[[dict[str, Any]], Any]) -> Damage:
    """The record as a whole, changed in place."""

    def apply(results: Path) -> Path:
        raw = load(first(results))
        change(raw)
        return save(first(results), raw)

    return apply


def edit(keys: str, new: Any) -> Damage:
    """One value, replaced by `new` or by what `new` makes of it."""

    def change(raw: dict[str, Any]) -> None:
        container, key = place(raw, keys)
        container[key] = new(container[key]) if callable(new) else new

    return record(change)


def plus(step: float) -> Callable[[float], float]:
    return lambda old: old + step


def spec(**changes: Any) -> Damage:
    """A spec that no run has, under the run id and at the place that are right for it."""

    def apply(results: Path) -> Path:
        path, raw = first(results), load(first(results))
        changed = raw["spec"] | changes
        old, new = path.stem, run_id_of(changed)
        target = Path(os.path.normpath(disk.path_of(results, changed, new)))
        target.parent.mkdir(parents=True, exist_ok=True)
        for file in path.parent.glob(f"{old}*"):
            file.rename(target.with_name(file.name.replace(old, new)))
        return save(target, json.loads(json.dumps(raw | {"spec": changed}).replace(old, new)))

    return apply


def every_score(raw: dict[str, Any]) -> None:
    """All scores better by 0.01, and everything that follows from them made to fit."""
    metrics, main = raw["metrics"], raw["metrics"]["main"]
    metrics["all"] = {d: {m: v + 0.01 for m, v in scores.items()} for d, scores in metrics["all"].items()}
    main |= {"value": main["value"] + 0.01, "ci95": [x + 0.01 for x in main["ci95"]]}
    metrics["retention"] = main["value"] / raw["teacher"]["main"]["value"]


def speedup_doubled(raw: dict[str, Any]) -> None:
    for interval in (raw["efficiency"]["speedup"], raw["efficiency"]["speedups"]["single"]):
        interval |= {"value": 2 * interval["value"], "ci95": [2 * x for x in interval["ci95"]]}


def swapped_times(raw: dict[str, Any]) -> None:
    raw["provenance"] |= {"started": "2099-01-01T00:00:00+00:00", "finished": "2098-12-31T23:59:59+00:00"}


# Of the arrays beside it. `part` is where the record names the file.


def file_of(path: Path, part: str = "predictions") -> Path:
    container, key = place(load(path), f"{part}.file")
    return path.with_name(container[key])


def put(path: Path, data: bytes, part: str) -> Path:
    """Replace a file beside the record, and make its hash in the record right."""
    file_of(path, part).write_bytes(data)
    raw = load(path)
    container, key = place(raw, f"{part}.sha256")
    container[key] = hashlib.sha256(data).hexdigest()
    return save(path, raw)


def archive(change: Callable[[bytes], bytes], part: str = "predictions") -> Damage:
    def apply(results: Path) -> Path:
        return put(first(results), change(file_of(first(results), part).read_bytes()), part)

    return apply


def arrays(change: Callable[[Arrays], Any], part: str = "predictions") -> Damage:
    """The arrays, changed in place."""

    def changed(data: bytes) -> bytes:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
        change(found)
        return pack(found)

    return archive(changed, part)


def array(kind: str, change: Callable[[np.ndarray], np.ndarray]) -> Damage:
    """The first array of a kind: prediction, gold, teacher."""

    def replace(found: Arrays) -> None:
        key = key_of(found, kind)
        found[key] = change(found[key])

    return arrays(replace)


def key_of(found: Arrays, kind: str) -> str:
    return next(key for key in found if key.endswith(f"/{kind}"))


def one_moved(values: np.ndarray) -> np.ndarray:
    """The lowest value above all others."""
    changed = values.copy()
    changed[changed.argmin()] = changed.max() + 1
    return changed


def one_nan(values: np.ndarray) -> np.ndarray:
    return np.concatenate([[np.nan], values[1:]]).astype(np.float32)


def added_set(found: Arrays) -> None:
    for key in list(found):
        found[f"imaginary/{key.rpartition('/')[2]}"] = found[key]


def sample(value: int) -> Callable[[Arrays], None]:
    def change(found: Arrays) -> None:
        key = next(k for k in sorted(found) if not k.endswith("/calls"))
        found[key] = np.concatenate([[value], found[key][1:]]).astype(np.int64)

    return change


def quicker(found: Arrays) -> None:
    for key in [k for k in found if "/student" in k and not k.endswith("/calls")]:
        found[key] = found[key] // 2


def without_teacher(found: Arrays) -> None:
    for key in [k for k in found if "/teacher" in k]:
        del found[key]


def another_runs(results: Path) -> Path:
    """The second record's predictions, with their hash."""
    return put(first(results), file_of(second(results)).read_bytes(), "predictions")


def unhashed(results: Path) -> Path:
    """The file cut, the hash in the record left."""
    file = file_of(first(results))
    file.write_bytes(file.read_bytes()[:-30])
    return first(results)


def npy(header: str, data: bytes = bytes(64)) -> Callable[[bytes], bytes]:
    """An archive of one prediction that is a .npy of this header and these bytes."""
    padded = header.encode() + b" " * (-(len(header) + 11) % 64) + b"\n"
    return lambda old: zipped(
        ("lee/prediction.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(padded)) + padded + data)
    )


def zipped(*parts: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, data in parts:
            file.writestr(name, data)
    return buffer.getvalue()


# A file that runs a command when it is unpickled. A check must never do that.


class Trap:
    def __init__(self, results: Path) -> None:
        self.marker = str(marker(results))

    def __reduce__(self) -> Any:
        return os.mkdir, (self.marker,)


def marker(results: Path) -> Path:
    """What a trap makes, beside the results folder."""
    return results.with_name(f"{results.name}-executed")


def pickled(results: Path) -> Path:
    """An object array in the archive."""
    trap, part = np.empty(1, dtype=object), io.BytesIO()
    trap[0] = Trap(results)
    np.save(part, trap, allow_pickle=True)
    return put(first(results), zipped(("lee/prediction.npy", part.getvalue())), "predictions")


def calling_header(results: Path) -> Path:
    """A header is a Python literal; this one is a call."""
    call = FLOAT % f"(__import__('os').mkdir({str(marker(results))!r}),)"
    return archive(npy(call))(results)


# Of files and folders.


def moved(results: Path, folder: Callable[[Path], Path], copy: bool = False, name: str = "") -> Path:
    """The run's files in the folder that is made of their own, under another id if `name` is given."""
    path = first(results)
    target = folder(path.parent)
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted(path.parent.glob(f"{path.stem}*")):
        (shutil.copy if copy else shutil.move)(file, target / file.name.replace(path.stem, name or path.stem))
    return target / f"{name or path.stem}.json"


def added(name: str, data: bytes = b"") -> Damage:
    """A file beside the record that is not ours."""

    def apply(results: Path) -> Path:
        path = first(results).with_name(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    return apply


def removed(part: str) -> Damage:
    def apply(results: Path) -> Path:
        file_of(first(results), part).unlink()
        return first(results)

    return apply


def without_record(results: Path) -> Path:
    left = file_of(first(results))
    first(results).unlink()
    return left


def linked(results: Path) -> Path:
    """The record outside, and a link to it in its place."""
    path = first(results)
    path.rename(outside := results.with_name(f"{results.name}-outside"))
    path.symlink_to(outside)
    return path


def linked_folder(results: Path) -> Path:
    path = first(results).with_name("link")
    path.symlink_to(results, target_is_directory=True)
    return path


def pipe(results: Path) -> Path:
    """Whoever opens it waits for ever."""
    path = file_of(first(results))
    path.unlink()
    os.mkfifo(path)
    return first(results)


def folder_for_record(results: Path) -> Path:
    path = first(results)
    path.unlink()
    path.mkdir()
    return path
