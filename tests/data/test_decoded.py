"""Images decoded once into the store: pixels and key as in memory, read again without decoding, small in RAM."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from bench.data.decoded import decoded, key_of
from bench.data.images import Images
from bench.errors import BenchError
from bench.sources import DataError
from bench.store import folders
from bench.tasks._image_files import files_pool

PIXELS = np.random.default_rng(0).integers(0, 256, (600, 3, 4, 5), dtype=np.uint8)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))


def test_the_array_is_mapped_and_known_as_one_in_memory():
    asked = []
    read = lambda n: asked.append(n) or PIXELS[n]  # noqa: E731
    first, again = (decoded("k", PIXELS.shape, read) for _ in range(2))
    np.testing.assert_array_equal(again.pixels, PIXELS)
    assert sorted(asked) == list(range(600))  # each once
    assert first.digest == again.digest == Images(PIXELS).digest
    (entry,) = folders.entries()
    assert entry.kind == "images" and entry.size >= PIXELS.nbytes and folders.remove(["k"]) == entry.size


def test_what_is_damaged_is_decoded_again():
    decoded("k", PIXELS.shape, lambda n: PIXELS[n])
    file = folders.root() / "images/k/pixels.npy"
    file.write_bytes(file.read_bytes()[:1000])
    np.testing.assert_array_equal(decoded("k", PIXELS.shape, lambda n: PIXELS[n]).pixels, PIXELS)


def test_a_picture_that_cannot_be_read_leaves_nothing():
    def read(n):
        if n == 500:
            raise DataError("a.JPEG cannot be read as an image")
        return PIXELS[n]

    with pytest.raises(BenchError, match=r"a\.JPEG"):
        decoded("k", PIXELS.shape, read)
    assert folders.entries() == []


def test_another_file_is_another_key(tmp_path):
    files = [tmp_path / "a.JPEG", tmp_path / "b.JPEG"]
    for file in files:
        file.write_bytes(b"one")
    before = key_of(files, size=4)
    assert before == key_of(files, size=4) != key_of(files, size=5)
    assert before != key_of(files[::-1], size=4)
    files[0].write_bytes(b"other")
    assert key_of(files, size=4) != before


def bad(tmp_path, make):
    image_module = pytest.importorskip("PIL.Image")
    path = tmp_path / "bad.JPEG"
    make(image_module.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)), path)
    return files_pool([path], [0], 8), path


def test_a_truncated_jpeg_is_named_in_one_sentence(tmp_path):
    def cut(image, path):
        image.resize((64, 64)).save(path, "JPEG")
        path.write_bytes(path.read_bytes()[:-200])

    pool, path = bad(tmp_path, cut)
    with pytest.raises(DataError, match="truncated") as caught:
        pool.pixels(np.array([0]))
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(("mode", "form"), [("P", "PNG"), ("L", "JPEG"), ("CMYK", "JPEG"), ("RGBA", "PNG")])
def test_other_colours_become_red_green_and_blue(tmp_path, mode, form):
    """The rule for pictures with a palette, in grey, of four inks or with transparency: Pillow's conversion to RGB."""
    pool, path = bad(tmp_path, lambda image, path: image.convert(mode).save(path, form))
    found = pool.pixels(np.array([0]))
    with pytest.importorskip("PIL.Image").open(path) as image:
        assert image.mode == mode
        np.testing.assert_array_equal(found[0], np.asarray(image.convert("RGB")).transpose(2, 0, 1))
    assert found.shape == (1, 3, 8, 8)


MEASURE = """
import json, sys
from pathlib import Path
import numpy as np
import torch
from bench.data.images import ImageArrays
from bench.tasks._image_files import files_pool

def own():
    return next(int(l.split()[1]) for l in Path("/proc/self/status").open() if l.startswith("RssAnon")) * 1024

files = sorted(Path(sys.argv[1]).glob("*.JPEG"))
files_pool(files[:1], [0], 224, True).pixels(np.array([0]))  # what decoding brings along
before = own()
images, _ = files_pool(files, [0] * len(files), 224, True).select(np.arange(len(files)))
images.digest, images.statistics()
encoded = ImageArrays(images, torch.zeros(3), torch.ones(3))
for at in range(0, len(files), 8):
    encoded.batch(np.arange(at, at + 8) + len(files) * 5)
print(json.dumps([own() - before, images.pixels.nbytes]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
def test_images_take_no_memory_of_their_size(tmp_path):
    """512 pictures at 224 are 77 MB; decoding, key, mean and all batches, in a process of its own, take less."""
    image_module = pytest.importorskip("PIL.Image")
    image_module.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize(
        (240, 230)
    ).save(tmp_path / "0000.JPEG")
    for n in range(1, 512):
        (tmp_path / f"{n:04}.JPEG").write_bytes((tmp_path / "0000.JPEG").read_bytes())
    for _ in range(2):  # decoded, and from the store
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, str(tmp_path)], capture_output=True, text=True, check=True
        )
        grown, size = json.loads(done.stdout)
        assert size == 512 * 3 * 224 * 224 and grown < 0.75 * size
