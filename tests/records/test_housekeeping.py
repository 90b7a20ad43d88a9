"""Runs of a folder: found, moved and removed with all their files, also after a command that was killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.base import files
from bench.errors import RequestError
from bench.records import check, disk, housekeeping
from bench.records.housekeeping import Wanted
from bench.store import folders
from tests.factories.records import put

ENDS = (".json", ".npz", ".samples.npz")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    for method, student in (("kd", "bert:3"), ("kd", "bow"), ("finetune", "bert:3")):
        for seed in range(2):
            put(tmp_path / "results", 0.4, method, seed, student=student)
    put(tmp_path / "results", 0.4, "kd", 0, task="glue/rte", track="lite")
    return tmp_path / "results"


def found(results: Path, **wanted) -> list[housekeeping.Kept]:
    return housekeeping.chosen(housekeeping.runs(results), Wanted(**wanted))


def there(results: Path) -> set[str]:
    return {path.name for path in results.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({}, 7), ({"task": "glue"}, 1), ({"task": "glue/rte"}, 1), ({"method": "kd"}, 5), ({"student": "bert"}, 5),
        ({"student": "bert:3", "method": "kd", "task": "sts"}, 2), ({"seeds": [1]}, 3), ({"track": "lite"}, 1),
    ],
)  # fmt: skip
def test_runs_are_found_by_what_they_are_of(results: Path, wanted: dict, count: int) -> None:
    own = found(results, **wanted)
    assert len(own) == count and all(len(kept.files) == 3 and kept.state == "whole" for kept in own)


def test_what_is_not_there_is_refused(results: Path) -> None:
    for wanted, words in (({"runs": ["zz"]}, "names no runs"), ({"task": "gl"}, "none of 7"), ({"runs": [""]}, "no")):
        with pytest.raises(RequestError, match=words):
            found(results, **wanted)


def test_a_run_goes_with_all_its_files_and_its_empty_folders(results: Path) -> None:
    (kept,) = found(results, task="glue/rte")
    housekeeping.remove(kept)
    assert not (results / "lite").exists() and len(there(results)) == 18


def test_a_run_moves_whole(results: Path, tmp_path: Path) -> None:
    for kept in found(results, method="finetune"):
        housekeeping.move(kept, tmp_path / "other")
    assert len(there(results)) == 15 and len(there(tmp_path / "other")) == 6
    assert len(list(disk.read_all(tmp_path / "other"))) == 2 and not list(results.rglob("finetune"))
    assert not [p for p in check.check(tmp_path / "other")[1] if "stray" in p.problem or "belongs" in p.problem]


@pytest.mark.parametrize("killed_at", range(1, 4))
def test_a_removal_that_is_killed_is_finished_by_the_next(
    results: Path, killed_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (kept,) = found(results, task="glue/rte")
    cut_short(monkeypatch, Path, "unlink", killed_at)
    with pytest.raises(KeyboardInterrupt):
        housekeeping.remove(kept)
    monkeypatch.undo()
    assert not list(disk.read_all(results, "lite/glue/rte")) or killed_at == 1
    (again,) = found(results, runs=[kept.run_id[:6]])
    housekeeping.remove(again)
    assert len(there(results)) == 18


@pytest.mark.parametrize("killed_at", range(1, 7))
def test_a_move_that_is_killed_loses_nothing_and_goes_on(
    results: Path, tmp_path: Path, killed_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while the n-th file is written or removed: one whole record is there at any time."""
    other, (kept,) = tmp_path / "other", found(results, task="glue/rte")
    cut_short(monkeypatch, *((files, "replace", killed_at) if killed_at < 4 else (Path, "unlink", killed_at - 3)))
    with pytest.raises(KeyboardInterrupt):
        housekeeping.move(kept, other)
    monkeypatch.undo()
    whole = [*disk.read_all(results, "lite/glue/rte"), *disk.read_all(other)]
    assert whole and all(path.with_suffix(".npz").is_file() for path in disk.paths(other))
    (again,) = found(results, runs=[kept.run_id])
    housekeeping.move(again, other)
    assert len(there(results)) == 18 and len(there(other)) == 3


def cut_short(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, at: int) -> None:
    """The call of this number is the end of the process."""
    real, calls = getattr(owner, name), []

    def call(*args, **kwargs):
        calls.append(args)
        if len(calls) == at:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    monkeypatch.setattr(owner, name, call)


def test_another_record_of_the_run_is_not_replaced(results: Path, tmp_path: Path) -> None:
    (kept,) = found(results, task="glue/rte")
    new = tmp_path / "other" / kept.path.relative_to(results)
    new.parent.mkdir(parents=True)
    new.write_text("{}")
    with pytest.raises(RequestError, match="another record"):
        housekeeping.move(kept, tmp_path / "other")
    assert len(kept.files) == 3


def test_a_record_that_others_want_stays_unless_forced(tmp_path: Path) -> None:
    first = put(tmp_path, 0.4, "kd").stem
    versions = {"teacher": "mini==0.1#", "task": 1, "method": 1, "student": 1}
    put(tmp_path, 0.3, "takd", versions=versions | {"assistants": [first]})
    put(tmp_path, 0.3, "kd", student="bow", versions=versions | {"teacher": f"run {first}"})
    every = housekeeping.runs(tmp_path)
    own = [kept for kept in every if kept.run_id == first]
    assert len(housekeeping.needed(own, every)[first]) == 2
    with pytest.raises(RequestError, match=f"wants that of {first}.*--force"):
        housekeeping.check(own, every, forced=False)
    housekeeping.check(own, every, forced=True)
    housekeeping.check(every, every, forced=False)  # nobody who wants it stays


def test_seeds_that_were_trained_together_stay_together(tmp_path: Path) -> None:
    for seed in range(2):
        put(tmp_path, 0.4, "kd", seed, stack=[0, 1])
    every = housekeeping.runs(tmp_path)
    with pytest.raises(RequestError, match="wants"):
        housekeeping.check(every[:1], every, forced=False)


def test_a_run_that_is_carried_out_is_left_alone(results: Path) -> None:
    (kept,) = found(results, task="glue/rte")
    with folders.locked(f"run-{kept.run_id}"), pytest.raises(RequestError, match="in use"):
        housekeeping.remove(kept)
    assert len(kept.files) == 3


def test_a_broken_record_can_be_removed_and_not_moved(results: Path, tmp_path: Path) -> None:
    (kept,) = found(results, task="glue/rte")
    kept.path.write_text("{")
    (broken,) = found(results, task="glue/rte")
    assert broken.state == "broken"
    with pytest.raises(RequestError, match="broken"):
        housekeeping.move(broken, tmp_path / "other")
    housekeeping.remove(broken)
    assert len(there(results)) == 18
