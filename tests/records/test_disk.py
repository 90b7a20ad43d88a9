"""Records on disk: many writers at once, files that go back and forth, and the published schema."""

from __future__ import annotations

import io
import json
import multiprocessing
import zipfile
from pathlib import Path

import numpy as np
import pytest

from bench.base.archive import ArchiveError, load_arrays, pack
from bench.cli.results import record_schema
from bench.errors import RequestError
from bench.records import disk
from bench.records.arrays import flatten, flatten_samples, unflatten, unflatten_samples, unpack
from bench.records.check import walk
from bench.scoring.scores import Ragged, same
from tests.factories.records import make

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = {"single": {"teacher": [[5, 6], [7]], "student": [[1, 2, 3], [4]]}, "offline": {"teacher": [[2**33]]}}
PREDICTIONS = {"lee/prediction": np.linspace(0, 1, 7, dtype=np.float32), "lee/gold": np.arange(7.0)}


def write_many(results: Path, writer: int, count: int) -> None:
    """A quarter of the records are written by every writer: the same run finished twice."""
    for number in range(count):
        seed = number if number % 4 == 0 else 1000 * (writer + 1) + number
        disk.write(results, make(seed=seed), PREDICTIONS, SAMPLES)


def test_eight_processes_lose_no_record(tmp_path):
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_many, args=(tmp_path, w, 25)) for w in range(8)]
    for process in writers:
        process.start()
    for process in writers:
        process.join()
    assert [p.exitcode for p in writers] == [0] * 8
    found = {r.spec["seed"] for r in disk.read_all(tmp_path)}
    assert found == set(range(0, 25, 4)) | {1000 * (w + 1) + n for w in range(8) for n in range(25) if n % 4}
    files = list(walk(tmp_path))
    assert len(files) == 3 * len(found)  # record, predictions, samples; nothing half-written
    for path in files:
        if path.suffix == ".npz":
            assert load_arrays(path.read_bytes())


def test_samples_come_back_as_they_were():
    flat = flatten_samples(SAMPLES)
    assert flat["single/teacher"].dtype == np.uint32 and flat["offline/teacher"].dtype == np.uint64
    assert unflatten_samples(load_arrays(pack(flat))) == SAMPLES


def test_the_published_schema_is_the_one_of_the_code():
    published = json.loads((ROOT / "docs/record.schema.json").read_text())
    assert published == record_schema(), "bench schema > docs/record.schema.json"
    assert set(published["required"]) >= {"schema", "run_id", "spec", "metrics", "efficiency", "provenance"}
    assert published["properties"]["schema"]["const"] == 2


class Bomb:
    def __reduce__(self):
        return (Path.touch, (Path("exploded"),))


def test_archives_that_are_not_plain_arrays_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    good = pack(PREDICTIONS)
    assert set(load_arrays(good)) == set(PREDICTIONS)
    np.savez("objects.npz", a=np.array([Bomb()], dtype=object))
    np.savez("scalar.npz", a=np.array(3.0))
    header = np.lib.format.magic(1, 0) + (70).to_bytes(2, "little")
    words = npy(np.array([2**31 - 1], np.uint32)).replace(b"'<u4'", b"'<U1'")
    huge = header + b"{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000000,), }".ljust(69) + b"\n"
    bad = {
        "objects": Path("objects.npz").read_bytes(), "words": zip_of("a.npy", words), "empty": b"",
        "scalar": Path("scalar.npz").read_bytes(), "cut": good[:-30], "flipped": good[:60] + b"\0" * 20 + good[80:],
        "text": b"not a zip", "huge": zip_of("a.npy", huge), "other": zip_of("a.txt", b"hello"),
        "lies": zip_of("a.npy", huge.replace(b"'shape': (10000000000000,)", b"'shape': __import__('os')")),
    }  # fmt: skip
    for name, data in bad.items():
        with pytest.raises(ArchiveError):
            load_arrays(data)
        assert not Path("exploded").exists(), name


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_arrays_of_every_order_and_format_come_back(version: tuple[int, int]) -> None:
    for array in (np.arange(6, dtype=np.int16).reshape(2, 3), np.asfortranarray(np.arange(6.0).reshape(2, 3))):
        stream = io.BytesIO()
        np.lib.format.write_array(stream, array, version)
        found = load_arrays(zip_of("a.npy", stream.getvalue()))["a"]
        assert np.array_equal(found, array) and found.dtype == array.dtype


def npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


ROWS = {
    "numbers": Ragged.of([[1, 2, 3], [], [4]], np.int64),
    "columns": Ragged.of([[(1, 0.5)], [(2, 0.25), (3, -1)], []], np.float32, (2,)),
    "text": Ragged.of([["Ankara", "Zürich"], ["O"]], np.str_),
    "empty": Ragged.of([[], []], np.int64),
}


def test_ragged_rows_and_text_come_back(tmp_path: Path) -> None:
    predictions = {"x/y": {**ROWS, "gold": np.array(["a", "longer"])}}
    data = pack(flatten(predictions))
    assert data == pack(flatten({"x/y": dict(reversed(predictions["x/y"].items()))}))
    (tmp_path / "a.npz").write_bytes(data)
    found = unpack(tmp_path / "a.npz")["x/y"]
    assert all(same(found[name], array) for name, array in predictions["x/y"].items())
    assert all(load_arrays(data)[key].dtype == array.dtype for key, array in flatten(predictions).items())
    assert [row.tolist() for row in found["text"]] == [["Ankara", "Zürich"], ["O"]]


@pytest.mark.parametrize("lengths", [[1, 1], [4, -1], [2**63 - 1, 2**63 - 1, 5], [1.0, 2.0], [[1, 2]]])
def test_lengths_that_are_not_those_of_the_rows_are_refused(lengths: list) -> None:
    with pytest.raises(RequestError, match="add up to their 3 values"):
        unflatten({"x/gold": np.arange(3), "x/gold.lengths": np.array(lengths)})


def test_lengths_without_rows_are_refused() -> None:
    with pytest.raises(RequestError, match=r"x/gold\.lengths are the lengths of rows that are not there"):
        unflatten({"x/gold.lengths": np.array([3])})


def zip_of(name: str, data: bytes, packed: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", packed) as archive:
        archive.writestr(name, data)
    return buffer.getvalue()


def test_archives_larger_than_they_may_be_are_refused_before_they_are_unpacked(monkeypatch):
    bomb = zip_of("a.npy", npy(np.zeros(9_000_000, np.int64)), zipfile.ZIP_DEFLATED)
    assert len(bomb) < 100_000
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda *_: pytest.fail("unpacked"))
    for data, most in ((bomb, 10**9), (pack(PREDICTIONS), 40)):
        with pytest.raises(ArchiveError, match="too large to be read"):
            load_arrays(data, most)
