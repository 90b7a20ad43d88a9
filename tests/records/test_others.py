"""Records of taught teachers and of profiles are as strict as those of runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.records.check import Folder, examined
from tests.factories.damages import place
from tests.factories.runs import ROOT

TAUGHT: dict[str, Any] = {
    "dev": 0.999, "cost.student_updates": 7, "cost.stages": {"teach": 7}, "cost.train_seconds": 0.0,
    "cost.energy_j": 1e15, "parameters.total": 1, "seed": "0", "told": 1, "weights": "x", "key": "other", "model": " ",
    "provenance.finished": "2001-01-01T00:00:00+00:00", "provenance.command": "make", "curve.1.losses": {},
    "curve.1.step": 3, "curve.0.stage": 1, "environment.cores": [], "data.identity": 7, "data.sizes": {"dev": "x"},
    "settings.track": 3, "settings.track.evaluations": 40, "task": "../x",
}  # fmt: skip
PROFILE: dict[str, Any] = {
    "inputs": 640, "threads": "2", "models.*.flops.mean": 0.0, "models.*.parameters.total": 1,
    "models.*.memory_bytes": 1, "models.*.tokens.padding": 2.0, "seen.foreign": 7.0, "models.*.throughput": {},
    "provenance.started": "yesterday", "environment.libraries": [], "notes": "fast", "speedups": {},
}  # fmt: skip


@pytest.mark.parametrize("keys", TAUGHT)
def test_a_teacher(keys: str, tmp_path: Path) -> None:
    source = sorted((ROOT / "results/teachers").glob("*.json"))[0]
    edited(source, tmp_path / "teachers", keys, TAUGHT[keys], [])


@pytest.mark.parametrize("keys", PROFILE)
def test_a_profile(keys: str, tmp_path: Path) -> None:
    source = ROOT / "results/profiles/bert-shapes.json"
    edited(source, tmp_path / "profiles", keys, PROFILE[keys], [source.with_name("bert-shapes.samples.npz")])


def edited(source: Path, folder: Path, keys: str, new: Any, beside: list[Path]) -> None:
    folder.mkdir()
    path = Path(shutil.copy(source, folder))
    for file in beside:
        shutil.copy(file, folder)
    look: Callable[[], list[str]] = lambda: examined(path, Folder(folder.parent))  # noqa: E731
    assert look() == []
    raw = json.loads(path.read_text(encoding="utf-8"))
    container, key = place(raw, keys)
    container[key] = new
    path.write_text(json.dumps(raw), encoding="utf-8")
    problems = look()
    assert problems and not [p for p in problems if "cannot be checked" in p]
