"""What a grid can know before it trains: whether each cell's student and method can be built at all.

A setting may be right by itself and wrong beside others: teacher layers that a narrower student cannot copy, more
layers matched than there are. Networks are built with their first weights, and no teacher is taught for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from bench.errors import BenchError
from bench.runs.grid import Cell, resolve_cells
from bench.runs.protocol import build, untaught
from bench.runs.spec import Spec
from bench.runs.sweep import is_finished


def planned(cells: Sequence[Cell], results: Path) -> tuple[list[Spec], set[str]]:
    """The runs of all cells, each once, and the ids of those that have a record. RequestError: one cannot be run."""
    found = resolve_cells(cells)
    specs = list({spec.run_id: spec for own in found.values() for spec in own}.values())
    done = {spec.run_id for spec in specs if is_finished(spec, results)}
    if len(cells) > 1:
        check({name: [s for s in own if s.run_id not in done] for name, own in found.items()})
    return specs, done


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
