"""Images with their captions by split: what is kept of files, what is left out and counted, and how pixels are read."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.data.images import Images
from bench.sources import DataError, find_folder
from bench.tasks._captions import Described, described
from bench.tasks._image_files import pillow

FOLDERS = ("Flicker8k_Dataset", "Flickr8k_Dataset", "flickr30k-images", "flickr30k_images", "Images", "images", ".")


class Picture(NamedTuple):
    """An image and its captions, each of them once."""

    name: str
    captions: tuple[str, ...]


@dataclass(frozen=True)
class Album:
    """What a source gives: pictures of train, dev and test, how pixels are had, a key of their files, and counts."""

    splits: Mapping[str, Sequence[Picture]]
    pixels: Callable[[Sequence[Picture], int], Images]  # pictures, size -> images
    content: Callable[[Picture], str]
    counts: Mapping[str, int]  # what was found, and what was left out, in words


class Form(NamedTuple):
    """Where a data set lies, and what its card says."""

    json_name: str
    folders: Sequence[str]
    work: str
    licence: str
    draws: int  # captions of others that are drawn for each caption, for mining: official code of DCD


def album(folder: Path, form: Form, dataset: str) -> Album:
    """DataError: no captions, captions of a file that is not there, an empty split."""
    marks = (form.json_name, "Flickr8k_text", "results_20130124.token", "captions.txt")
    there = [m for m in marks if any((folder / f / m).exists() for f in form.folders)]
    base = find_folder(folder, form.folders, (there or marks)[0], f"itr/{dataset} data")
    found, root = described(base, form.json_name), None
    root = next((base / f for f in FOLDERS if any(is_image(base / f / n) for n in first(found))), base)
    splits, counts = sorted_out(found, root)
    return Album(
        splits, lambda p, size: decoded([root / each.name for each in p], size), lambda p: key(root, p), counts
    )


def first(found: Described) -> list[str]:
    return list(found.captions)[:20]


def is_image(path: Path) -> bool:
    return path.is_file()


def sorted_out(found: Described, root: Path) -> tuple[dict[str, list[Picture]], dict[str, int]]:
    """Pictures with captions of each split. Left out, and counted: listed images with neither caption nor file, images
    without a caption, captions that an image has already, captions of images that no split lists."""
    listed = {name for names in found.splits.values() for name in names}
    counts = {f"{split} images listed": len(names) for split, names in found.splits.items()}
    splits: dict[str, list[Picture]] = {}
    again = bare = absent = 0
    for split, names in found.splits.items():
        splits[split] = []
        for name in names:
            captions = found.captions.get(name, ())
            there = is_image(root / name)
            if captions and not there:
                raise DataError(f"the captions name {name}, and {root} has no such image")
            if not captions:
                bare, absent = bare + there, absent + (not there)
                continue
            once = tuple(dict.fromkeys(captions))
            again += len(captions) - len(once)
            splits[split].append(Picture(name, once))
    if empty := [split for split, pictures in splits.items() if not pictures]:
        raise DataError(f"no image of the {empty[0]} split is in {root}")
    outside = [name for name in found.captions if name not in listed]
    return splits, counts | {
        "images with captions": len(found.captions), "captions": sum(map(len, found.captions.values())),
        "captions left out, as their image has them already": again, "images left out, without a caption": bare,
        "listed images left out, with neither file nor caption": absent,
        "images left out, in no split": len(outside),
    }  # fmt: skip


def key(root: Path, picture: Picture) -> str:
    with (root / picture.name).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def decoded(paths: Sequence[Path], size: int) -> Images:
    """The middle square of each at size x size: shorter side to the size, bicubic, as CLIP's processor has it.

    Palettes, grey, CMYK and 16 bits become RGB as Pillow converts them; what is transparent lies on white. DataError: a
    file is no image, or is cut off.
    """
    return Images(np.stack([square(path, size) for path in paths]))


def square(path: Path, size: int) -> np.ndarray:
    """(3, size, size) uint8"""
    module = pillow()
    try:
        with module.open(path) as opened:
            image = on_white(opened)
    except Exception as error:  # Pillow's readers raise many unrelated types
        raise DataError(f"{path} cannot be read as an image: {type(error).__name__}: {error}") from None
    scale = size / min(image.size)
    width, height = (max(size, round(side * scale)) for side in image.size)
    image = image.resize((width, height), module.Resampling.BICUBIC)
    left, top = (width - size) // 2, (height - size) // 2
    return np.asarray(image.crop((left, top, left + size, top + size))).transpose(2, 0, 1)


def on_white(image: Any) -> Any:
    """RGB."""
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = pillow().new("RGBA", layer.size, (255, 255, 255, 255))
        image = pillow().alpha_composite(white, layer)
    return image.convert("RGB")
