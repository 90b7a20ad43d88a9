"""Rows that begin with a run of another task: which one, what it was expected to help, and what it helped."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from typing import Any

from bench.base.groups import grouped
from bench.board.verdicts import Verdicts
from bench.plugins import registry
from bench.records.schemas import Record
from bench.records.specs import CheckedSpec, checked_spec


def transferred(verdicts: Verdicts, place: int, records: Mapping[str, Record]) -> dict[str, Any]:
    """`source`: the task that a row's runs begin with, empty where with none; `gain`: its difference to the row of the
    method that all of them begin with, of the same student and settings; `expected`: {what its runs noted: mean}."""
    row = verdicts.board.rows[place]
    transfers = begins(row.method)
    if not transfers:
        return {"source": "", "gain": None, "expected": {}}
    own = [records[run_id] for _, run_id in row.runs]
    spec = checked_spec(own[0])
    zero = next((at for at in range(len(verdicts.board.rows)) if alike(verdicts, at, transfers, spec, records)), None)
    gain = None if zero is None else verdicts.difference(place, zero)
    notes = grouped(((name, value) for record in own for name, value in record.notes.items()), lambda note: note[0])
    return {
        "source": str(spec.settings.get("method", {}).get("source", "")),
        "gain": gain and {key: value for key, value in gain.items() if key != "row"},
        "expected": {name: statistics.fmean(value for _, value in found) for name, found in notes.items()},
    }


def begins(method: str) -> str:
    """The method that this one's runs begin with; empty: it transfers nothing, or is not installed."""
    plugin = registry.found("method").get(method)
    return str(plugin.declares.get("transfers", "")) if plugin else ""


def alike(verdicts: Verdicts, at: int, method: str, spec: CheckedSpec, records: Mapping[str, Record]) -> bool:
    """Whether a row is of this method, with the student, the teacher and the settings of both that the spec has."""
    row = verdicts.board.rows[at]
    if row.method != method:
        return False
    other = checked_spec(records[row.runs[0][1]])
    same = all(other.settings.get(part) == spec.settings.get(part) for part in ("track", "student"))
    return same and (other.student, other.teacher) == (spec.student, spec.teacher)
