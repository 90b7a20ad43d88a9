"""Values that JSON holds and no run writes: what reads them would fail far away, and say nothing of where."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

LONGEST = 20_000  # characters of a text in a record
LARGEST = 1e100  # squares and products of such numbers are still finite
# Bytes without which there is no odd number; what is in a hash follows a letter or a quote.
RARE = re.compile(rb"[\s:,\[-](?:\d{19}|[\d.]+[eE]\+?\d{3}|NaN|Infinity)")


def leaves(tree: Any, where: str = "") -> Iterator[tuple[str, Any]]:
    """(path, value) of every key and value below."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield f"a key of {where or 'the record'}", key
            yield from leaves(value, f"{where}.{key}".lstrip("."))
    elif isinstance(tree, list):
        for number, value in enumerate(tree):
            yield from leaves(value, f"{where}.{number}")
    else:
        yield where, tree


def odd(value: Any) -> str:
    """Why no record that bench wrote holds this value; empty: it may."""
    if isinstance(value, str):
        if len(value) > LONGEST:
            return f"a text of {len(value)} characters"
        hidden = {unicodedata.category(c) for c in value if c not in "\n\t"} & {"Cc", "Cf", "Cs", "Co"}
        return "control or invisible characters" if hidden else ""
    if isinstance(value, int) and abs(value) >= 2**63:
        return "a number that does not fit into 64 bits"
    if isinstance(value, float) and not math.isfinite(value):
        return "not a finite number"
    return "a number that nothing measures" if isinstance(value, float) and abs(value) > LARGEST else ""


def odd_number(data: bytes) -> str:
    """Where valid JSON holds a number that no run writes, and why; empty: nowhere. Quick where there is none."""
    if not RARE.search(data):
        return ""
    found = ((where, odd(v)) for where, v in leaves(json.loads(data)) if not isinstance(v, str))
    return next((f"{where}: {why}" for where, why in found if why), "")
