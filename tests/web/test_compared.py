"""What a comparison says is kept as long as all that it reads stays as it was, and no longer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.board import leaderboard
from bench.records import disk
from bench.web import compared as module
from bench.web.compared import Says, compared, remembered
from bench.web.memory import Memory
from tests.web.site import scored

VERSION = "1"


def says(results: Path, memory: Memory | None = None) -> Says:
    found = list(disk.read_all(results))
    (board,) = leaderboard.rows(found)
    return remembered(memory, board, found, results) if memory else compared(board, found, results)


def edited(path: Path, *keys: str, value: object) -> None:
    raw = part = json.loads(path.read_bytes())
    for key in keys[:-1]:
        part = part[key]
    part[keys[-1]] = value
    path.write_text(json.dumps(raw))


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for seed in range(2):
        scored(tmp_path / "results", "kd", seed, 0.5)
        scored(tmp_path / "results", "finetune", seed, 1.0)
    return tmp_path / "results"


def first(results: Path) -> Path:
    return sorted(results.glob("mini/sts/kd/bert-3/*.json"))[0]


def unread(path: Path) -> None:
    """What a new measurement changes."""
    edited(path, "efficiency", "latency", "single", "p50_ms", value=7.0)
    edited(path, "cost", "train_seconds", value=9.0)
    edited(path, "provenance", "commit", value=None)


CHANGES: dict[str, Callable[[Path], None]] = {
    "a score": lambda path: edited(path, "metrics", "main", "value", value=0.125),
    "the score on dev": lambda path: edited(path, "metrics", "dev", value=0.125),
    "retention": lambda path: edited(path, "metrics", "retention", value=0.125),
    "the teacher's score": lambda path: edited(path, "teacher", "main", "value", value=0.125),
    "a setting": lambda path: edited(path, "spec", "settings", value={"method": {"alpha": 0.125}}),
    "predictions": lambda path: path.with_suffix(".npz").write_bytes(b"other"),
    "no predictions": lambda path: path.with_suffix(".npz").unlink(),
    "the file of the predictions": lambda path: edited(path, "predictions", "sha256", value="0" * 64),
    "no record": lambda path: path.unlink(),
}


def test_what_was_kept_is_what_would_be_made(tmp_path: Path, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory(tmp_path / "memory", VERSION)
    made = says(results, memory)
    assert made["pairs"] and json.dumps(made) == json.dumps(says(results))
    unread(first(results))
    monkeypatch.delattr(module, "compared")  # nothing is compared again
    assert json.dumps(says(results, memory)) == json.dumps(made)


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_what_a_comparison_reads_makes_it_anew(tmp_path: Path, results: Path, change: Callable[[Path], None]) -> None:
    memory = Memory(tmp_path / "memory", VERSION)
    says(results, memory)
    (kept,) = memory.folder.iterdir()
    before = json.loads(kept.read_bytes())["key"]
    change(first(results))
    assert json.dumps(says(results, memory)) == json.dumps(says(results))
    assert json.loads(kept.read_bytes())["key"] != before


def test_another_version_or_a_broken_file_makes_it_anew(tmp_path: Path, results: Path) -> None:
    memory = Memory(tmp_path / "memory", VERSION)
    made = says(results, memory)
    (kept,) = memory.folder.iterdir()
    wrong = json.dumps(json.loads(kept.read_bytes()) | {"says": {"rows": []}})
    kept.write_text(wrong)
    assert says(results, Memory(memory.folder, "2")) == made
    for broken in (wrong[: len(wrong) // 2], "[]", '{"key": 1}'):
        kept.write_text(broken)
        assert says(results, memory) == made
