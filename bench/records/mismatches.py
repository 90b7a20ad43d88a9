"""Where a record says something else than follows from it and its files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

CLOSE = 1e-8  # relative and absolute; recomputed numbers differ by rounding alone


def mismatches(said: Any, again: Any, where: str = "", room: float = 0.0) -> Iterator[str]:
    """`path: the record says a, computed b` for each difference; intervals may differ by 2% of their width."""
    if isinstance(again, Mapping):
        if not isinstance(said, Mapping) or set(said) != set(again):
            yield f"{where or 'keys'}: other keys than computed"
            return
        width = abs(again["ci95"][1] - again["ci95"][0]) if "ci95" in again else 0.0
        for key, value in again.items():
            yield from mismatches(said[key], value, f"{where}.{key}".lstrip("."), 0.02 * width * (key == "ci95"))
    elif isinstance(again, (tuple, list)) and isinstance(said, (tuple, list)) and len(said) == len(again):
        for number, (one, two) in enumerate(zip(said, again, strict=True)):
            yield from mismatches(one, two, f"{where}.{number}", room)
    elif isinstance(again, float) and isinstance(said, (int, float)):
        if not abs(said - again) <= room + CLOSE * max(1.0, abs(again)):
            yield f"{where}: the record says {said:.6g}, computed {again:.6g}"
    elif said != again:
        yield f"{where}: the record says {said!r:.100}, computed {again!r:.100}"
