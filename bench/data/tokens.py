"""Texts as a tokenizer reads them, once: flat arrays in the store, which all runs share and map into memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from bench.inputs import TokenArrays, digest_inputs, flattened
from bench.store import folders

CHUNK = 10_000  # texts read at a time: a tokenizer's own objects take a hundred times the room of the numbers
STORED = 2_000  # texts; fewer are read again sooner than found

Lists = Sequence[Sequence[int]]
Read = Callable[[Sequence[Any]], tuple[Lists, Lists | None]]  # inputs -> (token ids, segments of pairs)


def tokens(read: Read, inputs: Sequence[Any], pad: int, rules: Callable[[], str], limit: int) -> TokenArrays:
    """What `read` makes of the inputs. `rules`: all of the tokenizer, as text; "" is one that cannot be written down,
    and what it reads is not kept."""
    if len(inputs) < STORED or not (known := rules()):
        return TokenArrays.of(gathered(read, inputs), pad)
    known = hashlib.sha256(known.encode()).hexdigest()
    key = folders.content_key(tokenizer=known, inputs=digest_inputs(inputs), limit=limit)
    arrays, _ = folders.arrays("tokens", key, {"limit": limit}, lambda: gathered(read, inputs))
    return TokenArrays.of(arrays, pad)


def gathered(read: Read, inputs: Sequence[Any]) -> dict[str, np.ndarray]:
    """The flat arrays of all inputs, read in chunks."""
    starts = range(0, max(1, len(inputs)), CHUNK)
    parts = [flattened(*read(inputs[start : start + CHUNK])) for start in starts]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
