"""Image classification: CIFAR-10 and -100, Tiny ImageNet, ImageNet; on the mini track handwritten digits."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from bench.data.augment.mixing import Mixing
from bench.data.augment.recipe import VIEWS as AUGMENTED_VIEWS
from bench.data.augment.recipe import Recipe
from bench.data.images import Images
from bench.errors import RequestError, unknown
from bench.inputs import Examples, digest_texts
from bench.scoring.metrics import METRICS
from bench.sources import Source
from bench.task import Card, Outputs, Predictions, Scores, Task, Track, later
from bench.tasks._image_sets import CifarHub, reader

DIGITS = "digits"
OFFICIAL = ("cifar10", "cifar100", "tinyimagenet", "imagenet")


augments = partial(later, teaches=False)


@dataclass(frozen=True)
class ImageTrack(Track):
    """What a student learns from, beside the crops and flips of before; its teacher is asked about the same images, and
    was taught on crops and flips. In brackets DeiT's table 9; the colour jitter there is off where RandAugment is on,
    as in its code."""

    randaugment: float = augments(0.0)  # magnitude, 0 (none) to 10 [9]
    erasing: float = augments(0.0)  # probability [0.25]
    resized: float = augments(
        0.0
    )  # least share of the area that a resized crop shows; 0: crops of the image's size [0.08]
    mixup: float = augments(0.0)  # a of Beta(a, a); 0: none [0.8]
    cutmix: float = augments(0.0)  # likewise [1.0]
    smoothing: float = augments(0.0)  # of labels [0.1]
    repeats: int = augments(1)  # times that an image comes in a row, each in a view of its own [3]

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, most in (("randaugment", 10), ("erasing", 1), ("resized", 1), ("smoothing", 1)):
            if not 0 <= getattr(self, name) <= most:
                raise RequestError(f"{name} must be from 0 to {most}, not {getattr(self, name)}")
        for name in ("mixup", "cutmix"):
            if getattr(self, name) < 0:
                raise RequestError(f"{name} must be 0 or more, not {getattr(self, name)}")
        if self.repeats < 1:
            raise RequestError(f"repeats must be at least 1, not {self.repeats}")


class ImageClassification(Task):
    """The class of an image."""

    title = "Image classification"
    purposes = {
        "cifar10": "Small photographs in 10 classes", "cifar100": "Small photographs in 100 classes",
        "tinyimagenet": "Photographs in 200 classes", "imagenet": "Photographs in 1,000 classes",
        "digits": "Handwritten digits",
    }  # fmt: skip
    kind = "classify"
    reads = "image"
    datasets = ("cifar10", "cifar100", "tinyimagenet", "imagenet", "digits")
    main_metric = "accuracy"
    lengths = ()
    tracks = {
        "mini": ImageTrack(updates=150, batch_size=64, teacher="resnet:20", student="resnet:8", datasets=(DIGITS,)),
        "lite": ImageTrack(
            updates=600, batch_size=64, examples=10_000, evaluations=3, teacher="resnet:20", student="resnet:8",
            datasets=OFFICIAL, teach=1200,
        ),
        # RepDistiller: 240 epochs of 50,000 images
        "full": ImageTrack(
            updates=187_500, batch_size=64, evaluations=24, teacher="resnet:56", student="resnet:20",
            datasets=OFFICIAL,
        ),
    }  # fmt: skip

    def __init__(self, source: Source, track: str, dataset: str = "") -> None:
        """DataError: the data set is not in the folder, or not on the Hub."""
        super().__init__(source, track, dataset)
        self.reader = reader(source, dataset)
        self.classes = self.reader.classes

    @cached_property
    def parts(self) -> Mapping[str, tuple[Images, np.ndarray]]:
        """(images, labels) of train, dev and test."""
        return self.reader.splits(self.track.examples)

    def examples(self, purpose: str) -> Examples:
        """`distil` and `supervised` are both the labelled training set."""
        return self._examples

    @cached_property
    def _examples(self) -> Examples:
        images, labels = self.parts["train"]
        recipe = self._recipe(images)
        views = AUGMENTED_VIEWS if recipe else self.reader.views
        rows = np.arange(len(images))[:, None]
        return Examples(images.seen(recipe), rows, labels, views, self._mixing(images), self._seen.repeats)

    @property
    def _seen(self) -> ImageTrack:
        return self.track  # type: ignore[return-value]

    def _recipe(self, images: Images) -> Recipe | None:
        """None: the views are crops and flips."""
        t = self._seen
        if not (t.randaugment or t.erasing or t.resized):
            return None
        red, green, blue = (round(255 * mean) for mean in images.statistics()[0])
        return Recipe(t.randaugment, t.erasing, t.resized, self.reader.views > 1, (red, green, blue))

    def _mixing(self, images: Images) -> Mixing | None:
        t = self._seen
        if not (t.mixup or t.cutmix or t.smoothing):
            return None
        return Mixing(len(self.classes), images.size, t.mixup, t.cutmix, t.smoothing)

    def answers(self) -> np.ndarray:
        return self.parts["dev"][1]

    def identity(self) -> str:
        """Hub: hash of the pinned revision and the cap. Elsewhere: hash of all pixels and labels that are used."""
        if isinstance(self.reader, CifarHub):
            return digest_texts([self.reader.kind.repo, self.reader.kind.revision, str(self.track.examples)])
        facts = [self.dataset, *self.classes]
        for name, (images, labels) in self.parts.items():
            facts += [name, images.digest, hashlib.sha256(labels.tobytes()).hexdigest()]
        return digest_texts(facts)

    def card(self) -> Card:
        sizes = {name: len(labels) for name, (_, labels) in self.parts.items()}
        train = sizes.pop("train")
        card = self.reader.card()
        card["notes"] = (*card["notes"], *self._augmentation())
        return Card(title=self.title, sizes={"distil": train, "supervised": train, **sizes}, **card)

    def _augmentation(self) -> list[str]:
        """What this track's settings do to the training images, for the card."""
        names = ("randaugment", "erasing", "resized", "mixup", "cutmix", "smoothing")
        on = [f"{name} {getattr(self._seen, name):g}" for name in names if getattr(self._seen, name)]
        notes = [f"{', '.join(on)}, for the student, and of its teacher's answers"] if on else []
        if self._seen.mixup or self._seen.cutmix:
            notes.append("the images of a batch are mixed: the teacher runs in every update, nothing it says is stored")
        return notes

    def inputs(self, split: str) -> Images:
        return self._part(split)[0]

    def _part(self, split: str) -> tuple[Images, np.ndarray]:
        if split not in ("dev", "test"):
            raise unknown("split", split, ("dev", "test"))
        return self.parts[split]

    def predict(self, outputs: Outputs, split: str) -> Predictions:
        """Logits (N, C) of `inputs(split)`. BenchError: not (N, C), or not finite."""
        gold, goal = self._part(split)[1], self.goal
        return {self.dataset: goal.predictions(goal.checked(outputs, len(gold)), gold)}

    @staticmethod
    def score(predictions: Predictions) -> Scores:
        """Accuracy: the share of images whose largest logit is that of their class."""
        return {
            name: {"accuracy": METRICS["accuracy"].value(arrays["prediction"], arrays["gold"])}
            for name, arrays in predictions.items()
        }
