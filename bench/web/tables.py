"""Tables for download: CSV, JSON and Parquet of the same rows, those of a board or of all boards."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.board.leaderboard import ALWAYS
from bench.web.formats import rounded

Row = Mapping[str, Any]
KINDS = ("csv", "json", "parquet")
NESTED = ("timings", "runs", "against", "name", "marks", "datasets", "behind", "gain", "expected", "trained")
FORMULAS = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would carry out
COUNTS = frozenset({
    "seed", "seeds", "batch_size", "threads", "parameters", "parameters_low", "active", "active_low", "disk_bytes",
    "disk_bytes_low", "memory_bytes", "rank_low", "rank_high", "sessions", "inputs", "network",
})  # fmt: skip
TRUTHS = frozenset({"provisional", "best", "best_or_tied", "noisy", "not_learned", "kept_start", "older"})
TEXTS = frozenset({
    "board", "key", "task", "track", "metric", "dataset", "method", "family", "student", "teacher", "reference",
    "settings", "interval", "device", "scope", "run_id", "run_ids", "commit", "command", "finished", "data_identity",
    "licence", "tuned", "record", "lr", "by_dataset", "export", "marks", "source", "gain_evidence", "expected",
    "system", "split", "aggregation", "of_seeds", "known",
    *(f"{method}_{key}" for method in ALWAYS for key in ("evidence", "family")),
})  # fmt: skip


def files(name: str, rows: Sequence[Row]) -> dict[str, bytes]:
    """The same table in all formats, by the names of its files."""
    lines = [json.dumps(row).encode() for row in rows]
    return {
        f"{name}.csv": to_csv(rows), f"{name}.json": b"[\n" + b",\n".join(lines) + b"\n]\n",
        f"{name}.parquet": to_parquet(lines, rows[0]),
    }  # fmt: skip


def of_boards(boards: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of boards, each once for every hardware that it was timed on."""
    rows = (_plain(row) | timing for board in boards for row in board["rows"] for timing in timings(row, board))
    return [fitting(row) for row in rows]


def timings(row: Row, board: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    """Those of a row; of a reference, which is not timed, one without values."""
    names = (key for other in board["rows"] for timing in other["timings"] for key in timing)
    return row["timings"] or [dict.fromkeys(names)]


def _plain(row: Row) -> dict[str, Any]:
    """What a row says whatever it was timed on."""
    plain = {key: value for key, value in row.items() if key not in NESTED}
    for method in ALWAYS:
        found = row["against"].get(method) or {}
        for key in ("value", "low", "high", "p_value", "p_holm", "family", "evidence"):
            plain[f"{method}_{'difference' if key == 'value' else key}"] = found.get(key)
    gain = row["gain"] or {}
    plain |= {
        "gain" if key == "value" else f"gain_{key}": gain.get(key) for key in ("value", "low", "high", "evidence")
    }
    plain["expected"] = json.dumps(rounded(row["expected"]))
    plain |= {"marks": "; ".join(row["marks"]), "by_dataset": json.dumps(rounded(row["datasets"]))}
    return plain | {"run_ids": " ".join(run["run_id"] for run in row["runs"])}


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


def to_parquet(lines: Sequence[bytes], names: Iterable[str]) -> bytes:
    """Of rows as JSON, with one schema whatever they hold. (Arrays made of Python's lists would import pandas.)"""
    import pyarrow as pa
    import pyarrow.json as reader
    import pyarrow.parquet as pq

    kinds = {
        **dict.fromkeys(TEXTS, pa.string()), **dict.fromkeys(TRUTHS, pa.bool_()), **dict.fromkeys(COUNTS, pa.int64()),
    }  # fmt: skip
    schema, data = pa.schema([(name, kinds.get(name, pa.float64())) for name in names]), b"\n".join(lines)
    whole = reader.ReadOptions(block_size=len(data) + 1)  # a line must fit into a block
    table = reader.read_json(pa.BufferReader(data), whole, reader.ParseOptions(explicit_schema=schema))
    sink = pa.BufferOutputStream()
    pq.write_table(table.select(schema.names), sink, compression="zstd")
    return bytes(sink.getvalue())


def fitting(row: Row) -> dict[str, Any]:
    """A row as files hold it: floats at six significant figures; counts that no file could hold are no counts."""
    return {n: None if n in COUNTS and isinstance(v, int) and abs(v) >= 2**63 else rounded(v) for n, v in row.items()}
