"""From a row to a model: which of its runs `bench export` writes, and with which lines it is loaded."""

from __future__ import annotations

from collections.abc import Mapping

from bench.board.leaderboard import Row
from bench.plugins import registry
from bench.records.exportable import formats, headed, kind_of, unfit
from bench.records.schemas import Record
from bench.records.specs import checked_spec

ENCODER = """from sentence_transformers import SentenceTransformer

model = SentenceTransformer("student")
vectors = model.encode(["two sentences", "to compare"])"""
HEADED = """from transformers import {auto}, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("student")
model = {auto}.from_pretrained("student").eval()
outputs = model(**tokenizer("a text", return_tensors="pt"))"""


def ways(record: Record) -> tuple[str, ...]:
    """Formats in which `bench export` writes a run's student, the plainest first; none: it writes none."""
    spec = checked_spec(record)
    return () if unfit(spec) else formats(spec)


def loading(record: Record) -> str:
    """Lines of Python that load what `bench export` writes in its plainest format; empty: a library's page tells."""
    if ways(record)[:1] != ("hf",):
        return ""
    kind = kind_of(checked_spec(record))
    auto = str(registry.found("kind")[kind].declares.get("auto", ""))
    return HEADED.format(auto=auto) if auto and headed(kind) else "" if headed(kind) else ENCODER


def exported(row: Row, records: Mapping[str, Record]) -> str:
    """The run of a row that was best on dev, where seeds are chosen; empty where nothing can be exported."""
    able = [run for run in row.runs if ways(records[run[1]])]
    return max(able, key=lambda run: (records[run[1]].metrics.dev, -run[0]))[1] if able else ""
