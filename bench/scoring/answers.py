"""Answers in words: SQuAD's exact match and F1, and BioASQ's measures of five candidates."""

from __future__ import annotations

import re
import string
from collections import Counter
from dataclasses import dataclass

import numpy as np

from bench.scoring.metric import MeanMetric
from bench.scoring.scores import Ragged

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)
CANDIDATES = 5  # of BioASQ


def normalised(text: str) -> str:
    """Lower case, no punctuation, no articles, one space between words: SQuAD's official rules, in their order."""
    return " ".join(ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split())


def ragged_texts(array: object) -> bool:
    return isinstance(array, Ragged) and array.flat.ndim == 1 and array.flat.dtype.kind == "U"


class ExactMatch(MeanMetric):
    """Whether the answer is one of the gold ones.

    Predictions: texts (N,), empty: there is no answer. Gold: Ragged texts, the answers of each question; those that
    normalise to nothing count as none, and a question without any has the empty answer alone, as SQuAD 2.0 scores it.
    The script of 1.1 differs where a gold answer normalises to nothing, and there alone: it keeps that answer.
    """

    def fits(self, prediction: object, gold: object) -> bool:
        texts = isinstance(prediction, np.ndarray) and prediction.ndim == 1 and prediction.dtype.kind == "U"
        return texts and ragged_texts(gold) and 0 < len(gold) == len(prediction)  # type: ignore[arg-type]

    def one(self, prediction: str, gold: str) -> float:
        """Of normalised texts."""
        return float(prediction == gold)

    def each(self, prediction: np.ndarray, gold: Ragged) -> np.ndarray:
        return np.array([self.best(normalised(p), g.tolist()) for p, g in zip(prediction.tolist(), gold, strict=True)])

    def best(self, prediction: str, gold: list[str]) -> float:
        return max(self.one(prediction, answer) for answer in [*filter(None, map(normalised, gold))] or [""])

    def constant(self, gold: Ragged) -> np.ndarray:
        """The answer that most questions have; empty where most have none."""
        counts = Counter({"": int((gold.lengths == 0).sum())}) + Counter(a for row in gold for a in set(row.tolist()))
        best = counts.most_common(1)[0][0] if counts else ""
        return np.full(len(gold), best)


class AnswerF1(ExactMatch):
    """F1 of the words that answer and gold share, of the gold answer for which it is best."""

    def one(self, prediction: str, gold: str) -> float:
        found, true = prediction.split(), gold.split()
        if not found or not true:
            return float(found == true)
        shared = (Counter(found) & Counter(true)).total()
        return 2 * shared / (len(found) + len(true))


@dataclass(frozen=True)
class Factoid(MeanMetric):
    """The place of the first right one among up to five candidates: what it is worth.

    Predictions: Ragged texts, best first. Gold: Ragged texts, synonyms. Equal is what is so in lower case, spaces and
    all, as BioASQ's own evaluator compares.
    """

    worth: tuple[float, ...]  # of a right answer at each place

    def fits(self, prediction: object, gold: object) -> bool:
        return ragged_texts(prediction) and ragged_texts(gold) and 0 < len(gold) == len(prediction)  # type: ignore[arg-type]

    def each(self, prediction: Ragged, gold: Ragged) -> np.ndarray:
        return np.array([self.of(p.tolist(), g.tolist()) for p, g in zip(prediction, gold, strict=True)])

    def of(self, candidates: list[str], gold: list[str]) -> float:
        true = {answer.lower() for answer in gold}
        right = (w for w, c in zip(self.worth, candidates, strict=False) if c.lower() in true)
        return next(right, 0.0)

    def constant(self, gold: Ragged) -> None:
        return None


STRICT = Factoid((1.0,))
LENIENT = Factoid((1.0,) * CANDIDATES)
RECIPROCAL = Factoid(tuple(1 / place for place in range(1, CANDIDATES + 1)))
