"""From a row to a model: which of its runs `bench export` writes, and with which lines it is loaded."""

from __future__ import annotations

from collections.abc import Mapping

from bench.board.leaderboard import Row
from bench.plugins import registry
from bench.plugins.catalogue import describe_task
from bench.records.schemas import Record

LOADING = """from sentence_transformers import SentenceTransformer

model = SentenceTransformer("student")
vectors = model.encode(["two sentences", "to compare"])"""


def exportable(task: str) -> bool:
    """Whether `bench export` writes the students of a task: those whose answer is a vector (bench/export/export.py)."""
    plugin = registry.found("task").get(task.partition("/")[0])
    kind = registry.found("kind").get(str(describe_task(plugin, task)["kind"])) if plugin else None
    return kind is not None and kind.declares.get("output") == "embedding"


def exported(row: Row, task: str, records: Mapping[str, Record]) -> str:
    """The run of a row that was best on dev, where seeds are chosen; empty where nothing can be exported."""
    if not row.method or not exportable(task):
        return ""
    return max(row.runs, key=lambda run: (records[run[1]].metrics.dev, -run[0]))[1]
