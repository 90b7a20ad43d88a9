"""Tables for download: CSV, JSON and Parquet of the same rows. Those of many boards are those of each, joined."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from bench.board.leaderboard import ALWAYS

Row = Mapping[str, Any]
Pieces = Iterator[bytes | memoryview]
KINDS = ("csv", "json", "parquet")
NESTED = ("timings", "runs", "against", "name")
FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would carry out
COUNTS = frozenset({
    "row", "seed", "seeds", "threads", "parameters", "parameters_low", "active", "active_low", "disk_bytes",
    "disk_bytes_low", "memory_bytes", "rank_low", "rank_high",
})  # fmt: skip
TRUTHS = frozenset({"provisional", "best_or_tied", "noisy"})
TEXTS = frozenset({
    "board", "task", "track", "metric", "dataset", "method", "family", "student", "teacher", "settings", "interval",
    "device", "scope", "run_id", "run_ids", "commit", "command", "finished", "data_identity", "licence", "record",
    *(f"{method}_verdict" for method in ALWAYS),
})  # fmt: skip


def flat(row: Row) -> list[dict[str, Any]]:
    """A row of a board, once for each hardware that it was timed on."""
    plain = {key: value for key, value in row.items() if key not in NESTED}
    for method in ALWAYS:
        found = row["against"].get(method) or {}
        for key in ("value", "low", "high", "p_value", "p_holm", "verdict"):
            plain[f"{method}_{'difference' if key == 'value' else key}"] = found.get(key)
    plain["run_ids"] = " ".join(run["run_id"] for run in row["runs"])
    return [plain | timing for timing in row["timings"]]


def to_csv(rows: Sequence[Row]) -> bytes:
    """With a header line; a text that a spreadsheet would carry out as a formula gets an apostrophe in front."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(rows[0].keys())
    writer.writerows([_cell(value) for value in row.values()] for row in rows)
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULAS) else value
    return str(value).lower() if isinstance(value, bool) else value


def to_json(rows: Sequence[Row]) -> bytes:
    """A list with one row a line."""
    return b"[\n" + b",\n".join(json.dumps(row, ensure_ascii=True).encode() for row in rows) + b"\n]\n"


def to_arrow(rows: Sequence[Row]) -> bytes:
    """As an Arrow stream, with one schema whatever the rows hold: what joined Parquet is made of.

    From JSON lines: building arrays from Python's lists imports pandas, which takes half a second.
    """
    import pyarrow as pa
    from pyarrow import json as reader

    lines = "\n".join(map(json.dumps, rows)).encode()
    schema = pa.schema([(name, _kind(pa, name)) for name in rows[0]])
    whole = reader.ReadOptions(block_size=len(lines) + 1)
    table = reader.read_json(pa.BufferReader(lines), whole, reader.ParseOptions(schema)).select(schema.names)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())


def join_parquet(streams: Iterable[bytes]) -> bytes:
    """Of Arrow streams, which are read twenty times as fast as many small Parquet files."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.concat_tables([pa.ipc.open_stream(stream).read_all() for stream in streams])
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return bytes(sink.getvalue())


def _kind(pa: Any, name: str) -> Any:
    if name in TEXTS:
        return pa.string()
    return pa.bool_() if name in TRUTHS else pa.int64() if name in COUNTS else pa.float64()


def fitting(row: Row) -> dict[str, Any]:
    """A row without counts that no file could hold: they are no counts."""
    return {n: None if n in COUNTS and isinstance(v, int) and abs(v) >= 2**63 else v for n, v in row.items()}


def join_csv(parts: Iterable[bytes]) -> Pieces:
    """The header of the first, and all that follows a header."""
    for number, part in enumerate(parts):
        yield memoryview(part)[part.index(b"\n") + 1 if number else 0 :]


def join_json(parts: Iterable[bytes]) -> Pieces:
    for number, part in enumerate(parts):
        yield b",\n" if number else b"[\n"
        yield memoryview(part)[2:-3]
    yield b"\n]\n"


# In pieces: the table of a large site is never held as a whole.
JOIN: dict[str, Callable[[Iterable[bytes]], Pieces]] = {"csv": join_csv, "json": join_json}
