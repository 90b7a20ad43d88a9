"""Questions beside windows of a long text: tokens, and where in the text each of them stands."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.data.tokens import CHUNK, STORED, counted, joined
from bench.errors import RequestError
from bench.inputs import Texts, flat, padded
from bench.scoring.scores import Ragged
from bench.store import folders

TOKENS, SHARED, QUESTION = 384, 128, 64  # of a window, of two neighbours, of the question: usual for SQuAD
LEAST = 16  # tokens of a window: question, special tokens, and more of the text than two neighbours share
OUTSIDE = -1  # of a token that is not the text's


class Windows:
    """N pairs of a question and a text as M windows, M >= N; a window has [CLS], the question, and a part of the text.

    `batch` gives all windows of the chosen pairs, and of which of them each is.
    """

    def __init__(self, arrays: dict[str, np.ndarray], pad: int) -> None:
        lengths = arrays["lengths"]
        self.counts, self.pad, self.axes = arrays["counts"], pad, dict[str, np.ndarray]()
        self.columns = {name: Ragged(arrays[name], lengths) for name in ("flat", "segments", "starts", "ends")}
        self.first = np.cumsum(self.counts) - self.counts
        self.lengths = np.add.reduceat(lengths, self.first) if len(self.counts) else lengths

    def __len__(self) -> int:
        return len(self.counts)

    def batch(self, rows: np.ndarray) -> dict[str, Tensor]:
        """`input_ids`, `attention_mask`, `token_type_ids`, `starts` and `ends` (M, L): characters of the text that a
        token stands for, OUTSIDE where it is none of its; `owner` (M,): the row of the batch."""
        rows = flat(rows)
        owner = np.repeat(np.arange(len(rows)), self.counts[rows])
        place = np.concatenate([np.arange(n) for n in self.counts[rows]]) if len(rows) else owner
        chosen = self.first[rows][owner] + place
        lengths = self.columns["flat"].lengths[chosen]
        found = {
            "input_ids": padded(self.columns["flat"][chosen], self.pad),
            "attention_mask": np.arange(lengths.max(initial=1)) < lengths[:, None],
            "token_type_ids": padded(self.columns["segments"][chosen], 0),
            "starts": padded(self.columns["starts"][chosen], OUTSIDE),
            "ends": padded(self.columns["ends"][chosen], OUTSIDE),
            "owner": owner,
        }
        return {name: torch.from_numpy(array.astype(np.int64)) for name, array in found.items()}


def windows(tokenizer: Any, rules: Callable[[], str], inputs: Texts, limit: int) -> Windows:
    """Pairs of a question and a text, cut into windows of TOKENS or fewer; kept in the store where they are many.

    RequestError: these inputs are no pairs, the tokenizer cannot tell where tokens stand, or the limit leaves no room.
    """
    if len(inputs.columns) != 2 or inputs.split:
        raise RequestError("answers are looked for in pairs of a question and a text, and these inputs are none")
    if not getattr(tokenizer, "is_fast", False):
        raise RequestError("this model's tokenizer cannot tell where in a text its tokens stand")
    if limit < LEAST:
        raise RequestError(f"answers are looked for in windows of {LEAST} tokens or more, and the limit is {limit}")
    size, pad = min(limit, TOKENS), tokenizer.pad_token_id or 0
    if len(inputs) < STORED or not (known := rules()):
        return Windows(gathered(tokenizer, inputs, size), pad)
    known = hashlib.sha256(known.encode()).hexdigest()
    key = folders.content_key(tokenizer=known, inputs=inputs.digest, limit=size, windows=[SHARED, QUESTION])
    return Windows(folders.arrays("tokens", key, {"limit": size}, lambda: gathered(tokenizer, inputs, size))[0], pad)


def gathered(tokenizer: Any, inputs: Texts, size: int) -> dict[str, np.ndarray]:
    parts = [read(tokenizer, inputs[at : at + CHUNK], size) for at in range(0, max(1, len(inputs)), CHUNK)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def read(tokenizer: Any, inputs: Any, size: int) -> dict[str, np.ndarray]:
    """The flat arrays of a chunk. The text alone is cut; of a long question the first QUESTION tokens are read."""
    third = size // 3  # of a network with a small limit
    questions, texts = (list(column) for column in inputs.columns)
    found = tokenizer(
        cut(tokenizer, questions, min(QUESTION, third)), texts, truncation="only_second", max_length=size,
        padding=False, stride=min(SHARED, third), return_overflowing_tokens=True, return_offsets_mapping=True,
    )  # fmt: skip
    ids = found["input_ids"]
    offsets = [list(of_text(found, n)) for n in range(len(ids))]
    segments = found.get("token_type_ids") or [[0] * len(row) for row in ids]
    return {
        "flat": joined(ids, np.int32), "lengths": counted(ids), "segments": joined(segments, np.int8),
        "starts": joined([[a for a, _ in row] for row in offsets], np.int32),
        "ends": joined([[b for _, b in row] for row in offsets], np.int32),
        "counts": np.bincount(found["overflow_to_sample_mapping"], minlength=len(texts)),
    }  # fmt: skip


def of_text(found: Any, window: int) -> Iterator[tuple[int, int]]:
    """Where each token of a window stands in the text."""
    for side, place in zip(found.sequence_ids(window), found["offset_mapping"][window], strict=True):
        yield place if side == 1 else (OUTSIDE, OUTSIDE)


def cut(tokenizer: Any, questions: Sequence[str], most: int) -> list[str]:
    """The questions up to so many tokens."""
    found = tokenizer(
        questions, add_special_tokens=False, truncation=True, max_length=most, return_offsets_mapping=True
    )
    ends = [places[-1][1] if places else 0 for places in found["offset_mapping"]]
    return [question[:end] for question, end in zip(questions, ends, strict=True)]
