"""The damages do what they say to a copy of the committed records, and nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from bench.records import disk
from bench.records.disk import PROFILES, TEACHERS
from tests.damage import DAMAGES, Damage, Inapplicable, archives, arrays, identity, numbers, samples
from tests.damage.tools import file_of, first, load, run_id_of
from tests.factories.runs import ROOT

Seen = dict[str, tuple[int, bytes]]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Of the committed records those of one board, each of which was timed by itself, and what lies beside boards."""
    folder = tmp_path / "results"
    for part in ("lite/sts", PROFILES, TEACHERS):
        shutil.copytree(ROOT / "results" / part, folder / part)
    return folder


def seen(folder: Path) -> Seen:
    """{path below: (mode, what is there)}; neither follows links nor opens pipes."""
    found = {}
    for parent, folders, names in os.walk(folder):
        for path in (Path(parent) / name for name in (*folders, *names)):
            content = b""
            if path.is_symlink():
                content = os.fsencode(path.readlink())
            elif path.is_file():
                content = hashlib.sha256(path.read_bytes()).digest()
            found[str(path.relative_to(folder))] = (path.lstat().st_mode, content)
    return found


def applied(damage: Damage, results: Path) -> Path:
    """Damage the folder; a record of the newest schema has to be damaged in every way."""
    schema = load(first(results))["schema"]
    try:
        return damage.apply(results)
    except Inapplicable as why:
        if schema >= 2 and "root" not in str(why):
            raise
        pytest.skip(str(why))


def of(*themes: object) -> list[Damage]:
    return [damage for theme in themes for damage in theme.DAMAGES]  # type: ignore[attr-defined]


def by_name(name: str) -> Damage:
    return next(d for d in DAMAGES if d.name == name)


each = pytest.mark.parametrize("damage", DAMAGES, ids=lambda d: d.name)


def test_there_are_many_and_no_two_of_one_name() -> None:
    assert len({d.name for d in DAMAGES}) == len(DAMAGES) > 200


@each
def test_a_damage_changes_the_folder_and_names_a_path_in_it(damage: Damage, results: Path) -> None:
    before = seen(results)
    path = applied(damage, results)
    assert seen(results) != before
    assert path.is_relative_to(results) and path != results and os.path.lexists(path)
    damage.after(results)


@pytest.mark.parametrize("damage", of(arrays, archives, samples), ids=lambda d: d.name)
def test_the_hash_is_right_unless_the_name_says_so(damage: Damage, results: Path) -> None:
    path = applied(damage, results)
    part = "efficiency.samples" if damage in samples.DAMAGES else "predictions"
    file = file_of(path, part)
    if file.exists():
        stored = load(path)
        for key in part.split("."):
            stored = stored[key]
        right = hashlib.sha256(file.read_bytes()).hexdigest() == stored["sha256"]
        assert right == (damage.name not in UNHASHED)


UNHASHED = {
    "predictions swapped with another run's", "one prediction changed, the hash left",
    "predictions cut in the middle, the hash left", "samples swapped with another run's",
}  # fmt: skip


@pytest.mark.parametrize("damage", numbers.DAMAGES, ids=lambda d: d.name)
def test_numbers_touch_the_first_record_alone(damage: Damage, results: Path) -> None:
    before, target = seen(results), first(results)
    applied(damage, results)
    after = seen(results)
    assert {name for name in before if after[name] != before[name]} == {str(target.relative_to(results))}
    assert load(target)["spec"] == json.loads((ROOT / "results" / target.relative_to(results)).read_text())["spec"]


def test_a_changed_spec_comes_with_the_run_id_that_is_right_for_it(results: Path) -> None:
    known = first(results).stem
    path = by_name("seed below 0").apply(results)
    raw = load(path)
    assert raw["run_id"] == path.stem == run_id_of(raw["spec"]) != known
    assert file_of(path).name == f"{path.stem}.npz" and file_of(path).exists()


def test_run_ids_are_worked_out_as_bench_does(results: Path) -> None:
    assert all(run_id_of(load(p)["spec"]) == p.stem for p in disk.paths(results))


def test_hostile_texts_reach_the_file(results: Path) -> None:
    for damage, text in ((d, t) for d, t in HOSTILE.items() if by_name(d) in identity.DAMAGES):
        path = by_name(damage).apply(results)
        assert text in json.dumps(load(path)), damage


HOSTILE = {
    "a null byte": "teacher\\u0000layers", "control characters": "\\u001b[2J", "half a pair of surrogates": "\\ud800",
    "predictions in a file that climbs out": "../../",
}  # fmt: skip


@pytest.mark.parametrize(
    "name", ["predictions that run a command when unpickled", "a pickle in the place of the archive"]
)
def test_the_traps_are_sprung_by_a_reader_that_allows_pickles(name: str, results: Path) -> None:
    damage = by_name(name)
    file = file_of(damage.apply(results))
    damage.after(results)
    with pytest.raises(ValueError):
        read(file, pickles=False)
    damage.after(results)
    read(file, pickles=True)
    with pytest.raises(AssertionError, match="executed"):
        damage.after(results)


def test_the_header_that_runs_a_command_is_one(results: Path) -> None:
    damage = by_name("a header that runs a command")
    file = file_of(damage.apply(results))
    with np.load(file) as found:
        data = found.zip.read(next(n for n in found.zip.namelist() if n.endswith("/prediction.npy")))
    eval(data[10 : data.index(b"\n", 10)])
    with pytest.raises(AssertionError, match="executed"):
        damage.after(results)


def read(file: Path, pickles: bool) -> None:
    found = np.load(file, allow_pickle=pickles)
    if isinstance(found, np.lib.npyio.NpzFile):
        for name in found.files:
            found[name]
