"""Where a record says something else than its files give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

CLOSE = 1e-8  # relative and absolute; recomputed numbers differ by rounding alone


def mismatches(said: Any, again: Any, where: str = "") -> Iterator[str]:
    """`path: says a, computed b` for each number that is not the same; intervals may differ by 2% of their width."""
    if isinstance(again, Mapping):
        if not isinstance(said, Mapping) or set(said) != set(again):
            yield f"{where or 'keys'}: other keys than computed"
            return
        width = abs(again["ci95"][1] - again["ci95"][0]) if "ci95" in again else 0.0
        for key, value in again.items():
            room = 0.02 * width if key == "ci95" else 0.0
            yield from _mismatch(said[key], value, f"{where}.{key}".lstrip("."), room)
    else:
        yield from _mismatch(said, again, where, 0.0)


def _mismatch(said: Any, again: Any, where: str, room: float) -> Iterator[str]:
    if isinstance(again, Mapping):
        yield from mismatches(said, again, where)
    elif isinstance(again, (tuple, list)):
        for one, two in zip(said, again, strict=True):
            yield from _mismatch(one, two, where, room)
    elif isinstance(again, float) and isinstance(said, (int, float)):
        if not abs(said - again) <= room + CLOSE * max(1.0, abs(again)):
            yield f"{where}: the record says {said:.6g}, its files give {again:.6g}"
    elif said != again:
        yield f"{where}: the record says {said!r}, its files give {again!r}"
