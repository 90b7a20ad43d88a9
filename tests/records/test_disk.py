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
from bench.records import disk
from bench.records.arrays import flatten_samples, unflatten_samples
from bench.records.check import walk
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
    np.savez("words.npz", a=np.array(["text"]))
    np.savez("scalar.npz", a=np.array(3.0))
    header = np.lib.format.magic(1, 0) + (70).to_bytes(2, "little")
    huge = header + b"{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000000,), }".ljust(69) + b"\n"
    bad = {
        "objects": Path("objects.npz").read_bytes(), "words": Path("words.npz").read_bytes(), "empty": b"",
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


def zip_of(name: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, data)
    return buffer.getvalue()
