from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.web import look as module
from bench.web.look import Seen, beside, look
from tests.web.site import make, save


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    results, out = tmp_path / "results", tmp_path / "out"
    save(results, make("kd"), make("disco", seed=1), make("kd", task="text/trec"))
    for name in ("index.html", "runs/0.html", ".bench-site/site", "deep/er/x"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("x")
    return results, out


def test_records_are_found_by_folder_with_what_changes_when_they_do(folders: tuple[Path, Path]) -> None:
    results, out = folders
    for apart in ("profiles/one.json", "teachers/two.json"):
        (results / apart).parent.mkdir()
        (results / apart).write_text("{}")
    seen = look(results, out)
    assert {unit: len(stamps) for unit, stamps in seen.units.items()} == {"mini/sts": 2, "mini/text/trec": 1}
    assert sorted(seen.there) == ["deep/er/x", "index.html", "runs/0.html"], "nothing hidden"
    name, stamp = next(iter(seen.units["mini/sts"].items()))
    record, predictions = (results / name).stat(), (results / name).with_suffix(".npz").stat()
    assert stamp == [record.st_mtime_ns, record.st_size, predictions.st_mtime_ns, predictions.st_size]
    (results / name).with_suffix(".npz").unlink()
    assert look(results, out).units["mini/sts"][name] == [*stamp[:2], 0, 0]


def test_another_process_sees_the_same(folders: tuple[Path, Path], tmp_path: Path) -> None:
    assert beside(*folders)() == look(*folders)
    assert beside(tmp_path / "none", tmp_path / "neither")() == Seen({}, [])


def test_nothing_is_left_of_the_other_process(folders: tuple[Path, Path], monkeypatch) -> None:
    started, fork = [], os.fork

    def noted() -> int:
        started.append(fork())
        return started[-1]

    monkeypatch.setattr(module.os, "fork", noted)
    beside(*folders)()
    with pytest.raises(ChildProcessError):
        os.waitpid(started[0], os.WNOHANG)


def test_a_name_that_is_no_text_is_seen_too(folders: tuple[Path, Path]) -> None:
    try:
        Path(os.fsdecode(os.fsencode(folders[1]) + b"/\xff")).touch()
    except OSError:
        pytest.skip("this file system takes no such name")
    assert beside(*folders)() == look(*folders)


def test_a_process_that_is_cut_short_is_not_believed(folders: tuple[Path, Path], monkeypatch) -> None:
    def half(results: Path, out: Path, writer: int) -> None:
        os.write(writer, b'[{"mini/sts": {')
        os._exit(1)

    monkeypatch.setattr(module, "_tell", half)
    assert beside(*folders)() == look(*folders)


def test_a_folder_that_cannot_be_read_is_told_by_the_process_that_builds(
    folders: tuple[Path, Path], monkeypatch
) -> None:
    def refused(folder: str) -> None:
        raise PermissionError(13, "Permission denied", folder)

    monkeypatch.setattr(module.os, "scandir", refused)
    with pytest.raises(PermissionError):
        beside(*folders)()


def test_looking_waits_for_no_large_import() -> None:
    script = "import sys, bench.web.look; sys.exit(bool({'numpy', 'pydantic', 'bench.records'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
