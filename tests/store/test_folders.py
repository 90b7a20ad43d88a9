"""The store under pressure: several processes, killed writers, damaged files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.errors import BenchError, RequestError
from bench.store import folders
from tests.factories.runs import ROOT

META = {"teacher": "t", "signals": ["embedding"]}
VALUES = np.arange(12, dtype=np.float32).reshape(4, 3)

# Computes VALUES once it is told how: writes a line for each computation, and waits where it is to be killed.
CHILD = """
import sys, time
from pathlib import Path
import numpy as np
from bench.store import folders as store
counter, wait = Path(sys.argv[1]), sys.argv[2]

def compute():
    with counter.open("a") as file:
        file.write("computed\\n")
    if wait == "compute":
        time.sleep(600)
    time.sleep(0.5)
    return {"embedding": np.arange(12, dtype=np.float32).reshape(4, 3)}

if wait == "rename":
    Path.replace = lambda *_: (counter.with_name("written").touch(), time.sleep(600))
if wait == "run":
    with store.locked("run-abc"):
        counter.touch()
        time.sleep(600)
arrays, meta = store.signals("key", {"teacher": "t", "signals": ["embedding"]}, compute)
print(arrays["embedding"].tolist(), meta["fresh"])
"""


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def children() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for child in started:
        child.kill()
        child.communicate()


def start(children: list[subprocess.Popen[str]], counter: Path, wait: str = "") -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", CHILD, str(counter), wait]
    children.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True))
    return children[-1]


def appears(path: Path) -> None:
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.02)


def kept(values: np.ndarray = VALUES) -> tuple[np.ndarray, dict[str, Any]]:
    arrays, meta = folders.signals("key", META, lambda: {"embedding": values})
    return arrays["embedding"], meta


def forbidden() -> dict[str, np.ndarray]:
    raise AssertionError("computed again")


def test_computed_once_and_mapped() -> None:
    first, meta = kept()
    assert meta["fresh"] and meta["rows"] == 4 and meta["seconds"] >= 0
    arrays, meta = folders.signals("key", META, forbidden)
    assert not meta["fresh"] and meta["teacher"] == "t"
    for array in (first, arrays["embedding"]):
        assert isinstance(array, np.memmap) and not array.flags.writeable
        np.testing.assert_array_equal(array, VALUES)


def test_keys_tell_contents_apart() -> None:
    keys = {folders.content_key(teacher=t, inputs=i) for t in ("a", "b") for i in ("a", "b")}
    assert len(keys) == 4
    assert folders.content_key(a=1, b=2) == folders.content_key(b=2, a=1)


def test_concurrent_processes_compute_once(tmp_path: Path, children: list[subprocess.Popen[str]]) -> None:
    counter = tmp_path / "counter"
    pair = [start(children, counter) for _ in range(2)]
    answers = sorted(child.communicate(timeout=60)[0].rpartition(" ") for child in pair)
    assert counter.read_text() == "computed\n"
    assert [a[2].strip() for a in answers] == ["False", "True"]
    assert [json.loads(a[0]) for a in answers] == [VALUES.tolist()] * 2


@pytest.mark.parametrize("moment", ["compute", "rename"])
def test_a_killed_writer_is_never_read(
    tmp_path: Path, root: Path, children: list[subprocess.Popen[str]], moment: str
) -> None:
    child = start(children, tmp_path / "counter", moment)
    appears(tmp_path / ("counter" if moment == "compute" else "written"))
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not (root / "signals" / "key").exists()
    left = [(e.kind, e.key) for e in folders.entries()]
    assert left == ([] if moment == "compute" else [("unfinished", "key")])
    values, meta = kept(VALUES + 1)
    assert meta["fresh"]
    np.testing.assert_array_equal(values, VALUES + 1)
    assert [p.name for p in (root / "signals").iterdir()] == ["key"]  # nothing is left of it


def test_a_failed_computation_leaves_nothing(root: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        folders.signals("key", META, lambda: {"embedding": np.zeros(1 // 0)})
    assert folders.entries() == [] and not (root / "signals").exists()
    assert kept()[1]["fresh"]


def test_a_full_disk_is_one_sentence_and_leaves_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full)
        with pytest.raises(BenchError, match=r"cannot write the teacher store.*No space left"):
            kept()
    assert list((root / "signals").iterdir()) == []


@pytest.mark.parametrize("file", ["embedding.npy", "meta.json"])
@pytest.mark.parametrize("damage", ["missing", "empty", "cut", "noise", "other", "one bit"])
def test_damaged_entries_are_computed_again(root: Path, file: str, damage: str) -> None:
    kept()
    path = root / "signals" / "key" / file
    data = path.read_bytes()
    path.unlink()
    texts = {"empty": b"", "cut": data[: len(data) - 5], "noise": b"\xff\x00" * 40, "other": b"[]"}
    texts["one bit"] = data[:-1] + bytes([data[-1] ^ 1])
    if damage != "missing":
        path.write_bytes(texts[damage])
    assert [e.key for e in folders.entries()] == ["key"]  # listing does not fail
    values, meta = kept(VALUES + 1)
    assert meta["fresh"]
    np.testing.assert_array_equal(values, VALUES + 1)
    assert not folders.signals("key", META, forbidden)[1]["fresh"]


def test_pickles_are_not_read(root: Path) -> None:
    kept()
    np.save(root / "signals" / "key" / "embedding.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert kept()[1]["fresh"]


def test_listing_and_removing(root: Path) -> None:
    for key in ("abc1", "abd2", "abc"):
        folders.signals(key, META, lambda: {"embedding": VALUES})
    (root / "runs" / "ffff").mkdir(parents=True)
    (root / "runs" / "ffff" / "checkpoint.safetensors").write_bytes(b"x" * 100)
    found = {e.key: e for e in folders.entries()}
    assert set(found) == {"abc1", "abd2", "abc", "ffff"}
    assert found["abc1"].kind == "signals" and found["abc1"].detail == "t: 4 x embedding"
    assert found["ffff"].kind == "run" and found["ffff"].size == 100
    for key, count in (("ab", "3"), ("x", "no"), ("", "no")):
        with pytest.raises(RequestError, match=f"names {count} entries"):
            folders.remove([key])
    with pytest.raises(RequestError):
        folders.remove(["ffff", "x"])
    assert len(folders.entries()) == 4  # all or nothing
    assert folders.remove(["abc"]) > 0  # a whole key, though another begins with it
    assert folders.remove(["ff", "ffff"]) == 100  # named twice
    assert {e.key for e in folders.entries()} == {"abc1", "abd2"}
    folders.remove([e.key for e in folders.entries()])
    assert folders.entries() == []


def test_a_run_that_goes_on_is_not_removed(tmp_path: Path, root: Path, children: list[subprocess.Popen[str]]) -> None:
    (root / "runs" / "abc").mkdir(parents=True)
    start(children, tmp_path / "counter", "run")
    appears(tmp_path / "counter")
    with pytest.raises(RequestError, match="run-abc is in use by another bench process"):
        folders.remove(["abc"])
    assert (root / "runs" / "abc").is_dir()


def test_the_place_of_the_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert folders.root() == tmp_path / "cache"
    monkeypatch.setenv("BENCH_CACHE", "")  # empty is not set, as for XDG
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert folders.root() == tmp_path / "bench"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folders.root() == tmp_path / ".cache/bench"


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "FILE").touch()
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "FILE" / "cache"))
    with pytest.raises(RequestError, match=r"cannot create the folder .*FILE/cache"):
        kept()
    assert folders.entries() == []


@pytest.mark.parametrize("kind", ["teacher", "timings"])
def test_teachers_and_timings_are_listed_and_freed(monkeypatch, tmp_path, kind):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    folder = tmp_path / ("teachers" if kind == "teacher" else kind) / "abc123"
    folder.mkdir(parents=True)
    (folder / "some.json").write_text("{}")
    (entry,) = folders.entries()
    assert (entry.kind, entry.key, entry.size, entry.detail) == (kind, "abc123", 2, "some.json")
    assert folders.remove(["abc"]) == 2 and not folder.exists()
