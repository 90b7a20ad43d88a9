"""What papers report of their own systems: data beside the baselines, never ranked among measured rows.

`baselines/reported/<method>.csv`, one number a line. A blank is unknown, and stays blank; `known` says how a number is
known, and a system's paper may not be the source of its row.
"""

from __future__ import annotations

import csv

from pydantic import BaseModel, ConfigDict, FiniteFloat, ValidationError

from bench.errors import BenchError, unknown
from bench.plugins import registry


class Reported(BaseModel):
    """One published number, in the units of its source."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    system: str
    teacher: str
    student: str
    dataset: str  # of a task here, `family/dataset`
    metric: str
    value: FiniteFloat
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
                found.append(Reported.model_validate(row))
            except ValidationError as error:
                first = error.errors()[0]
                raise BenchError(f"{path}, line {number}: {first['loc'][0]}: {first['msg']}") from None
    return found
