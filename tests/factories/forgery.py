"""Records that are made to look right: an honest one is edited, and all that can be computed is made to fit again."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.base.archive import load_arrays, pack
from bench.base.files import sha256
from bench.plugins import registry
from bench.records import derived, disk, together
from bench.records.arrays import unflatten, unflatten_samples
from bench.records.check import Folder, examined
from tests.factories.damages import place

Raw = dict[str, Any]
Arrays = dict[str, np.ndarray]


@dataclass
class Forged:
    """A record and the arrays beside it, as an edit finds them."""

    raw: Raw
    predictions: Arrays
    samples: Arrays


Edit = Callable[[Forged], Any]


def put(keys: str, new: Any) -> Edit:
    """One value of the record, replaced by `new` or by what `new` makes of it."""

    def edit(f: Forged) -> None:
        container, key = place(f.raw, keys)
        container[key] = new(container[key]) if callable(new) else new

    return edit


def both(*edits: Edit) -> Edit:
    def edit(f: Forged) -> None:
        for one in edits:
            one(f)

    return edit


def drop(keys: str) -> Edit:
    def edit(f: Forged) -> None:
        container, key = place(f.raw, keys)
        del container[key]

    return edit


def fitted(f: Forged, score: Any, metric: str) -> None:
    """All that follows from predictions, samples, curve and spec, as a run would write it."""
    raw = f.raw
    run_id = raw["run_id"] = disk.run_id_of(raw["spec"])
    for part, ending, arrays in (
        (raw["predictions"], ".npz", f.predictions), (raw["efficiency"]["samples"], ".samples.npz", f.samples)
    ):  # fmt: skip
        part |= {"file": f"{run_id}{ending}", "sha256": sha256(pack(arrays))}
    found = unflatten(f.predictions)
    scorer = derived.Scorer(score, metric)
    raw["metrics"] |= derived.metrics(scorer, found)
    raw["teacher"] |= derived.teacher(scorer, found)
    samples = unflatten_samples(f.samples)
    for name, at in (("student", raw["efficiency"]), ("teacher", raw["teacher"]["efficiency"])):
        at |= derived.speeds(samples, name, raw["efficiency"]["inputs"])
    e = raw["efficiency"]
    e["speedups"] = derived.speedups(samples, "teacher")["student"]
    e["speedup"], e["seen"]["spread"] = e["speedups"]["single"], derived.spread(samples)
    e["noise"] = derived.reasons(e["seen"])
    e["noisy"] = bool(e["noise"])


def read(path: Path) -> Forged:
    arrays = [load_arrays(path.with_name(path.stem + end).read_bytes()) for end in (".npz", ".samples.npz")]
    return Forged(json.loads(path.read_text(encoding="utf-8")), *arrays)


def write(results: Path, f: Forged) -> Path:
    path = disk.path_of(results, f.raw["spec"], f.raw["run_id"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(f.raw, indent=1), encoding="utf-8")
    for ending, arrays in ((".npz", f.predictions), (".samples.npz", f.samples)):
        path.with_name(path.stem + ending).write_bytes(pack(arrays))
    return path


def known(results: Path, paths: Iterable[Path]) -> Folder:
    """What a check knows of honest records; it finds nothing wrong with them."""
    folder = Folder(results)
    for path in paths:
        assert examined(path, folder) == [], path
    assert not list(together.compared(folder.runs, folder.taught))
    return folder


def problems(folder: Folder, results: Path, path: Path, original: str) -> list[str]:
    """All that a check says of a forged record that lies in the place of an honest one, beside the others."""
    runs = [seen for seen in folder.runs if seen.path.stem != original]
    beside = replace(folder, results=results, places={}, runs=list(runs), taught=dict(folder.taught))
    found = examined(path, beside)
    return found + [why for where, why in together.compared(beside.runs, beside.taught)]


def edited(base: Forged, edit: Edit, fit: bool = True) -> Forged:
    f = copy.deepcopy(base)
    edit(f)
    if fit:
        fitted(f, registry.load(registry.installed("task", "text")).score, "accuracy")
    return f
