"""The images task: what is read from each form, what a hostile file gets, and how the splits are cut."""

from __future__ import annotations

import pickle
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.metrics import accuracy_score

from bench.data.images import VIEWS, Images
from bench.errors import BenchError, RequestError
from bench.plugins.registry import find, load
from bench.runs.spec import Request, open_tasks
from bench.sources import DataError, Source
from bench.task import TestSealed
from bench.tasks import _image_files as image_files
from bench.tasks import _image_sets as image_sets
from bench.tasks._image_files import share
from tests.factories.data import real_data
from tests.tasks.pictures import jpeg, noise, write_batch

Task = load(find("task", "images"))
Track = type(Task.tracks["lite"])


def directory(folder: Path, dataset: str = "cifar10", track: str = "lite"):
    task = Task(Source("directory", folder), track, dataset)
    task.unseal()
    return task


@pytest.fixture(scope="module")
def mini():
    task = Task(Source("packaged"), "mini", "digits")
    task.unseal()
    return task


def archive(root: Path, rows: int = 20) -> Path:
    """A small cifar-10-batches-py."""
    folder = root / "cifar-10-batches-py"
    for number in range(1, 6):
        write_batch(folder / f"data_batch_{number}", noise(rows, number), [number] * rows)
    write_batch(folder / "test_batch", noise(rows, 9), list(range(10)) * (rows // 10))
    (folder / "batches.meta").write_bytes(pickle.dumps({}, protocol=2))
    return root


# Real files: counts are those of the manifest


def test_parquet_and_pickles():
    """The pickles hold the first rows of the parquet files."""
    pytest.importorskip("PIL")
    pytest.importorskip("pyarrow")
    folder = real_data("image")
    tables, batches = directory(folder).reader, directory(folder / "image/cifar10/cifar-10-batches-py").reader
    assert tables.is_parquet and not batches.is_parquet
    for split, rows, each, overlap in (("train", 10_000, 1000, 2_000), ("test", 2_000, 200, 1_000)):
        large, small = tables.pool(split), batches.pool(split)
        assert (len(large.labels), len(small.labels)) == (rows, overlap)
        assert np.bincount(large.labels).tolist() == [each] * 10
        np.testing.assert_array_equal(small.labels, large.labels[:overlap])
        np.testing.assert_array_equal(small.keys, large.keys[:overlap])
        chosen = np.arange(overlap)
        np.testing.assert_array_equal(small.pixels(chosen), large.pixels(chosen))
        assert 0.08 < (share(large.keys) < 0.1).mean() < 0.12


def test_an_image_is_on_the_same_side_of_the_cut_in_both_forms():
    task = directory(real_data("image") / "image/cifar10/cifar-10-batches-py")
    pool = task.reader.pool("train")
    dev = {i.tobytes() for i in task.inputs("dev")}
    assert dev == {i.tobytes() for i in pool.pixels(np.flatnonzero(share(pool.keys) < 0.1))}
    assert not dev & {i.tobytes() for i in task.examples("distil").inputs}


def test_tiny_imagenet():
    pytest.importorskip("PIL")
    task = directory(real_data("image"), "tinyimagenet")
    assert len(task.classes) == 200 and list(task.classes) == sorted(task.classes)
    train, test = task.reader.pool("train"), task.reader.pool("test")
    assert np.bincount(train.labels).tolist() == [20] * 200
    assert np.bincount(test.labels).tolist() == [5] * 200
    lines = (task.reader.root / "val/val_annotations.txt").read_text().splitlines()
    assert [task.classes[n] for n in test.labels] == [line.split("\t")[1] for line in lines]
    assert test.pixels(np.array([0, 7])).shape == (2, 3, 64, 64)


def test_cifar_100(tmp_path):
    folder = tmp_path / "cifar-100-python"
    write_batch(folder / "train", noise(40), [7] * 40, "fine_labels", coarse_labels=[1] * 40)
    write_batch(folder / "test", noise(2, 1), [99, 0], "fine_labels")
    (folder / "meta").touch()
    task = directory(tmp_path, "cifar100")
    assert task.inputs("test").pixels.tolist() == noise(2, 1).tolist()
    assert (len(task.classes), task.classes[0], task.classes[99]) == (100, "apple", "worm")
    assert list(task.classes) == sorted(task.classes)


def test_imagenet_decodes_what_the_cap_leaves(tmp_path, monkeypatch):
    pytest.importorskip("PIL")
    for wnid in ("n02", "n01"):
        jpeg(tmp_path / f"val/{wnid}/a.JPEG", 512, 300, left=256)
        for n in range(20):
            jpeg(tmp_path / f"train/{wnid}/{wnid}_{n}.JPEG", 30, 40)
    decoded, original = [], image_files.decode
    monkeypatch.setattr(image_files, "decode", lambda source, *a: decoded.append(source) or original(source, *a))
    monkeypatch.setitem(Task.tracks, "lite", Track(updates=1, batch_size=1, examples=3))
    task = directory(tmp_path, "imagenet")
    assert task.classes == ("n01", "n02")
    assert len(task.examples("distil")) == 3
    assert len(decoded) == 3 + len(task.inputs("dev")) + 2 < 20
    image = task.inputs("test")[0]
    assert image.shape == (3, 224, 224)  # the middle: 256 / 300 of the size, red from its middle on
    assert image[0, :, :108].max() < 30 and image[0, :, 116:].min() > 225 and image[1].max() < 30


# Splits


def test_layouts(tmp_path):
    archive(tmp_path / "image/cifar10")
    for folder in (tmp_path, tmp_path / "image", tmp_path / "image/cifar10/cifar-10-batches-py"):
        assert len(directory(folder).inputs("test")) == 20


def test_a_batch_that_is_not_there(tmp_path):
    (archive(tmp_path) / "cifar-10-batches-py/data_batch_3").unlink()
    with pytest.raises(DataError, match="data_batch_3"):
        directory(tmp_path).inputs("dev")


def test_splits_are_apart_and_complete(tmp_path):
    task = directory(archive(tmp_path))
    parts = [{i.tobytes() for i in images} for images in (task.examples("distil").inputs, task.inputs("dev"))]
    assert not parts[0] & parts[1]
    assert parts[0] | parts[1] == {i.tobytes() for n in range(1, 6) for i in noise(20, n)}
    assert task.inputs("test").pixels.tolist() == noise(20, 9).tolist()
    examples = task.examples("supervised")
    assert examples.views == VIEWS and examples.labels.dtype == np.int64
    for image, label in zip(examples.inputs, examples.labels, strict=True):
        assert (noise(20, int(label)) == image).all((1, 2, 3)).any()


def test_the_cap_takes_training_images_alone(tmp_path, monkeypatch):
    whole = directory(archive(tmp_path), track="full")
    monkeypatch.setitem(Task.tracks, "lite", Track(updates=1, batch_size=1, examples=7))
    task = directory(tmp_path)
    assert len(task.examples("distil")) == 7
    np.testing.assert_array_equal(task.examples("distil").inputs.pixels, whole.examples("distil").inputs.pixels[:7])
    assert task.inputs("dev").digest == whole.inputs("dev").digest
    assert task.identity() != whole.identity()


@pytest.mark.parametrize("change", ["data_batch_1", "test_batch", "label"])
def test_identity_follows_pixels_and_labels(tmp_path, change):
    before = directory(archive(tmp_path)).identity()
    assert directory(tmp_path).identity() == before
    folder, labels = tmp_path / "cifar-10-batches-py", list(range(10)) * 2
    if change == "label":
        write_batch(folder / "test_batch", noise(20, 9), labels[::-1])
    else:
        pixels = noise(20, 1 if change == "data_batch_1" else 9)
        pixels[3, 1, 5, 5] ^= 1
        write_batch(folder / change, pixels, [1] * 20 if change == "data_batch_1" else labels)
    assert directory(tmp_path).identity() != before


def test_test_is_sealed(tmp_path):
    task = Task(Source("directory", archive(tmp_path)), "lite", "cifar10")
    with pytest.raises(TestSealed):
        task.inputs("test")
    with pytest.raises(TestSealed):
        task.predict(np.zeros((20, 10)), "test")


def test_digits_are_scikit_learns(mini):
    digits = load_digits()
    pool = mini.reader.all
    pixels = pool.pixels(np.arange(len(pool.labels)))
    np.testing.assert_array_equal(pool.labels, digits.target)
    np.testing.assert_array_equal(pixels[:, 1, ::4, ::4], np.rint(digits.images * 255 / 16))
    np.testing.assert_array_equal(pixels, pixels[:, :1, ::4, ::4].repeat(3, 1).repeat(4, 2).repeat(4, 3))


def test_digits_are_cut_by_content(mini):
    sizes = mini.card().sizes
    assert {k: sizes[k] for k in ("distil", "dev", "test")} == {"distil": 1107, "dev": 333, "test": 357}
    sets = [{i.tobytes() for i in images}
            for images in (mini.examples("distil").inputs, mini.inputs("dev"), mini.inputs("test"))]  # fmt: skip
    assert not sets[0] & sets[1] and not sets[0] & sets[2] and not sets[1] & sets[2]
    assert mini.examples("distil").views == 1  # a mirrored digit is another
    assert set(mini.examples("distil").labels) == set(range(10))


# Scores


def test_predictions_and_scores(mini):
    logits = np.random.default_rng(0).normal(size=(333, 10))
    predictions = mini.predict(logits, "dev")
    found = predictions["digits"]
    assert found["prediction"].dtype == np.float32 and found["gold"].dtype == np.int64
    scores = Task.score(predictions)
    assert scores == {"digits": {"accuracy": pytest.approx(accuracy_score(found["gold"], logits.argmax(1)))}}
    assert Task.score(mini.predict(np.eye(10)[found["gold"]], "dev"))["digits"]["accuracy"] == 1


@pytest.mark.parametrize(
    "outputs", [np.zeros((333, 9)), np.zeros((332, 10)), np.zeros(333), np.full((333, 10), np.nan)]
)
def test_outputs_that_cannot_be_scored(mini, outputs):
    with pytest.raises(BenchError, match=r"expected outputs|not finite"):
        mini.predict(outputs, "dev")


def test_the_objective_is_cross_entropy(mini):
    import torch

    from bench.inputs import Batch
    from bench.signals import Signals

    labels = torch.tensor([0, 3])
    losses = mini.objective()(Signals(logits=torch.zeros(2, 10)), Batch(torch.arange(2), 1, labels))
    assert float(losses["supervised"]) == pytest.approx(np.log(10), rel=1e-6)


# Requests


@pytest.mark.parametrize(
    ("track", "dataset", "says"),
    [
        ("mini", "cifar10", "images/cifar10 is not on the mini track: there are digits"),
        ("lite", "digits", "images/digits is not on the lite track: there are cifar10, cifar100"),
    ],
)
def test_a_data_set_of_another_track(track, dataset, says):
    with pytest.raises(RequestError, match=says):
        open_tasks(Request([f"images/{dataset}"], [], [], track=track))


@pytest.mark.parametrize("dataset", ["tinyimagenet", "imagenet"])
def test_what_the_hub_is_not_read_for(dataset):
    with pytest.raises(DataError, match="give it with --data-dir"):
        Task(Source("hub"), "lite", dataset)


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100", "tinyimagenet", "imagenet"])
def test_missing_folders_say_what_was_looked_for(tmp_path, dataset):
    with pytest.raises(DataError, match=f"no .* in {tmp_path}: looked for") as caught:
        directory(tmp_path, dataset)
    assert "\n" not in str(caught.value)


def test_unknown_names(mini):
    with pytest.raises(RequestError, match="unknown split 'tset': did you mean test"):
        mini.inputs("tset")
    with pytest.raises(RequestError, match="unknown training set"):
        mini.examples("train")


def test_the_hub(monkeypatch):
    """Encoded images in an arrow table, as `datasets` gives them; the identity is the pinned revision."""
    pa, image_module = pytest.importorskip("pyarrow"), pytest.importorskip("PIL.Image")
    import io

    def png(pixels: np.ndarray) -> dict:
        buffer = io.BytesIO()
        image_module.fromarray(pixels.transpose(1, 2, 0)).save(buffer, "PNG")
        return {"bytes": buffer.getvalue(), "path": None}

    asked = []

    def rows(*names):
        asked.append(names)
        pixels = noise(40 if names[2] == "train" else 3, len(names[2]))
        columns = {"img": [png(p) for p in pixels], "fine_label": [5] * len(pixels)}
        return SimpleNamespace(data=SimpleNamespace(table=pa.table(columns)))

    monkeypatch.setattr(image_sets, "hub_rows", rows)
    task = Task(Source("hub"), "lite", "cifar100")
    task.unseal()
    identity = task.identity()
    assert not asked  # known without a network
    assert task.inputs("test").pixels.tolist() == noise(3, 4).tolist()
    assert {a[0] for a in asked} == {"uoft-cs/cifar100"} and {a[3] for a in asked} == {"cifar100"}
    assert task.examples("distil").labels[0] == 5
    assert identity == task.identity() and len(identity) == 64
    assert "uoft-cs/cifar100@" in task.card().revision


def test_images_stay_one_array(mini):
    assert isinstance(mini.inputs("dev"), Images)


def test_a_hidden_or_a_stray_folder_is_no_class(tmp_path: Path) -> None:
    """What a notebook or an archive leaves beside the classes of an image folder."""
    for place in (
        "train/n01",
        "val/n01",
        "train/n02",
        "val/n02",
        "val/.ipynb_checkpoints",
        "val/n01/.ipynb_checkpoints",
    ):
        jpeg(tmp_path / place / "a.JPEG", 8, 8)
    (tmp_path / "val" / "__MACOSX").mkdir()
    assert image_sets.ImageNetFolder(tmp_path).classes == ("n01", "n02")
    assert len(image_sets.folder_pool(tmp_path, ["val/n01"], 8).labels) == 1


def test_a_missing_folder_is_told_with_the_places_that_were_looked_at(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"under cifar10, cifar10/hf, image/cifar10, image/cifar10/hf, image$"):
        image_sets.CifarFolder(tmp_path, "cifar10")
