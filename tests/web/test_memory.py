"""What is kept of each board: all of the boards that there are, whole, and nothing of others."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.web.build import build
from bench.web.memory import KINDS, Memory
from tests.web.site import files, scored


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two boards, of which a site was built."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    for track in ("mini", "lite"):
        scored(tmp_path / "results", "kd", 0, 0.7, track=track)
    build(tmp_path / "results", tmp_path / "out")
    return tmp_path / "results"


def kept(tmp_path: Path) -> list[Path]:
    return sorted(tmp_path.glob("cache/sites/*/boards/*"))


def test_a_board_that_is_gone_is_forgotten(tmp_path: Path, results: Path) -> None:
    assert len(kept(tmp_path)) == 2 * len(KINDS)
    shutil.rmtree(results / "lite")
    build(results, tmp_path / "out")
    assert len(kept(tmp_path)) == len(KINDS)
    assert all("mini" in path.name for path in kept(tmp_path))


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_lost_is_made_again(tmp_path: Path, results: Path, kind: str) -> None:
    before = files(tmp_path / "out")
    lost = next(path for path in kept(tmp_path) if path.name.endswith(kind))
    data = lost.read_bytes()
    lost.unlink()
    build(results, tmp_path / "out")
    assert lost.read_bytes() == data and files(tmp_path / "out") == before


def test_a_damaged_file_is_named(tmp_path: Path, results: Path) -> None:
    damaged = next(path for path in kept(tmp_path) if path.name.endswith("rows.arrow"))
    damaged.write_bytes(damaged.read_bytes()[:40])
    (tmp_path / "out" / "index.html").unlink()  # so that what is over all boards is made again
    with pytest.raises(BenchError, match="is damaged: remove it, and build again") as told:
        build(results, tmp_path / "out")
    shutil.rmtree(str(told.value).partition(" is damaged")[0])
    build(results, tmp_path / "out")
    assert (tmp_path / "out" / "index.html").is_file()


def test_it_holds_what_was_written(tmp_path: Path) -> None:
    memory = Memory(tmp_path, "1")
    for kind in KINDS[:-1]:
        memory.write("a", kind, kind.encode())
    assert not memory.holds(["a"]) and memory.holds([]) and memory.read("a", KINDS[0]) == KINDS[0].encode()
    memory.write("a", KINDS[-1], b"")
    assert memory.holds(["a"]) and not memory.holds(["a", "b"])
