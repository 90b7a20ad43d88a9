"""Word vectors from a file, a word and its numbers a line: fastText's .vec, GloVe's .txt."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from bench.data.lines import Lines
from bench.sources import DataError


class WordVectors:
    """Of a file whose first line may say how many words it has and how wide they are. It is read where it lies: what
    is kept in memory are the vectors that are asked for.

    Bojanowski et al. 2017, "Enriching Word Vectors with Subword Information" (fastText, text format).
    """

    def __init__(self, place: str | Path) -> None:
        """DataError: no file, or no vectors in it."""
        self.place, self.lines = place, Lines(place)
        first = self.lines[0].split()
        self.headed = len(first) == 2 and all(cell.isdecimal() for cell in first)
        if (not self.headed and len(first) < 2) or len(self.lines) <= self.headed:
            raise DataError(f"{place} has no word vectors: a line is a word and its numbers, with spaces between them")
        self.width = int(first[1]) if self.headed else len(first) - 1

    @property
    def digest(self) -> str:
        """Content key."""
        return self.lines.digest

    def of(self, words: Collection[str]) -> dict[str, np.ndarray]:
        """The vectors (W,) float32 of those of the words that the file has; of one that comes twice the first.

        DataError: a line of them has no number where one should be, or has more or fewer than W.
        """
        found: dict[str, np.ndarray] = {}
        for at in range(self.headed, len(self.lines)):
            word, _, rest = self.lines[at].partition(" ")
            if word in words and word not in found:
                found[word] = self._numbers(word, rest)
        return found

    def _numbers(self, word: str, text: str) -> np.ndarray:
        try:
            vector = np.array(text.split(), np.float32)
        except ValueError:
            raise DataError(f"{self.place}: the vector of '{word}' has a cell that is no number") from None
        if len(vector) != self.width or not np.isfinite(vector).all():
            raise DataError(
                f"{self.place}: the vector of '{word}' has to be {self.width} finite numbers, as the first line says"
            )
        return vector
