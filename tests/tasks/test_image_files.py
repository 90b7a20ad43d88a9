"""Files of images: what a hostile or broken one gets."""

from __future__ import annotations

import pickle
import sys

import numpy as np
import pytest

from bench.errors import RequestError
from bench.sources import DataError
from bench.tasks import _image_files as image_files
from bench.tasks._image_files import read_batch
from tests.tasks.pictures import jpeg, noise, write_batch


class Evil:
    def __init__(self, call, *arguments) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


@pytest.mark.parametrize("protocol", [0, 2, 5])
@pytest.mark.parametrize(
    "evil", [Evil(print, "executed"), Evil(eval, "1"), Evil(getattr, dict, "pop"), Evil(np.load, "x"), Evil(exec, "")]
)
def test_a_pickle_that_calls_something_is_refused(tmp_path, capsys, evil, protocol):
    path = tmp_path / "data_batch_1"
    path.write_bytes(pickle.dumps({b"data": evil, b"labels": [0]}, protocol=protocol))
    with pytest.raises(DataError, match=f"{path} is refused .* it asks for") as caught:
        read_batch(path, "labels", 10)
    assert "\n" not in str(caught.value) and "executed" not in capsys.readouterr().out


def test_a_pickle_may_not_choose_another_codec(tmp_path):
    path = tmp_path / "batch"
    path.write_bytes(b"c_codecs\nencode\n(Vabc\nVrot13\ntR.")
    with pytest.raises(DataError, match="it asks for the encoding rot13"):
        read_batch(path, "labels", 10)


@pytest.mark.parametrize("protocol", [0, 1, 2, 4, 5])
def test_arrays_of_every_protocol_are_read(tmp_path, protocol):
    path, pixels = tmp_path / "batch", noise(3)
    content = {"data": pixels.reshape(3, -1), "labels": [np.int64(1), 0, np.uint8(9)]}
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    pool = read_batch(path, "labels", 10)
    np.testing.assert_array_equal(pool.pixels(np.arange(3)), pixels)
    assert pool.labels.tolist() == [1, 0, 9]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({b"data": np.zeros((2, 3072), np.uint8)}, "KeyError: 'labels'"),
        ({b"data": np.zeros((2, 3000), np.uint8), b"labels": [0, 1]}, "not uint8"),
        ({b"data": np.zeros((2, 3072)), b"labels": [0, 1]}, "not uint8"),
        ({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0]}, "1 labels for 2 images"),
        ({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 10]}, "not one of 0 to 9"),
        ({b"data": np.zeros((2, 3072), np.uint8), b"labels": ["a", "b"]}, "a label is no whole number"),
        ({b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 2**70]}, "not one of 0 to 9"),
        ([], "refused"),
    ],
)
def test_malformed_batches(tmp_path, content, says):
    path = tmp_path / "data_batch_2"
    path.write_bytes(pickle.dumps(content, protocol=2))
    with pytest.raises(DataError, match=says) as caught:
        read_batch(path, "labels", 10)
    assert str(path) in str(caught.value)


def test_a_cut_off_and_a_missing_batch(tmp_path):
    path = write_batch(tmp_path / "batch", noise(2), [0, 1])
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match="refused"):
        read_batch(path, "labels", 10)
    with pytest.raises(DataError, match="cannot read"):
        read_batch(tmp_path / "nowhere", "labels", 10)


def test_images_that_cannot_be_decoded(tmp_path):
    pytest.importorskip("PIL")
    path = tmp_path / "a.JPEG"
    path.write_bytes(b"no image")
    with pytest.raises(DataError, match=r"a\.JPEG cannot be read as an image"):
        image_files.decode(path, (8, 8), path)
    jpeg(path, 9, 8)
    with pytest.raises(DataError, match="9 x 8 pixels, expected 8 x 8"):
        image_files.decode(path, (8, 8), path)


@pytest.mark.parametrize(
    ("cell", "said"),
    [(None, "nothing"), ({"bytes": None, "path": "a.png"}, "nothing"), ("a.png", "str"), ({"path": "a"}, "nothing")],
)
def test_a_cell_of_a_table_that_is_no_image(cell, said):
    table = pytest.importorskip("pyarrow").table({"img": [cell], "label": [0]})
    with pytest.raises(DataError, match=f"x.parquet, row 1: {said} in place of an image's bytes"):
        image_files.read_table(table, "img", "label", 10, "x.parquet")


def test_without_pillow_the_next_step_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(RequestError, match=r"pip install 'bench-kd\[vision\]'"):
        image_files.decode(b"", (8, 8), "x")
