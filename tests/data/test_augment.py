"""Operations of RandAugment against plain numpy, views by number, and what is erased."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("PIL")
from PIL import Image

from bench.data.augment.operations import OPERATIONS, randaugment
from bench.data.augment.recipe import VIEWS, Recipe, erased, part
from bench.data.images import ImageArrays, Images

FILL = (10, 20, 30)
RNG = np.random.default_rng(0)
PICTURE = RNG.integers(0, 256, (12, 16, 3), dtype=np.uint8)  # (H, W, 3)
DULL = (PICTURE // 4 + 40).astype(np.uint8)


def done(name: str, pixels: np.ndarray, level: float, sign: float = 1.0) -> np.ndarray:
    return np.asarray(OPERATIONS[name](Image.fromarray(pixels), level, sign, FILL)).astype(int)


def grey(pixels: np.ndarray) -> np.ndarray:
    """ITU-R 601: 0.299 R + 0.587 G + 0.114 B."""
    return pixels @ np.array([0.299, 0.587, 0.114])


def towards(pixels: np.ndarray, other: np.ndarray, factor: float) -> np.ndarray:
    return np.clip(other + factor * (pixels.astype(float) - other), 0, 255)


def test_operations_on_values():
    x = PICTURE.astype(int)
    np.testing.assert_array_equal(done("invert", PICTURE, 0.9), 255 - x)
    np.testing.assert_array_equal(done("posterize", PICTURE, 0.9), x // 128 * 128)  # 4 - int(3.6) = 1 bit
    np.testing.assert_array_equal(done("posterize", PICTURE, 1.0), 0 * x)
    np.testing.assert_array_equal(done("solarize", PICTURE, 0.9), np.where(x < 26, x, 255 - x))  # 256 - 230
    np.testing.assert_array_equal(done("solarize_add", PICTURE, 0.9), np.where(x < 128, np.minimum(255, x + 99), x))


def test_contrast_is_stretched_to_the_whole_range():
    low, high = DULL.min((0, 1)).astype(int), DULL.max((0, 1)).astype(int)
    expected = (DULL.astype(int) - low) * 255 / (high - low)
    assert abs(done("autocontrast", DULL, 0) - expected).max() <= 1


def test_equalisation_makes_ranks_of_values():
    """Each channel's cumulated counts, in steps of (pixels - those of the last value) // 255."""
    large = RNG.integers(50, 90, (40, 40, 3), dtype=np.uint8)
    found = done("equalize", large, 0)
    for c in range(3):
        counts = np.bincount(large[..., c].ravel(), minlength=256)
        step = (counts.sum() - counts[np.flatnonzero(counts)[-1]]) // 255
        table = np.minimum((step // 2 + np.concatenate([[0], np.cumsum(counts)[:-1]])) // step, 255)
        np.testing.assert_array_equal(found[..., c], table[large[..., c]])


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_enhancements_lead_away_from_black_grey_and_blur(sign):
    factor = 1 + sign * 0.5 * 0.9
    assert abs(done("brightness", DULL, 0.5, sign) - towards(DULL, 0, factor)).max() <= 1
    assert abs(done("color", DULL, 0.5, sign) - towards(DULL, np.rint(grey(DULL))[..., None], factor)).max() <= 1.5
    mean = np.floor(np.rint(grey(DULL)).mean() + 0.5)
    assert abs(done("contrast", DULL, 0.5, sign) - towards(DULL, mean, factor)).max() <= 1.5
    kernel = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13
    windows = np.lib.stride_tricks.sliding_window_view(DULL, (3, 3), (0, 1))
    blurred = np.rint((windows * kernel).sum((-2, -1)))
    inside = done("sharpness", DULL, 0.5, sign)[1:-1, 1:-1]
    assert abs(inside - towards(DULL[1:-1, 1:-1], blurred, factor)).max() <= 1.5


def ramp(height: int, width: int) -> np.ndarray:
    """Red grows to the right, green downwards, 4 a pixel: it shows where a pixel is from. Pillow's cubic (a = -1) is up
    to a tenth of a pixel off, and cuts to whole numbers."""
    y, x = np.mgrid[:height, :width]
    return np.stack([4 * x, 4 * y, 0 * x + 7], -1).astype(np.uint8)


def origin(name: str, x: np.ndarray, y: np.ndarray, sign: float, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the middle of pixel (x, y) is from, at level 0.5."""
    if name == "rotate":  # against the clock for positive angles, about the middle; y points downwards
        a, m = np.radians(sign * 15), size / 2
        return m + np.cos(a) * (x - m) - np.sin(a) * (y - m), m + np.sin(a) * (x - m) + np.cos(a) * (y - m)
    by = {"shear_x": (0.15 * y, 0), "shear_y": (0, 0.15 * x)}
    by |= {"translate_x": (0.225 * size, 0), "translate_y": (0, 0.225 * size)}
    return x + sign * by[name][0], y + sign * by[name][1]


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("name", ["rotate", "shear_x", "shear_y", "translate_x", "translate_y"])
def test_geometry_by_where_each_pixel_is_from(name, sign):
    size = 40
    found = done(name, ramp(size, size), 0.5, sign)
    y, x = np.mgrid[:size, :size] + 0.5
    from_x, from_y = origin(name, x, y, sign, size)
    inside = (from_x > 3) & (from_x < size - 3) & (from_y > 3) & (from_y < size - 3)
    assert inside.mean() > 0.4
    assert abs(found[..., 0] - 4 * (from_x - 0.5))[inside].max() <= 1.5
    assert abs(found[..., 1] - 4 * (from_y - 0.5))[inside].max() <= 1.5
    outside = (from_x < -1) | (from_x > size + 1) | (from_y < -1) | (from_y > size + 1)
    assert outside.any() and (found[outside] == FILL).all()


def test_randaugment_draws_two_operations_half_of_the_time(monkeypatch):
    seen = []
    for name in OPERATIONS:
        monkeypatch.setitem(OPERATIONS, name, lambda i, level, sign, fill, name=name: seen.append((name, level)) or i)
    for number in range(2000):
        randaugment(None, np.random.default_rng(number), 9, FILL)
    assert len(OPERATIONS) == 15 and len(seen) == pytest.approx(2000, rel=0.05)
    assert {name for name, _ in seen} == set(OPERATIONS)
    levels = np.array([level for _, level in seen])
    assert levels.mean() == pytest.approx(0.9, abs=0.01) and 0.03 < levels.std() < 0.06 and levels.max() <= 1


def arrays(recipe: Recipe, count: int = 3, side: int = 16) -> ImageArrays:
    pixels = np.random.default_rng(1).integers(0, 256, (count, 3, side, side), dtype=np.uint8)
    return ImageArrays(Images(pixels, recipe), torch.full((3,), 0.5), torch.full((3,), 0.25))


def test_a_view_is_the_same_pixels_in_every_batch_and_view_0_is_the_image():
    encoded = arrays(Recipe(randaugment=9, erasing=0.5))
    rows = np.array([0, 2, 1 + 3 * 5, 2 + 3 * 700, 1 + 3 * (VIEWS - 1)])
    found, back = encoded.batch(rows)["pixels"], encoded.batch(rows[::-1].copy())["pixels"]
    torch.testing.assert_close(found.flip(0), back, rtol=0, atol=0)
    plain = (torch.from_numpy(encoded.images.pixels[[0, 2]]).float() / 255 - 0.5) / 0.25
    torch.testing.assert_close(found[:2], plain)
    seen = encoded.batch(np.arange(1, 40) * 3)["pixels"]
    assert len(seen.flatten(1).unique(dim=0)) > 35


def test_without_moves_nothing_is_cropped_or_mirrored():
    encoded = arrays(Recipe(erasing=1e-9, moves=False))
    torch.testing.assert_close(encoded.batch(np.array([7 * 3]))["pixels"], encoded.batch(np.array([0]))["pixels"])


def test_crops_of_the_image_and_their_mirror_images():
    recipe, image = Recipe(erasing=1e-9), np.random.default_rng(1).integers(0, 256, (3, 16, 16), dtype=np.uint8)
    padded = np.pad(image, ((0, 0), (4, 4), (4, 4)))
    crops = [padded[:, y : y + 16, x : x + 16] for y in range(9) for x in range(9)]
    known = {c.tobytes() for crop in crops for c in (crop, crop[:, :, ::-1])}
    found = {recipe.view(image, np.random.default_rng(n)).tobytes() for n in range(1500)}
    assert found <= known and len(found) > 155


def test_resized_crops_show_their_share():
    """A ramp tells where its ends are from."""
    recipe, image = Recipe(resized=0.08), ramp(48, 48).transpose(2, 0, 1)
    shares = []
    for number in range(400):
        seen = recipe.view(image, np.random.default_rng(number)).astype(float)
        width, height = (abs(seen[c].max() - seen[c].min()) / 4 + 1 for c in (0, 1))
        shares.append(width * height / 48**2)
    assert min(shares) > 0.05 and max(shares) < 1.1 and np.mean(shares) == pytest.approx(0.54, abs=0.07)


def test_parts_are_inside_and_of_the_shares_that_are_asked_for():
    rng, areas = np.random.default_rng(2), []
    for _ in range(2000):
        top, left, height, width = part(32, 48, rng, (0.1, 0.5), (0.5, 2), inside=False)
        assert top >= 0 and left >= 0 and top + height <= 32 and left + width <= 48
        assert 0.45 < width / height < 2.2
        areas.append(height * width / (32 * 48))
    assert min(areas) > 0.09 and max(areas) < 0.52 and np.mean(areas) == pytest.approx(0.3, abs=0.03)
    assert part(4, 400, rng, (1, 1), (1, 1), inside=True) is None  # no square of the whole area


def test_noise_where_it_is_erased_and_nothing_elsewhere():
    recipe, image, changed = Recipe(erasing=0.25), torch.full((3, 32, 32), 9.0), []
    for number in range(2000):
        copy = image.clone()
        recipe.erase(copy, np.random.default_rng(number))
        if (copy != image).any():
            rng = np.random.default_rng(number)
            rng.random()
            top, left, height, width = erased(32, 32, rng)
            assert (copy[:, top : top + height, left : left + width] != 9).all()
            assert int((copy != 9).sum()) == 3 * height * width
            changed.append(copy[copy != 9])
    assert len(changed) / 2000 == pytest.approx(0.25, abs=0.04)
    noise = torch.cat(changed)
    assert abs(noise.mean()) < 0.02 and noise.std() == pytest.approx(1, abs=0.02)
