"""The n-grams of words that a bag is made of: which are known, and which a text holds.

Words and n-grams are those of scikit-learn's CountVectorizer(ngram_range=(1, N)): lower case, `(?u)\\b\\w\\w+\\b`, so
words of one letter and punctuation are gone. The most frequent of the training text are known, of equal counts the
shorter first, then in the order of the alphabet. No n-gram is more frequent than its parts, so who knows "a b c" knows
"a b" and "c" too: an n-gram is found by the number of its first n - 1 words and that of its last, and a text is kept as
the numbers of its words alone.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import torch
from sklearn.feature_extraction.text import CountVectorizer
from torch import Tensor

from bench.data.tokens import Lists, TokenArrays, tokens
from bench.inputs import Texts, flat

ROOM = 3_000_000  # n-grams that are counted at a time, beside twice those that are kept: under a gigabyte


def most_frequent(texts: Iterable[str], longest: int, most: int, room: int = ROOM) -> list[str]:
    """The most frequent n-grams of 1 to `longest` words, the most frequent first, counted in bounded memory.

    When more than `room` + 2 `most` are held, the rarest are dropped, and each time one more occurrence is asked for
    (lossy counting, Manku & Motwani 2002): after k times no count is more than k too low. What is held stays closed, as
    no n-gram outlives its parts.
    """
    analyse = CountVectorizer(ngram_range=(1, longest)).build_analyzer()
    counts, dropped = Counter[str](), 0
    for text in texts:
        counts.update(analyse(text))
        while len(counts) > room + 2 * most:
            dropped += 1
            counts = Counter({gram: n for gram, n in counts.items() if n > dropped})
    return sorted(counts, key=lambda gram: (-counts[gram], gram.count(" "), gram))[:most]


def word_cutter() -> Callable[[str], list[str]]:
    """A text -> its words, as scikit-learn cuts them."""
    vectorizer = CountVectorizer()
    prepare, cut = vectorizer.build_preprocessor(), vectorizer.build_tokenizer()
    return lambda text: cut(prepare(text))


class Ngrams:
    """The known n-grams, numbered from 1 in the given order; 0 is what is not known, and padding."""

    def __init__(self, known: Sequence[str], longest: int) -> None:
        """`known`: closed, as `most_frequent` gives them."""
        self.longest, self.rows = longest, len(known) + 1
        number = {gram: at for at, gram in enumerate(known, 1)}
        self.words = {gram: at for gram, at in number.items() if " " not in gram}
        longer = [(*gram.rsplit(" ", 1), at) for gram, at in number.items() if " " in gram]
        keys = np.array([-1, *(self.key(number[str(head)], number[str(last)]) for head, last, _ in longer)], np.int64)
        order = np.argsort(keys)
        self.keys, self.numbers = keys[order], np.array([0, *(at for *_, at in longer)], np.int32)[order]

    def key(self, head: np.ndarray | int, last: np.ndarray | int) -> np.ndarray | int:
        """What an n-gram is found by: the number of its first words, and of its last."""
        return head * self.rows + last

    def read(self, inputs: Texts, limit: int) -> Bags:
        """The first `limit` words of each text."""
        cut = word_cutter()

        def chunk(part: Texts, most: int) -> dict[str, Lists]:
            (column,) = part.columns
            lines: Iterable[str] = map(" ".join, column) if part.split else column
            return {"ids": [[self.words.get(word, 0) for word in cut(line)[:most]] or [0] for line in lines]}

        def rules() -> str:
            return "scikit-learn words " + hashlib.sha256(repr(self.words).encode()).hexdigest()

        return Bags(tokens(chunk, inputs, 0, rules, limit), self)

    def of(self, words: np.ndarray) -> np.ndarray:
        """Numbers of words (B, L), 0 behind the shorter texts -> of their n-grams (B, G), the known ones first."""
        found = [words]
        for length in range(1, min(self.longest, words.shape[1])):
            keys = self.key(found[-1][:, :-1].astype(np.int64), words[:, length:])
            at = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
            found.append(np.where(self.keys[at] == keys, self.numbers[at], 0))
        grams = np.concatenate(found, 1)
        order = np.argsort(grams == 0, axis=1, kind="stable")
        most = max(1, int((grams > 0).sum(1).max(initial=1)))
        return np.take_along_axis(grams, order[:, :most], 1)


class Bags:
    """Texts as the numbers of their words; n-grams are looked up batch by batch, so a corpus takes 4 bytes a word."""

    def __init__(self, words: TokenArrays, ngrams: Ngrams) -> None:
        self.words, self.ngrams, self.lengths = words, ngrams, words.lengths  # in words, one at least
        self.axes: dict[str, np.ndarray] = {}  # no signal has an axis of n-grams

    def __len__(self) -> int:
        return len(self.lengths)

    def batch(self, rows: np.ndarray) -> dict[str, Tensor]:
        """`input_ids` and `attention_mask` (B, G) int64: n-grams, 0 where there are no more."""
        grams = torch.from_numpy(self.ngrams.of(self.words.batch(flat(rows))["input_ids"].numpy()).astype(np.int64))
        return {"input_ids": grams, "attention_mask": (grams > 0).long()}
