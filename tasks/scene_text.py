"""Scene text: the word in a picture, by CTC, with the share of words that are right as a whole.

    iiit5k     IIIT 5K-word: its training pictures, of which a tenth is dev, and its test pictures
    svt        Street View Text, likewise
    cute80     curved words, test alone: trained on IIIT5K's
    lmdb       deep-text-recognition-benchmark: training/*, validation, and each of evaluation/* by itself

Word accuracy is over the 36 letters and digits, upper and lower case alike, punctuation left out; greedy decoding.
Folders are those of Case-Sensitive-Scene-Text-Recognition-Datasets: SET_train and SET_test with IMG/ and label/.

`--teacher rapidocr` is a recogniser that is ready, PP-OCRv6 small of the package rapidocr (extra `[ocr]`). What
pictures it was trained on is not said, and those of test may be among them.

Mishra et al. 2012 (IIIT5K); Wang et al. 2011 (SVT); Risnumawan et al. 2014 (CUTE80); Baek et al. 2019, ICCV.
"""

from __future__ import annotations

import string
from functools import cached_property
from itertools import chain
from pathlib import Path

import numpy as np

from bench.data.images import Images
from bench.data.labelled import Labelled, LabelledTask, Splits, dev_size, scored
from bench.sources import DataError, find_folder
from bench.task import Card, Predictions, Scores, Track
from bench.tasks._scene_files import database, folder, labelled

LAYOUTS = ("oracle/str", "str", ".")
TRAINED_ON = {"cute80": "iiit5k"}  # sets without training pictures
METRICS = ("word_accuracy", "1-cer", "cer")


class SceneText(LabelledTask):
    """The word in a picture."""

    title = "Scene text recognition"
    purposes = {
        "iiit5k": "Read the word in a picture", "svt": "Read the word in a picture of a street",
        "cute80": "Read the curved word in a picture", "lmdb": "Read the word in a picture (six test sets)",
    }  # fmt: skip
    kind = "ctc"
    reads = "image"
    datasets = ("iiit5k", "svt", "cute80", "lmdb")
    main_metric = "word_accuracy"
    teachers = {"rapidocr": "package:rapidocr/models/PP-OCRv6_rec_small.onnx"}
    classes = ("", *string.digits, *string.ascii_lowercase)
    tracks = {
        "lite": Track(
            updates=1_000, batch_size=32, evaluations=5, teacher="crnn:24x64", student="crnn:8x24", teach=800
        ),
        # the benchmark trains for 300,000 updates on 14 million pictures; this reads the first 200,000 of each set
        "full": Track(
            updates=60_000, batch_size=192, examples=400_000, evaluations=20, teacher="crnn:64x256",
            student="crnn:16x64",
        ),
    }  # fmt: skip

    @cached_property
    def root(self) -> Path:
        if self.source.folder is None:
            raise DataError(f"{self.dataset} is read from a folder in its official layout: give it with --data-dir")
        marker = "evaluation" if self.dataset == "lmdb" else f"{self.dataset}_test"
        return find_folder(self.source.folder, ("data_lmdb_release", *LAYOUTS), marker, f"{self.dataset} data")

    def read(self) -> Splits:
        if self.dataset == "lmdb":
            return self.benchmark()
        whole = self.pictures(f"{TRAINED_ON.get(self.dataset, self.dataset)}_train")
        dev, train = parted(whole, dev_size(len(whole)))
        return Splits(train, dev, {self.dataset: self.pictures(f"{self.dataset}_test")})

    def pictures(self, name: str) -> Labelled:
        return labelled(folder(self.root / name), self.classes)

    def benchmark(self) -> Splits:
        """As many pictures of each training set as make the track's number together."""
        training, evaluation = (sorted(p.parent for p in (self.root / n).rglob("data.mdb")) for n in PARTS)
        if not training or not evaluation:
            raise DataError(f"{self.root} has no data.mdb under training and evaluation")
        most = self.track.examples and -(-self.track.examples // len(training))
        train = labelled(chain.from_iterable(database(path, most) for path in training), self.classes)
        dev = labelled(database(self.root / "validation"), self.classes)
        return Splits(train, dev, {path.name: labelled(database(path), self.classes) for path in evaluation})

    def inputs(self, split: str) -> Images:
        """All data sets' pictures in one array."""
        return Images(np.concatenate([data.inputs.pixels for data in self.part(split).values()]))  # type: ignore[attr-defined]

    @staticmethod
    def score(predictions: Predictions) -> Scores:
        return scored(predictions, dict.fromkeys((name.partition("-")[0] for name in predictions), METRICS))

    def card(self) -> Card:
        return Card(
            title=f"Scene text: {self.dataset}",
            source="directory in the official layout",
            revision="as given; its fingerprint is recorded",
            licence="research use (unverified)",
            citation="Mishra et al. BMVC 2012; Wang et al. ICCV 2011; Risnumawan et al. 2014; Baek et al. ICCV 2019",
            splits=SPLITS | ({"train": "nine tenths of IIIT5K's"} if self.dataset in TRAINED_ON else {}),
            sizes=self.sizes(),
            notes=(
                "36 characters, upper and lower case alike, punctuation left out; pictures are squeezed to 32 x 100; "
                "greedy decoding",
            ),
        )


PARTS = ("training", "evaluation")
SPLITS = {
    "train": "the set's training pictures but for a tenth", "dev": "a tenth of them, by the sha256 of the pixels",
    "test": "the set's test pictures",
}  # fmt: skip


def parted(data: Labelled, size: int) -> tuple[Labelled, Labelled]:
    """So many, and the rest, in the order of the pictures' sha256; equal pictures stay on one side."""
    digests = np.array([Images(image[None]).digest for image in data.inputs])
    order = np.argsort(digests, kind="stable")
    while 0 < size < len(order) and digests[order[size]] == digests[order[size - 1]]:
        size += 1
    return data.rows(order[:size]), data.rows(order[size:])
