"""What papers report of their own systems: data beside the baselines, never ranked among measured rows.

`baselines/reported/<method>.csv`, one number a line. A blank is unknown, and stays blank; `known` says how a number is
known, and a system's paper may not be the source of its row.
"""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass

from bench.errors import BenchError, unknown
from bench.plugins import registry


@dataclass(frozen=True)
class Reported:
    """One published number, in the units of its source."""

    system: str
    teacher: str
    student: str
    dataset: str  # of a task here, `family/dataset`
    metric: str
    value: float
    split: str
    aggregation: str
    seeds: str
    source: str
    known: str


def rows(method: str) -> list[Reported]:
    """The rows of a method; none where no file lies beside it. BenchError: a broken file, with the line."""
    if method not in registry.found("method"):
        raise unknown("method", method, registry.found("method"))
    path = registry.room("method") / "reported" / f"{method}.csv"
    if not path.is_file():
        return []
    found = []
    with path.open(encoding="utf-8", newline="") as handle:
        for number, row in enumerate(csv.DictReader(handle), 2):
            try:
                value = float(row.pop("value"))
                found.append(Reported(value=value, **row))
            except (KeyError, TypeError, ValueError) as error:
                raise BenchError(f"{path}, line {number}: {error}") from None
            if not math.isfinite(value):
                raise BenchError(f"{path}, line {number}: {value} is no number that a paper reports")
    return found
