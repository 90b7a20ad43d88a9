"""Where the image data sets are read from: a package, official folders, the Hub; how each is split."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from bench.data.images import VIEWS, Images
from bench.data.labelled import with_classes
from bench.sources import DataError, NoData, Source, files_in, filled, hub_rows, package_file
from bench.tasks._image_files import (
    FilePool,
    Pool,
    decoded_pool,
    files_pool,
    joined,
    read_batch,
    read_parquet,
    read_table,
    share,
)

# Class names in the order of their numbers, which is the Hub's and that of the archives.
CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck"
CIFAR100 = """apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant
flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree
motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy
porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel
streetcar sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
willow_tree wolf woman worm"""
# Folders that the official layouts may be in: themselves, or folders by family and data set.
BASES = (".", "{0}", "{0}/hf", "image/{0}", "image/{0}/hf", "image")
SHARE = 0.1  # of the official training set, kept for dev
MOST = 10_000  # images of dev: a tenth of ImageNet would be 19 GB


# Sources: each has `train` and `test` pools, `classes`, and its part of the card


class Packaged:
    """The mini track: the test images of NIST's optical digits, which scikit-learn ships."""

    views = 1  # a digit that is mirrored or cut is no digit, or another
    classes = tuple("0123456789")

    @cached_property
    def all(self) -> Pool:
        # 64 values from 0 to 16 and a label a row; each of the 8 x 8 pixels becomes 4 x 4
        table = np.loadtxt(package_file("sklearn", "datasets/data/digits.csv.gz"), delimiter=",")
        grey = np.rint(table[:, :64] * 255 / 16).astype(np.uint8).reshape(-1, 1, 8, 8)
        pixels = grey.repeat(3, axis=1).repeat(4, axis=2).repeat(4, axis=3)
        return decoded_pool(pixels, table[:, 64].astype(np.int64), 10, "digits of scikit-learn")

    def splits(self, cap: int | None) -> dict[str, tuple[Images, np.ndarray]]:
        place, order = share(self.all.keys), np.argsort(self.all.keys, kind="stable")
        parts = {"train": place >= 0.4, "dev": place < 0.2, "test": (place >= 0.2) & (place < 0.4)}
        rows = {name: order[inside[order]] for name, inside in parts.items()}
        return {name: self.all.select(r[: cap if name == "train" else None]) for name, r in rows.items()}

    def card(self) -> dict[str, Any]:
        return {
            "source": "package scikit-learn (sklearn/datasets/data/digits.csv.gz)",
            "revision": f"scikit-learn {version('scikit-learn')}",
            "licence": "scikit-learn: BSD-3-Clause; the data: CC BY 4.0 at UCI (unverified)",
            "citation": "Alpaydin and Kaynak 1998, Optical Recognition of Handwritten Digits (UCI)",
            "splits": {
                "distil": "60% by a hash of the pixels",
                "dev": "20%, likewise",
                "test": "20%, likewise: these images have no official split",
            },
            "notes": (
                "a small real task, not an official benchmark: 8 x 8 grey pixels, each repeated 4 x 4 to 32 x 32",
                "the same people wrote in all three splits",
                "no augmentation",
            ),
        }


class Official(ABC):
    """A data set with an official training and test set; dev is a hashed tenth of train."""

    views = VIEWS
    classes: tuple[str, ...]

    @abstractmethod
    def pool(self, split: str) -> Pool | FilePool:
        """The official `train` or `test`."""

    @abstractmethod
    def card(self) -> dict[str, Any]:
        """The reader's part of the card."""

    def splits(self, cap: int | None) -> dict[str, tuple[Images, np.ndarray]]:
        """Train in the order of the keys, which mixes the files' own, up to the cap; dev likewise; test as it is."""
        train, test = self.pool("train"), self.pool("test")
        order = np.argsort(train.keys, kind="stable")
        is_dev = share(train.keys)[order] < SHARE
        dev = with_classes(is_dev & (np.cumsum(is_dev) <= MOST), train.labels[order], lambda: train.keys[order])
        rows = {"train": order[~is_dev & ~dev][:cap], "dev": order[dev]}
        if not all(map(len, rows.values())):
            raise DataError(f"too few training images for a hashed tenth of them: {len(order)}")
        chosen = {name: train.select(r) for name, r in rows.items()}
        return chosen | {"test": test.select(np.arange(len(test.labels)))}


@dataclass(frozen=True)
class Cifar:
    """What differs between the two."""

    classes: tuple[str, ...]
    title: str
    folder: str  # of the archive
    meta: str  # a file in it
    train: tuple[str, ...]
    test: str
    label: str  # in the archive's files
    config: str  # on the Hub, and the folder of its parquet files
    column: str
    repo: str
    revision: str


CIFARS = {
    "cifar10": Cifar(
        tuple(CIFAR10.split()), "CIFAR-10", "cifar-10-batches-py", "batches.meta",
        tuple(f"data_batch_{n}" for n in range(1, 6)), "test_batch", "labels", "plain_text", "label",
        "uoft-cs/cifar10", "0b2714987fa478483af9968de7c934580d0bb9a2",
    ),
    "cifar100": Cifar(
        tuple(CIFAR100.split()), "CIFAR-100", "cifar-100-python", "meta",
        ("train",), "test", "fine_labels", "cifar100", "fine_label",
        "uoft-cs/cifar100", "aadb3af77e9048adbea6b47c21a81e47dd092ae5",
    ),
}  # fmt: skip


class CifarFolder(Official):
    """The archive's folder, or the Hub's parquet files, which are read where both are there."""

    def __init__(self, folder: Path, dataset: str) -> None:
        self.kind = CIFARS[dataset]
        self.classes, archive = self.kind.classes, self.kind.folder
        self.parquet = f"{self.kind.config}/{{}}-*.parquet"
        markers = (self.parquet.format("train"), f"{archive}/{self.kind.meta}", self.kind.meta)
        base, marker = find(folder, dataset, markers, f"{self.kind.title}: its archive's folder {archive}")
        self.is_parquet = marker == markers[0]
        self.root = base / archive if marker == markers[1] else base

    def pool(self, split: str) -> Pool:
        k, size = self.kind, len(self.classes)
        if not self.is_parquet:
            batches = k.train if split == "train" else (k.test,)
            return joined([read_batch(self.root / name, k.label, size) for name in batches])
        files = files_in(self.root, self.parquet.format(split))
        if not files:
            raise NoData(f"no {self.parquet.format(split)} in {self.root}")
        return joined([read_table(read_parquet(f), "img", k.column, size, f) for f in files])

    def card(self) -> dict[str, Any]:
        form = "the Hub's parquet files" if self.is_parquet else f"the archive's folder {self.kind.folder}"
        return cifar_card(self.kind) | {"source": f"directory with {form}", "revision": GIVEN}


class CifarHub(Official):
    """The Hub at a pinned revision."""

    def __init__(self, dataset: str) -> None:
        self.kind = CIFARS[dataset]
        self.classes = self.kind.classes

    def pool(self, split: str) -> Pool:
        k = self.kind
        table = hub_rows(k.repo, k.revision, split, k.config).data.table
        return read_table(table, "img", k.column, len(self.classes), f"{k.repo} {split}")

    def card(self) -> dict[str, Any]:
        found = {"source": f"Hugging Face Hub: {self.kind.repo}", "revision": f"{self.kind.repo}@{self.kind.revision}"}
        return cifar_card(self.kind) | found


GIVEN = "as given; its fingerprint is recorded"


def cifar_card(kind: Cifar) -> dict[str, Any]:
    return {
        "licence": "none stated; research use (unverified)",
        "citation": f"Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images ({kind.title})",
        "splits": {"distil": "the rest of train", "dev": "a tenth of train, by a hash of the pixels", "test": "test"},
        "notes": (AUGMENTED,),
    }


AUGMENTED = f"training images in {VIEWS} views: crops of the image padded by 4 pixels of black, mirrored or not"


class TinyFolder(Official):
    """Tiny ImageNet's official folder. Its test labels are hidden: val is the test set."""

    def __init__(self, folder: Path) -> None:
        inside = "tiny-imagenet-200"
        markers = (f"{inside}/wnids.txt", f"{inside}/{inside}/wnids.txt", "wnids.txt")
        base, marker = find(folder, inside, markers, f"Tiny ImageNet: its archive's folder {inside}")
        self.root = (base / marker).parent
        self.classes = tuple(sorted(w for w in map(str.strip, filled(self.root / "wnids.txt")) if w))

    def pool(self, split: str) -> FilePool:
        places = [f"train/{wnid}/images" for wnid in self.classes]
        return folder_pool(self.root, places, 64) if split == "train" else self._val()

    def _val(self) -> FilePool:
        path, number = self.root / "val/val_annotations.txt", {w: n for n, w in enumerate(self.classes)}
        files: list[Path] = []
        labels: list[int] = []
        for line, text in enumerate(filled(path), 1):
            name, _, rest = text.partition("\t")
            wnid = rest.partition("\t")[0]
            if wnid not in number:
                raise DataError(f"{path}, line {line}: '{wnid}' is not one of wnids.txt")
            files.append(self.root / "val/images" / Path(name).name)
            labels.append(number[wnid])
        return files_pool(files, labels, 64)

    def card(self) -> dict[str, Any]:
        return folder_card("Tiny ImageNet", "Le and Yang 2015, Tiny ImageNet Visual Recognition Challenge")


class ImageNetFolder(Official):
    """train/WNID/*.JPEG and val/WNID/*.JPEG. Only the images that the cap leaves are decoded."""

    def __init__(self, folder: Path) -> None:
        base, _ = find(folder, "imagenet", ("val/n*",), "ImageNet: folders train/WNID and val/WNID of JPEG files")
        self.root = base
        folders = sorted(p.name for p in (base / "val").iterdir() if p.is_dir() and not p.name.startswith("."))
        self.classes = tuple(
            n for n in folders if any(any((base / part / n).glob("*.JPEG")) for part in ("val", "train"))
        )

    def pool(self, split: str) -> FilePool:
        folder = "train" if split == "train" else "val"
        return folder_pool(self.root, [f"{folder}/{wnid}" for wnid in self.classes], 224, fit=True)

    def card(self) -> dict[str, Any]:
        memory = "decoded images are kept as bytes on disk, 150 kB each, and mapped into memory"
        size = "images are resized to 256 pixels on their shorter side, bicubic, and cut to the middle 224"
        return folder_card("ImageNet", "Russakovsky et al. 2015, ImageNet Large Scale Visual Recognition", memory, size)


def folder_card(title: str, citation: str, *notes: str) -> dict[str, Any]:
    return {
        "source": f"directory in {title}'s official layout",
        "revision": GIVEN,
        "licence": "ImageNet's terms: non-commercial research (unverified)",
        "citation": citation,
        "splits": {
            "distil": "the rest of train",
            "dev": f"a tenth of train, by a hash of the names of the files, at most {MOST:,}",
            "test": "val: the labels of the official test set are hidden",
        },
        "notes": (AUGMENTED, "classes are numbered in the order of their WordNet ids", *notes),
    }


def folder_pool(root: Path, places: Sequence[str], size: int, fit: bool = False) -> FilePool:
    """The JPEG files of one folder a class, in order."""
    files: list[Path] = []
    labels: list[int] = []
    for label, place in enumerate(places):
        found = files_in(root / place, "*.JPEG")
        files += found
        labels += [label] * len(found)
    if not files:
        raise DataError(f"no images in {root / places[0]} and its like: *.JPEG files in one folder a class")
    return files_pool(files, labels, size, fit)


def find(folder: Path, dataset: str, markers: Sequence[str], what: str) -> tuple[Path, str]:
    """(folder, marker) of the first marker, in their order, that is anywhere it may be."""
    bases = [folder / base.format(dataset) for base in BASES]
    for marker in markers:
        for base in bases:
            if any(base.glob(marker)):
                return base, marker
    under = ", ".join(base.format(dataset) for base in BASES[1:])
    raise DataError(f"no {what} in {folder}: looked for {' or '.join(markers)} there and under {under}")


def reader(source: Source, dataset: str) -> Packaged | Official:
    """Where this data set is read from."""
    if source.folder is not None:
        folders = {"tinyimagenet": TinyFolder, "imagenet": ImageNetFolder}
        return folders[dataset](source.folder) if dataset in folders else CifarFolder(source.folder, dataset)
    if source.kind != "hub":
        return Packaged()
    if dataset not in CIFARS:
        raise DataError(f"images/{dataset} is read from its official folder alone: give it with --data-dir")
    return CifarHub(dataset)
