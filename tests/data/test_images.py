"""Images as one array, and their views: against plain padding, cropping and mirroring."""

from __future__ import annotations

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from bench.data.images import VIEWS, ImageArrays, Images, decode, gather, training_images
from bench.errors import BenchError, RequestError
from bench.inputs import Examples, digest_inputs, single


def some(count: int = 5, height: int = 32, width: int = 32) -> Images:
    return Images(np.random.default_rng(0).integers(0, 256, (count, 3, height, width), dtype=np.uint8))


def by_hand(image: np.ndarray, y: int, x: int, flip: int) -> np.ndarray:
    """torchvision's RandomCrop(padding=4) and then RandomHorizontalFlip, in numpy."""
    _, height, width = image.shape
    cropped = np.pad(image, ((0, 0), (4, 4), (4, 4)))[:, y : y + height, x : x + width]
    return cropped[:, :, ::-1] if flip else cropped


def every_row(count: int) -> torch.Tensor:
    return torch.arange(count * VIEWS)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (8, 8), (5, 9)])
def test_every_view_is_its_crop(height, width):
    images = some(2, height, width)
    found = gather(torch.from_numpy(images.pixels), every_row(2)).numpy()
    views = decode(every_row(2), 2)
    for got, row, y, x, flip in zip(found, views.row, views.y, views.x, views.flip, strict=True):
        np.testing.assert_array_equal(got, by_hand(images[int(row)], int(y), int(x), int(flip)))


def test_the_162_views_are_all_crops_each_once():
    views = decode(every_row(1), 1)
    found = set(zip(views.y.tolist(), views.x.tolist(), views.flip.tolist(), strict=True))
    assert VIEWS == len(found) == 162
    assert found == {(y, x, flip) for y in range(9) for x in range(9) for flip in (0, 1)}


def test_view_0_is_the_image_itself():
    views = decode(torch.tensor([0, 3, 7]), 5)
    assert (views.y[:2].tolist(), views.x[:2].tolist(), views.flip[:2].tolist()) == ([4, 4], [4, 4], [0, 0])
    assert (views.row[2], views.y[2], views.x[2]) == (2, 4, 5)  # row 7 = 2 + 1 * 5: one place further
    images = torch.from_numpy(some().pixels)
    torch.testing.assert_close(gather(images, torch.tensor([4, 0, 81 * 5])), images[[4, 0, 0]].where(
        torch.tensor([True, True, False]).reshape(3, 1, 1, 1), images[[0, 0, 0]].flip(-1)
    ))  # fmt: skip


@pytest.mark.parametrize("row", [-1, 5 * VIEWS])
def test_there_are_no_other_views(row):
    with pytest.raises(RequestError, match="162 views"):
        decode(torch.tensor([0, row]), 5)


def test_batches_are_normalised():
    images, mean, deviation = some(), np.array([0.5, 0.25, 0.75]), np.array([0.2, 0.25, 0.3])
    encoded = ImageArrays(images, torch.tensor(mean).float(), torch.tensor(deviation).float())
    rows = np.array([3, 1, 5 * 100 + 2])
    found = encoded.batch(rows)["pixels"]
    views = decode(torch.tensor(rows), 5)
    bytes_ = [by_hand(images[int(r)], int(y), int(x), int(f))
              for r, y, x, f in zip(views.row, views.y, views.x, views.flip, strict=True)]  # fmt: skip
    expected = (np.stack(bytes_) / 255 - mean[:, None, None]) / deviation[:, None, None]
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_lengths_are_alike_and_bound_a_batch():
    from bench.networks.inference import length_batches

    for side, most in ((32, 128), (64, 32), (224, 2)):
        encoded = ImageArrays(some(3, side, side), torch.zeros(3), torch.ones(3))
        assert len(set(encoded.lengths)) == 1
        assert len(next(iter(length_batches(np.full(1000, encoded.lengths[0]))))) == most


def test_a_sequence_of_images():
    images = some()
    assert len(images) == 5 and images.size == (32, 32) and len(list(images)) == 5
    assert isinstance(images[1], np.ndarray) and images[1].shape == (3, 32, 32)
    for index in (slice(1, 3), np.array([1, 2]), [1, 2]):
        part = images[index]
        assert isinstance(part, Images) and len(part) == 2
        np.testing.assert_array_equal(part.pixels, images.pixels[1:3])


@pytest.mark.parametrize(
    "array",
    [np.zeros((2, 3, 4, 4)), np.zeros((2, 4, 4, 3), np.uint8), np.zeros((3, 4, 4), np.uint8)],
    ids=["floats", "channels last", "one image"],
)
def test_what_is_no_image_is_refused(array):
    with pytest.raises(BenchError, match="uint8"):
        Images(array)


def test_the_digest_follows_every_byte_and_the_shape():
    images = some(2, 4, 6)
    other = images.pixels.copy()
    other[1, 2, 3, 5] ^= 1
    keys = {images.digest, Images(other).digest, images[:1].digest, Images(images.pixels.reshape(2, 3, 6, 4)).digest}
    assert len(keys) == 4
    assert Images(images.pixels[::1].copy()).digest == digest_inputs(images) == single(images, np.zeros(2)).digest


def test_images_travel_to_another_process():
    images = some()
    copy = pickle.loads(pickle.dumps(images))  # noqa: S301 - our own
    np.testing.assert_array_equal(copy.pixels, images.pixels)
    assert copy.digest == images.digest


def test_statistics_are_those_of_the_pixels(monkeypatch):
    images = some(7, 4, 5)
    mean, deviation = images.statistics()
    np.testing.assert_allclose(mean, (images.pixels / 255).mean((0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(deviation, (images.pixels / 255).std((0, 2, 3)), rtol=1e-12)
    monkeypatch.setattr("bench.data.images.SAMPLE", 3)
    np.testing.assert_allclose(images.statistics()[0], (images.pixels[[0, 3, 6]] / 255).mean((0, 2, 3)), rtol=1e-12)


def test_a_task_about_texts_is_told_so():
    text = SimpleNamespace(name="sts", examples=lambda purpose: Examples(["a"], np.zeros((1, 1), int)))
    with pytest.raises(RequestError, match="not about images"):
        training_images(text)


@pytest.mark.gpu
def test_views_on_a_gpu_are_those_of_the_cpu():
    images, rows = some(), np.random.default_rng(1).integers(0, 5 * VIEWS, 64)
    mean, deviation = torch.full((3,), 0.4), torch.full((3,), 0.2)
    there = ImageArrays(images, mean.cuda(), deviation.cuda()).batch(rows)["pixels"]
    assert there.is_cuda
    torch.testing.assert_close(there.cpu(), ImageArrays(images, mean, deviation).batch(rows)["pixels"])
