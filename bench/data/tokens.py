"""Texts as a tokenizer reads them, once: flat arrays in the store, which all runs share and map into memory."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.inputs import Texts, flat, padded
from bench.scoring.scores import Ragged
from bench.store import folders

CHUNK = 10_000  # texts read at a time: a tokenizer's own objects take a hundred times the room of the numbers
STORED = 2_000  # texts; fewer are read again sooner than found

Lists = Sequence[Sequence[int]]
# inputs, cut to so many tokens -> token ids; perhaps `segments` of pairs, and `starts`: where each word's first piece
# stands
Read = Callable[[Texts, int], dict[str, Lists]]
OF = {"flat": "lengths", "segments": "lengths", "starts": "words"}  # of flat arrays: how long each row is


def tokens(read: Read, inputs: Texts, pad: int, rules: Callable[[], str], limit: int) -> TokenArrays:
    """What `read` makes of the inputs, each cut to this limit and to its own. `rules`: all of the tokenizer, as text;
    "" is one that cannot be written down, and what it reads is not kept."""
    alike = inputs.within(limit)
    parts = [stored(read, texts, rules, each) for each, _, texts in alike]
    return TokenArrays(parts[0] if len(parts) == 1 else in_order(parts, [rows for _, rows, _ in alike]), pad)


def stored(read: Read, inputs: Texts, rules: Callable[[], str], limit: int) -> Mapping[str, np.ndarray]:
    """The flat arrays of inputs that are cut alike; from the store where there are many."""
    if len(inputs) < STORED or not (known := rules()):
        return gathered(read, inputs, limit)
    known = hashlib.sha256(known.encode()).hexdigest()
    words = {"words": "spaced"} if inputs.split else {}
    key = folders.content_key(tokenizer=known, inputs=inputs.digest, limit=limit, **words)
    return folders.arrays("tokens", key, {"limit": limit}, lambda: gathered(read, inputs, limit))[0]


def in_order(parts: Sequence[Mapping[str, np.ndarray]], rows: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """Parts of a pool, and which rows they are -> all rows in the pool's order."""
    back = np.argsort(np.concatenate(rows))
    found: dict[str, np.ndarray] = {}
    for name in parts[0].keys() & OF.keys():
        flat, lengths = (np.concatenate([part[n] for part in parts]) for n in (name, OF[name]))
        ordered = Ragged(flat, lengths)[back]
        found |= {name: ordered.flat, OF[name]: ordered.lengths}
    return found


def gathered(read: Read, inputs: Texts, limit: int) -> dict[str, np.ndarray]:
    """The flat arrays of all inputs, read in chunks."""
    starts = range(0, max(1, len(inputs)), CHUNK)
    parts = [flattened(**read(inputs[start : start + CHUNK], limit)) for start in starts]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def flattened(ids: Lists, segments: Lists | None = None, starts: Lists | None = None) -> dict[str, np.ndarray]:
    """`flat` int32 and `lengths` int64 (N,); `segments` int8, and `starts` int32 with `words` (N,), where given."""
    found = {"flat": joined(ids, np.int32), "lengths": counted(ids)}
    if segments is not None:
        found["segments"] = joined(segments, np.int8)
    if starts is not None:
        found |= {"starts": joined(starts, np.int32), "words": counted(starts)}
    return found


def counted(lists: Lists) -> np.ndarray:
    return np.fromiter(map(len, lists), np.int64, len(lists))


def joined(lists: Lists, dtype: Any) -> np.ndarray:
    return np.fromiter(itertools.chain.from_iterable(lists), dtype, sum(map(len, lists)))


def spaced(sentences: Iterable[Sequence[str]]) -> list[list[str]]:
    """Words as they stand in a text, each but the first behind a space. To a reader of bytes a word without one goes on
    with the word before; other readers do not see it."""
    return [[*words[:1], *(f" {word}" for word in words[1:])] for words in sentences]


def first_pieces(word_ids: Sequence[int | None], words: int) -> list[int]:
    """Where each word's first piece stands among pieces that name their word (None: a special one).

    A word without any piece stands where the next one does; words behind the last piece were cut off.
    """
    places = [at for at, word in enumerate(word_ids) if word is not None]
    found = np.searchsorted([n for n in word_ids if n is not None], np.arange(words))
    return [places[n] for n in found if n < len(places)]


class TokenArrays:
    """Tokenised text in one flat array with offsets: no Python objects per sentence, no tokenizer in the loop.

    From the arrays of `flattened`, which may be memory-mapped.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], pad: int) -> None:
        self.pad, self.lengths = pad, np.asarray(arrays["lengths"], np.int64)
        self.ids = Ragged(arrays["flat"], self.lengths)
        self.segments = Ragged(arrays["segments"], self.lengths) if "segments" in arrays else None
        self.starts = Ragged(arrays["starts"], np.asarray(arrays["words"])) if "starts" in arrays else None

    @classmethod
    def of(cls, ids: Lists, pad: int = 0) -> TokenArrays:
        """From lists of token ids."""
        return cls(flattened(ids), pad)

    @property
    def axes(self) -> dict[str, np.ndarray]:
        """How long each input's own axes are."""
        return {"L": self.lengths} | ({"W": self.starts.lengths} if self.starts is not None else {})

    def __len__(self) -> int:
        return len(self.lengths)

    def batch(self, rows: np.ndarray) -> dict[str, Tensor]:
        """`input_ids`, `attention_mask`, of pairs `token_type_ids`: (B, L) int64, L the longest of these rows; of words
        `words` (B, W): where their first pieces stand, -1 behind the last."""
        rows = flat(rows)
        mask = np.arange(self.lengths[rows].max(initial=1)) < self.lengths[rows][:, None]
        found = {"input_ids": padded(self.ids[rows], self.pad), "attention_mask": mask}
        if self.segments is not None:
            found["token_type_ids"] = padded(self.segments[rows], 0)
        if self.starts is not None:
            found["words"] = padded(self.starts[rows], -1)
        return {name: torch.from_numpy(array.astype(np.int64)) for name, array in found.items()}
