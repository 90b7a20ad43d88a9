"""A small folder in Flickr8k's official layout: squares of one colour on another, and captions that name both."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

from PIL import Image

COLOURS = {"red": (220, 30, 30), "green": (30, 180, 60), "blue": (40, 60, 220), "white": (250, 250, 250),
           "black": (5, 5, 5), "yellow": (240, 220, 40), "grey": (128, 128, 128)}  # fmt: skip
LISTS = {"train": "Flickr_8k.trainImages.txt", "dev": "Flickr_8k.devImages.txt", "test": "Flickr_8k.testImages.txt"}
SIZES = {"train": 24, "dev": 6, "test": 8}


def captions_of(one: str, two: str) -> list[str]:
    return [f"a {one} square on {two} ground", f"{two} around {one}", f"the middle is {one} and the rest {two}"]


def entries() -> Iterator[tuple[str, str, str, str]]:
    """(split, name, colour, ground)"""
    pairs = iter(permutations(COLOURS, 2))
    for split, size in SIZES.items():
        for n in range(size):
            yield split, f"{split}{n}.png", *next(pairs)


def write_flickr(folder: Path) -> Path:
    """The token list, the split files, and the images, 40 x 30 pixels."""
    images, texts = folder / "Flicker8k_Dataset", folder / "Flickr8k_text"
    images.mkdir(parents=True)
    texts.mkdir()
    lines, lists = [], {split: [] for split in LISTS}
    for split, name, one, two in entries():
        picture = Image.new("RGB", (40, 30), COLOURS[two])
        picture.paste(COLOURS[one], (12, 8, 28, 22))
        picture.save(images / name)
        lists[split].append(name)
        lines += [f"{name}#{n}\t{caption}" for n, caption in enumerate(captions_of(one, two))]
    (texts / "Flickr8k.token.txt").write_text("\n".join(lines) + "\n")
    for split, names in lists.items():
        (texts / LISTS[split]).write_text("\n".join(names) + "\n")
    return folder


def write_karpathy(folder: Path) -> Path:
    """The same in Karpathy's form, beside the images of `write_flickr`."""
    names = {"dev": "val"}
    rows = [
        {"filename": name, "split": names.get(split, split), "sentences": [{"raw": c} for c in captions_of(one, two)]}
        for split, name, one, two in entries()
    ]
    rows[0]["split"] = "restval"
    (folder / "dataset_flickr8k.json").write_text(json.dumps({"images": rows, "dataset": "flickr8k"}))
    return folder


def write_table(folder: Path) -> Path:
    """Kaggle's captions.txt."""
    with (folder / "captions.txt").open("w", newline="") as file:
        rows = [(name, caption) for _, name, one, two in entries() for caption in captions_of(one, two)]
        csv.writer(file).writerows([("image", "caption"), *rows])
    return folder
