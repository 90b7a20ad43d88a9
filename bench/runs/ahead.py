"""What a grid can know before it trains: whether each cell's student and method can be built at all.

A setting may be right by itself and wrong beside others: teacher layers that a narrower student cannot copy, more
layers matched than there are. Networks are built with their first weights, and no teacher is taught for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache

from bench.errors import BenchError
from bench.runs.protocol import build, untaught
from bench.runs.spec import Spec


def check(cells: Mapping[str, Iterable[Spec]]) -> None:
    """BenchError: the first cell, by name, whose student or method cannot be built, and why. A seed stands for all;
    runs that want others to come first are left to the protocol, as these would have to be carried out."""
    seen = set[str]()
    teachers = cache(untaught)
    for name, specs in cells.items():
        for spec in specs:
            if (key := of_any_seed(spec)) not in seen and not spec.wanted:
                seen.add(key)
                try:
                    build(spec, teachers(spec.task, spec.place))
                except BenchError as error:
                    raise type(error)(f"{name or spec.label}: {error}") from None


def of_any_seed(spec: Spec) -> str:
    return json.dumps({key: value for key, value in spec.values.items() if key != "seed"}, sort_keys=True)
