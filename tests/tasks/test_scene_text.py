"""Scene text: every official picture, both layouts, and files that are wrong."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from bench.plugins.registry import find, load
from bench.scoring.scores import Ragged
from bench.sources import DataError, Source
from tests.factories.data import real_data

SceneText = load(find("task", "scene_text"))
Image = pytest.importorskip("PIL.Image")


def opened(folder: Path, dataset: str):
    task = SceneText(Source("directory", folder), "lite", dataset)
    task.unseal()
    return task


def encoded(number: int) -> bytes:
    pixels = np.random.default_rng(number).integers(0, 256, (20 + number, 40, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def folders(folder: Path) -> Path:
    for name, words in (("svt_train", ["Day's", "inn", "CAFE", "x-1"] * 5), ("svt_test", ["Hotel", "Ärzte!"])):
        for number, word in enumerate(words, 1):
            for part, ending, data in (("IMG", "jpg", encoded(number)), ("label", "txt", word.encode())):
                (folder / name / part).mkdir(parents=True, exist_ok=True)
                (folder / name / part / f"{number}.{ending}").write_bytes(data)
    return folder


def test_official_pictures() -> None:
    task = opened(real_data("oracle"), "iiit5k")
    assert task.sizes() == {"train": 1350, "dev": 150, "test": 400, "iiit5k": 400}
    curved = opened(real_data("oracle"), "cute80")
    assert curved.sizes()["cute80"] == 185 and curved.splits.train.inputs.digest == task.splits.train.inputs.digest
    assert task.splits.test["iiit5k"].inputs.pixels.shape == (400, 3, 32, 100)


def test_words_are_of_36_characters(tmp_path: Path) -> None:
    task = opened(folders(tmp_path), "svt")
    gold = task.splits.test["svt"].labels
    assert [row.tolist() for row in task.goal.words(gold)] == [["hotel"], ["rzte"]]
    assert task.sizes() == {"train": 18, "dev": 2, "test": 2, "svt": 2}
    scores = task.score(task.predict(Ragged.of([next(iter(gold)), [1]], np.int64), "test"))["svt"]
    assert scores["word_accuracy"] == 0.5 and scores["cer"] == pytest.approx(4 / 9)


def test_databases(tmp_path: Path) -> None:
    lmdb = pytest.importorskip("lmdb")
    for name in ("training/MJ", "training/ST", "validation", "evaluation/SVT", "evaluation/CUTE80"):
        (tmp_path / name).mkdir(parents=True)
        with lmdb.open(str(tmp_path / name), map_size=2**22) as found, found.begin(write=True) as to:
            to.put(b"num-samples", b"2")
            for number in (1, 2):
                to.put(b"image-%09d" % number, encoded(number))
                to.put(b"label-%09d" % number, b"Word%d" % number)
    task = opened(tmp_path, "lmdb")
    assert task.sizes() == {"train": 4, "dev": 2, "test": 4, "CUTE80": 2, "SVT": 2}
    assert len(task.inputs("test")) == 4 and [*task.goal.words(task.splits.dev.labels)][1].tolist() == ["word2"]
    with lmdb.open(str(tmp_path / "validation"), map_size=2**22) as found, found.begin(write=True) as to:
        to.delete(b"label-000000002")
    with pytest.raises(DataError, match="has no key label-000000002"):
        _ = opened(tmp_path, "lmdb").splits


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda p: (p / "label/2.txt").unlink(), r"2\.jpg has no 2\.txt"),
        (lambda p: (p / "IMG/2.jpg").write_bytes(b"no picture"), "cannot be read as an image"),
        (lambda p: [f.unlink() for f in (p / "IMG").iterdir()], "no pictures in"),
    ],
)
def test_wrong_folders(wrong, message: str, tmp_path: Path) -> None:
    wrong(folders(tmp_path) / "svt_test")
    with pytest.raises(DataError, match=message):
        _ = opened(tmp_path, "svt").splits


def test_a_folder_without_the_set(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no iiit5k data"):
        _ = opened(folders(tmp_path), "iiit5k").splits
