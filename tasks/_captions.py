"""Files of images with captions: Karpathy's json, lists of tokens with split files, Kaggle's table.

    dataset_*.json      {"images": [{"filename", "filepath", "split", "sentences": [{"raw"}]}]}; restval is train
    Flickr8k.token.txt, results_20130124.token
                        image.jpg#0<TAB>caption, and split files with a name a line
    captions.txt        image,caption with a header, and the same split files

Of several of these in one folder the first is read; lists of tokens and the table have to say the same.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from bench.sources import DataError, filled, table

SPLITS = {
    "train": ("Flickr_8k.trainImages.txt", "flickr30k_train.txt", "train.txt"),
    "dev": ("Flickr_8k.devImages.txt", "flickr30k_val.txt", "val.txt"),
    "test": ("Flickr_8k.testImages.txt", "flickr30k_test.txt", "test.txt"),
}
KARPATHY = {"train": "train", "restval": "train", "val": "dev", "test": "test"}
TOKENS = ("Flickr8k.token.txt", "results_20130124.token")
TABLE = "captions.txt"
NAME = re.compile(r"(.+)#\d+")
Captions = Mapping[str, Sequence[str]]  # by the name of the image


class Described(NamedTuple):
    """Captions by image, in the files' order, and the names that each split lists."""

    captions: Captions
    splits: Mapping[str, Sequence[str]]


def described(folder: Path, json_name: str) -> Described:
    """What files of the folder say, or of its folder Flickr8k_text. DataError: there are none, or they disagree."""
    if (folder / json_name).is_file():
        return karpathy(folder / json_name)
    places = [place for place in (folder / "Flickr8k_text", folder) if place.is_dir()]
    found = {
        path: read(path)
        for place in places
        for name, read in (*((name, tokens) for name in TOKENS), (TABLE, kaggle))
        if (path := place / name).is_file()
    }
    if not found:
        raise DataError(f"no captions in {folder}: looked for {json_name}, {', '.join(TOKENS)} and {TABLE}")
    agree(found)
    return Described(next(iter(found.values())), split_lists(places))


def agree(found: Mapping[Path, Captions]) -> None:
    """DataError: two files give an image different captions."""
    (first, captions), *others = found.items()
    for path, theirs in others:
        for name in captions.keys() & theirs.keys():
            if sorted(map(folded, captions[name])) != sorted(map(folded, theirs[name])):
                raise DataError(f"{first} and {path} disagree on the captions of {name}: remove one of the two")


def folded(text: str) -> str:
    return " ".join(text.split())


def karpathy(path: Path) -> Described:
    """Karpathy & Fei-Fei's file of one data set."""
    try:
        entries = json.loads("\n".join(filled(path)))["images"]
        rows = [(named(e), KARPATHY[e["split"]], [folded(s["raw"]) for s in e["sentences"]]) for e in entries]
    except DataError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} is not in Karpathy's form (images with filename, split, sentences): {type(error).__name__} {error}"
        ) from None
    splits = {split: [name for name, own, _ in rows if own == split] for split in SPLITS}
    return Described(gathered(((name, text) for name, _, texts in rows for text in texts)), splits)


def named(entry: Mapping[str, Any]) -> str:
    return safe("/".join(filter(None, (entry.get("filepath", ""), entry["filename"]))), "Karpathy's file")


def tokens(path: Path) -> Captions:
    """Lines of `name#number`, a tab and a caption."""
    return gathered(token_lines(path))


def token_lines(path: Path) -> Iterator[tuple[str, str]]:
    for place, (head, text) in table(path, (2,)):
        match = NAME.fullmatch(head.strip())
        if not match:
            raise DataError(f"{place}: {head!r} is not an image's name, # and a number")
        yield safe(match[1], place), folded(text)


def kaggle(path: Path) -> Captions:
    """A table of image and caption, comma-separated, with a header."""
    return gathered(kaggle_lines(path))


def kaggle_lines(path: Path) -> Iterator[tuple[str, str]]:
    for number, row in enumerate(csv.reader(filled(path)), 1):
        if len(row) != 2:
            raise DataError(f"{path}, row {number}: {len(row)} columns, expected image and caption")
        if number > 1:
            yield safe(row[0], f"{path}, row {number}"), folded(row[1])


def gathered(rows: Iterator[tuple[str, str]]) -> Captions:
    """Captions of each image in order."""
    found: dict[str, list[str]] = {}
    for name, text in rows:
        found.setdefault(name, []).append(text)
    return found


def split_lists(places: Sequence[Path]) -> dict[str, list[str]]:
    """The names that each split file lists. DataError: one is missing, or a name is in two."""
    found: dict[str, list[str]] = {}
    for split, names in SPLITS.items():
        path = next((place / name for name in names for place in places if (place / name).is_file()), None)
        if path is None:
            raise DataError(f"no list of the {split} images in {places[0]}: looked for {', '.join(names)}")
        found[split] = [
            safe(line.strip(), f"{path}, line {n}") for n, line in enumerate(filled(path), 1) if line.strip()
        ]
    listed = [name for names in found.values() for name in dict.fromkeys(names)]
    if len(set(listed)) < len(listed):
        twice = next(name for name in listed if listed.count(name) > 1)
        raise DataError(f"{twice} is in two of the lists of train, dev and test images in {places[0]}")
    return found


def safe(name: str, place: str) -> str:
    """A file's name below the folder. DataError: it leaves it."""
    path = PurePosixPath(name.strip())
    if path.is_absolute() or ".." in path.parts or "\\" in name or not path.parts or "\0" in name:
        raise DataError(f"{place}: the name {name!r} leaves the folder of images")
    return str(path)
