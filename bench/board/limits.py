"""A practitioner's limits on a student, as typed on a command line."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from bench.errors import RequestError

NUMBER = re.compile(r"([0-9_]*\.?[0-9]+(?:e[0-9]{1,2})?)([kmb%]?)", re.IGNORECASE | re.ASCII)
COUNTS = {"": Decimal(1), "k": Decimal(10**3), "m": Decimal(10**6), "b": Decimal(10**9)}
SHARES = {"": Decimal(1), "%": Decimal("0.01")}
MOST_RETENTION = 2  # beyond it a percentage was meant, and the sign was forgotten


@dataclass(frozen=True)
class Limits:
    """None: no limit."""

    max_latency_ms: float | None = None
    max_params: int | None = None
    min_retention: float | None = None

    def __post_init__(self) -> None:
        latency = self.max_latency_ms
        if latency is not None and not 0 < latency < math.inf:
            raise RequestError(f"--max-latency-ms {latency}: give milliseconds above 0, as in 5 or 0.8")


def number(text: str, units: Mapping[str, Decimal]) -> Decimal:
    """A number with one of the units behind it; 0 where it is none."""
    found = NUMBER.fullmatch(text.strip())
    return Decimal(found[1]) * units.get(found[2].lower(), 0) if found else Decimal(0)


def parse_count(text: str) -> int:
    """`20M`, `1.5b`, `2e7` or `20_000_000` -> a whole number. RequestError: something else, or nothing at all."""
    if (count := int(number(text, COUNTS))) < 1:
        raise RequestError(f"--max-params {text}: give a number of parameters above 0, as in 20M or 20_000_000")
    return count


def parse_share(text: str) -> float:
    """`0.97` or `97%` -> 0.97. RequestError: something else, or a percentage without its sign."""
    if not 0 < (share := number(text, SHARES)) <= MOST_RETENTION:
        raise RequestError(f"--min-retention {text}: give a share of the teacher's score, as in 0.97 or 97%")
    return float(share)
