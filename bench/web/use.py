"""From a row to a model: which of its runs `bench export` writes, and with which lines it is loaded."""

from __future__ import annotations

from collections.abc import Mapping

from bench.board.leaderboard import Row
from bench.records.exportable import formats, unfit
from bench.records.schemas import Record
from bench.records.specs import checked_spec

LOADING = {
    "hf": """from sentence_transformers import SentenceTransformer

model = SentenceTransformer("student")
vectors = model.encode(["two sentences", "to compare"])""",
}


def ways(record: Record) -> tuple[str, ...]:
    """Formats in which `bench export` writes a run's student, the plainest first; none: it writes none."""
    spec = checked_spec(record)
    return () if unfit(spec) else formats(spec)


def exported(row: Row, records: Mapping[str, Record]) -> str:
    """The run of a row that was best on dev, where seeds are chosen; empty where nothing can be exported."""
    able = [run for run in row.runs if ways(records[run[1]])]
    return max(able, key=lambda run: (records[run[1]].metrics.dev, -run[0]))[1] if able else ""
