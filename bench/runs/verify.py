"""`bench verify`: carry a record's run out again, and say whether the numbers come out again."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.base.console import Console
from bench.plugins import registry
from bench.records import disk, finding
from bench.records.schemas import Record
from bench.runs import replay
from bench.runs.protocol import distil, predict
from bench.runs.sweep import choose_device
from bench.scoring.scores import headline
from bench.store import folders

SAME = 1e-6  # of a score: rounding


def verify(
    results: Path, run: str, data_dir: Path | None, device: str, console: Console, files: Sequence[Path] = ()
) -> dict[str, Any]:
    """Train anew from the record's spec, nothing of the first run reused but stored teacher signals.

    `files`: plug-ins given by path that the record may name; no other file of its choice is run.

    verdict: `same` (every metric to 1e-6), `within interval` (the main one inside the record's 95% interval) or
    `different`. The record stays as it is. RequestError: no such record, its data or plug-ins are not here.
    """
    path = finding.record(results, run)
    record = disk.read(path)
    with registry.trusting(files):
        spec = replay.spec_of(record, data_dir)
    console(f"{spec.label}  ({spec.run_id}), again")
    folder = folders.make_folder(folders.root() / "runs" / f"{spec.run_id}-verify")
    with folders.locked(f"run-{spec.run_id}-verify"):
        found = distil(spec, folder, choose_device(device), console)
        spec.task.unseal()
        scores = spec.task.score(predict(spec, found.student, found.teacher))
        shutil.rmtree(folder)
    return judge(record, scores) | {"record": str(path)}


def alike(record: float | None, again: float | None) -> bool:
    """Up to rounding; what is undefined in the record is still so."""
    if record is None or again is None:
        return record is again
    return abs(record - again) <= SAME


def defined(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def judge(record: Record, again: dict[str, dict[str, float]]) -> dict[str, Any]:
    """The verdict, and both values of every metric."""
    main = record.metrics.main
    value = headline(again, main.name)[1]
    pairs = {
        dataset: {name: {"record": said, "again": defined(again[dataset][name])} for name, said in metrics.items()}
        for dataset, metrics in record.metrics.all.items()
    }
    same = all(alike(p["record"], p["again"]) for metrics in pairs.values() for p in metrics.values())
    inside = main.ci95[0] <= value <= main.ci95[1]
    return {
        "run_id": record.run_id, "verdict": "same" if same else "within interval" if inside else "different",
        "metric": main.name, "value": main.value, "ci95": list(main.ci95), "again": value, "metrics": pairs,
    }  # fmt: skip
