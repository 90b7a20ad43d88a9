"""Signals kept row by row: what is read is what was computed, and what is missing is computed and no more."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from bench.errors import BenchError, RequestError
from bench.store import folders
from bench.store.rows import Layout, Rows, fill
from tests.factories.runs import ROOT

LENGTHS = np.array([3, 1, 4, 2, 5])
TOKENS = Layout(((9, 2), (9, 2)), (0,))  # two layers of (tokens, 2); the 9 is of the input that was asked
SQUARE = Layout(((3, 9, 9),), (1, 2))


@pytest.fixture(autouse=True)
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    return tmp_path


def rows(layout=TOKENS, key="k", dtype="float32", lengths=LENGTHS):
    return Rows(key, {"teacher": "t", "signals": ["hidden"]}, layout, lengths, dtype)


def value(layout, layer, row):
    """Numbers that tell the row, the layer and the place."""
    shape = layout.shape(layer, int(LENGTHS[row]))
    return (np.arange(np.prod(shape)).reshape(shape) / 8 + 100 * row + 10 * layer).astype(np.float32)


def batch(layout, chosen):
    """Values of these rows, padded to the longest with something that is no value."""
    longest = int(LENGTHS[chosen].max())
    found = []
    for layer in range(len(layout.shapes)):
        padded = np.full((len(chosen), *layout.shape(layer, longest)), -7, np.float32)
        for place, row in zip(padded, chosen, strict=True):
            own = value(layout, layer, row)
            place[tuple(slice(n) for n in own.shape)] = own
        found.append(padded)
    return found


def computing(layout, asked):
    def compute(lacking):
        asked.append(lacking.tolist())
        for chosen in np.array_split(lacking, 2) if len(lacking) > 1 else [lacking]:
            yield chosen, {"hidden": batch(layout, chosen)}

    return compute


@pytest.mark.parametrize("layout", [TOKENS, SQUARE, Layout(((4,),)), Layout(((2, 3, 3), (4, 2, 2)))])
def test_rows_come_back_padded_with_0(layout):
    asked, stored = [], rows(layout)
    assert fill({"hidden": stored}, np.arange(5), computing(layout, asked))[0] == 5
    for chosen in (np.array([2, 0]), np.array([1]), np.array([4, 3, 4])):
        found = stored.read(chosen)
        for layer, array in enumerate(found):
            expected = np.where(batch(layout, chosen)[layer] == -7, 0, batch(layout, chosen)[layer])
            assert array.dtype == np.float32 and np.array_equal(array, expected)


def test_only_what_is_missing_is_computed_also_by_the_next_run():
    asked, compute = [], None
    compute = computing(TOKENS, asked)
    assert fill({"hidden": rows()}, np.array([1, 3]), compute)[0] == 2
    count, seconds = fill({"hidden": rows()}, np.array([0, 1, 3]), compute)  # another object, as of another process
    assert count == 1 and seconds > 0
    assert fill({"hidden": rows()}, np.array([0, 3]), compute) == (0, 0.0)
    assert asked == [[1, 3], [0]]
    (entry,) = folders.entries()
    assert entry.detail == "t: 3 of 5 x hidden"


@pytest.mark.parametrize("layout", [TOKENS, SQUARE, Layout(((3,),))])
def test_a_row_that_the_disk_changed_is_computed_again_and_no_other(layout, root):
    fill({"hidden": rows(layout)}, np.arange(5), computing(layout, []))
    store, asked = rows(layout), []
    place = store.files["0"].offset + 4 * int(store.starts(0, 2)) + 1
    with (root / "signals/k/0.npy").open("r+b") as file:
        file.seek(place)
        old = file.read(1)[0]
        file.seek(place)
        file.write(bytes([old ^ 16]))
    assert fill({"hidden": rows(layout)}, np.array([0, 1, 3, 4]), computing(layout, asked))[0] == 0
    assert fill({"hidden": rows(layout)}, np.arange(5), computing(layout, asked))[0] == 1
    assert asked == [[2]]
    assert np.array_equal(rows(layout).read(np.array([2]))[0], batch(layout, np.array([2]))[0])


def test_holes_take_no_room_on_disk(root):
    stored = rows(Layout(((1000, 1000),), (0,)), lengths=np.full(1000, 1000))
    asked = []
    fill(
        {"hidden": stored},
        np.array([500]),
        lambda r: (asked.append(r), [(r, {"hidden": [np.ones((1, 1000, 1000))]})])[1],
    )
    assert (root / "signals/k/0.npy").stat().st_size > 3e9 and folders.used() < 2e7
    assert stored.read(np.array([500]))[0].sum() == 1e6


def test_half_precision_is_read_as_float32_and_refuses_what_it_cannot_hold():
    layout, asked = Layout(((4,),)), []
    stored = rows(layout, dtype="float16")
    fill({"hidden": stored}, np.arange(5), computing(layout, asked))
    assert np.allclose(stored.read(np.arange(5))[0], batch(layout, np.arange(5))[0], rtol=1e-3)
    with pytest.raises(BenchError, match="too large for float16"):
        fill(
            {"hidden": rows(layout, "other", "float16")},
            np.array([0]),
            lambda r: [(r, {"hidden": [np.full((1, 4), 1e6)]})],
        )


@pytest.mark.parametrize("damage", ["cut", "missing", "noise", "other"])
@pytest.mark.parametrize("file", ["sums.npy", "0.npy", "meta.json"])
def test_damaged_files_are_made_anew(root, file, damage):
    asked = []
    fill({"hidden": rows()}, np.arange(5), computing(TOKENS, asked))
    path = root / "signals/k" / file
    data = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes({"cut": data[:-3], "noise": b"\xff\x00" * 30, "other": b"[]"}[damage])
    stored = rows()
    assert fill({"hidden": stored}, np.array([2]), computing(TOKENS, asked))[0] == 1
    assert np.array_equal(stored.read(np.array([2]))[0][0], value(TOKENS, 0, 2))


CHILD = """
import sys, time
import numpy as np
from bench.store.rows import Layout, Rows, fill

def compute(lacking):
    yield lacking[:2], {"logits": [np.ones((2, 4), np.float32)]}
    print("half", flush=True)
    time.sleep(600)

fill({"logits": Rows("k", {"teacher": "t", "signals": ["logits"]}, Layout(((4,),)), np.ones(5, int), "float32")},
     np.arange(5), compute)
"""


def test_a_killed_writer_keeps_what_it_finished():
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD], env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE
    )
    assert child.stdout.readline() == b"half\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    asked = []
    stored = rows(Layout(((4,),)), lengths=np.ones(5, int))

    def compute(lacking):
        asked.append(lacking.tolist())
        return [(lacking, {"logits": [np.full((len(lacking), 4), 2.0)]})]

    fill({"logits": stored}, np.arange(5), compute)
    assert asked == [[2, 3, 4]] and stored.read(np.arange(5))[0][:, 0].tolist() == [1, 1, 2, 2, 2]


def test_two_signals_are_computed_in_one_pass_and_known_apart():
    asked = []

    def compute(lacking):
        asked.append(lacking.tolist())
        return [
            (lacking, {name: [np.full((len(lacking), 4), len(asked), np.float32)] for name in ("logits", "embedding")})
        ]

    layout = Layout(((4,),))
    one, other = rows(layout, "a"), rows(layout, "b")
    fill({"logits": one}, np.array([0]), lambda r: [(r, {"logits": [np.zeros((1, 4))]})])
    assert fill({"logits": one, "embedding": other}, np.array([0, 1]), compute)[0] == 2
    assert json.loads((one.folder / "meta.json").read_text())["rows"] == 3 and asked == [[0, 1]]


@pytest.mark.parametrize(("text", "size"), [("500MB", 5e8), ("4gb", 4e9), ("1.5 G", 1.5e9), ("0", 0), ("12", 12)])
def test_quotas(monkeypatch, text, size):
    monkeypatch.setenv("BENCH_STORE_QUOTA", text)
    assert folders.quota() == size


@pytest.mark.parametrize("text", ["much", "-1GB", "4XB", "GB"])
def test_a_quota_that_is_no_size_is_one_sentence(monkeypatch, text):
    monkeypatch.setenv("BENCH_STORE_QUOTA", text)
    with pytest.raises(RequestError, match="is no size: write it as in 500MB"):
        folders.quota()


def test_a_full_disk_is_one_sentence_and_what_was_not_written_is_computed_again(monkeypatch):
    asked = []

    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Rows, "_put", full)
        with pytest.raises(BenchError, match=r"cannot write the teacher store.*No space left"):
            fill({"hidden": rows()}, np.arange(5), computing(TOKENS, asked))
    stored = rows()
    assert fill({"hidden": stored}, np.arange(5), computing(TOKENS, asked))[0] == 5
    assert np.array_equal(stored.read(np.array([3]))[0][0], value(TOKENS, 0, 3))
