"""Downloads: the same rows in three formats, whatever the records hold."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.base import files
from bench.base.archive import pack
from bench.board.runs import run_row
from bench.records import disk
from bench.web import facts, tables
from bench.web.build import build
from tests.factories.records import make
from tests.web.site import save, scored


def as_parquet(data: bytes) -> list[dict]:
    return pq.ParquetFile(pa.BufferReader(data)).read().to_pylist()


def test_the_three_formats_hold_the_same(tmp_path: Path) -> None:
    for seed in range(2):
        scored(tmp_path / "results", "kd", seed, 0.5)
        scored(tmp_path / "results", "finetune", seed, 0.9, track="lite")
    build(tmp_path / "results", tmp_path / "out")
    for name in ("rows", "runs"):
        read = {kind: (tmp_path / f"out/api/{name}.{kind}").read_bytes() for kind in ("csv", "json", "parquet")}
        plain = json.loads(read["json"])
        assert as_parquet(read["parquet"]) == plain
        written = list(csv.DictReader(io.StringIO(read["csv"].decode())))
        assert [row["method"] for row in written] == [row["method"] for row in plain]
        for ours, theirs in zip(written, plain, strict=True):
            assert float(ours["score"]) == theirs["score"] and ours["noisy"] == "false" and ours.keys() == theirs.keys()
    assert len(plain) == 4 and {run["seed"] for run in plain} == {0, 1}


def test_the_numbers_are_those_of_the_records(tmp_path: Path) -> None:
    found = [scored(tmp_path / "results", "kd", seed, 0.5) for seed in range(2)]
    build(tmp_path / "results", tmp_path / "out")
    runs = {run["run_id"]: run for run in json.loads((tmp_path / "out/api/runs.json").read_bytes())}
    for record in found:
        run = runs[record.run_id]
        assert run["score"] == pytest.approx(record.metrics.main.value, rel=1e-5)
        assert run["command"] == record.provenance.command and run["latency_ms"] == 4.0 + run["seed"]
    row = next(row for row in json.loads((tmp_path / "out/api/rows.json").read_bytes()) if row["method"] == "kd")
    mean = sum(record.metrics.main.value for record in found) / 2
    assert (
        row["score"] == pytest.approx(mean, rel=1e-5)
        and row["latency_ms"] == pytest.approx(8 / 1.95, rel=1e-5)
        and row["seeds"] == 2
    )
    assert row["sessions"] == 2 and not row["noisy"] and row["inputs"] == 128
    assert row["score_low"] < row["score"] < row["score_high"] and row["interval"] == "examples and seeds"


def test_the_tables_of_all_boards_are_those_of_each_in_one(tmp_path: Path) -> None:
    for seed, method in enumerate(("kd", "=cmd|'C calc'!A0", '\u202e"<x>')):
        scored(tmp_path / "results", method, seed, 0.5)
        scored(tmp_path / "results", method, seed, 0.5, track="lite")
    build(tmp_path / "results", tmp_path / "out")
    api = tmp_path / "out/api"
    for name in ("rows", "runs"):
        whole = json.loads((api / f"{name}.json").read_bytes())
        slugs = list(dict.fromkeys(row["board"] for row in whole))
        assert whole == [row for slug in slugs for row in json.loads((api / name / f"{slug}.json").read_bytes())]
        assert len(slugs) == 2 and len(list((api / name).iterdir())) == 6
        for slug in slugs:
            assert as_parquet((api / name / f"{slug}.parquet").read_bytes()) == [r for r in whole if r["board"] == slug]


def test_a_table_has_one_schema_whatever_its_rows_hold() -> None:
    values = (
        ("kd", 0.5, 1, True, "a"), ("=cmd|' /C calc'!A0", None, None, None, "b\nc"),
        ("\u202e\"<x>", -1.5, 3, False, "d,e"),
    )  # fmt: skip
    rows = [dict(zip(("method", "score", "seeds", "noisy", "task"), v, strict=True)) for v in values]
    for some in (rows, rows[1:2]):
        made = tables.files("x", some)
        assert as_parquet(made["x.parquet"]) == some == json.loads(made["x.json"])
    schemas = {pq.ParquetFile(pa.BufferReader(tables.files("x", [row])["x.parquet"])).schema_arrow for row in rows}
    assert len(schemas) == 1


def test_a_spreadsheet_carries_nothing_out() -> None:
    for text in ("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"):
        (_, row) = csv.reader(io.StringIO(tables.to_csv([{"method": text, "score": -1.5}]).decode(), newline=""))
        assert row == [f"'{text}", "-1.5"], "numbers may begin with a minus"


def test_every_column_has_a_type_that_fits(tmp_path: Path) -> None:
    """A new fact that is a text or a count must be named as such, or Parquet takes it for a number."""
    record = scored(tmp_path / "results", "kd", 0, 0.5)
    ((board, _),) = facts.boards([record], tmp_path / "results")
    row = next(row for row in tables.of_boards([board]) if row["method"])
    for name, value in {**row, **run_row(record, "path", "slug")}.items():
        if isinstance(value, bool):
            assert name in tables.TRUTHS, name
        elif isinstance(value, str):
            assert name in tables.TEXTS, name
        elif isinstance(value, float):
            assert name not in tables.TEXTS | tables.TRUTHS | tables.COUNTS, name


def test_without_predictions_nothing_is_compared_and_the_reason_is_told(tmp_path: Path) -> None:
    save(tmp_path / "results", make("kd"), make("finetune"))
    ((told, pairs),) = facts.boards([make("kd"), make("finetune")], tmp_path / "results")
    assert pairs == [] and "does not hold the predictions" in told["no_comparison"]
    assert all(row["rank_low"] is None and row["best_or_tied"] is None for row in told["rows"])
    assert [row["interval"] for row in told["rows"]] == ["normal"] * 3


@pytest.mark.parametrize(
    "arrays",
    [
        {"lee/prediction": np.zeros(4)}, {"lee/gold": np.zeros(4)}, {"x": np.zeros(3)},
        {"lee/prediction": np.zeros(4), "lee/gold": np.zeros(5)},
        {"lee/prediction": np.zeros((0,)), "lee/gold": np.zeros((0,))},
        {"lee/prediction": np.array(["a"] * 4), "lee/gold": np.zeros(4)},
        {"lee/prediction": np.full(4, np.nan), "lee/gold": np.zeros(4)},
        {"lee/prediction": np.zeros(4), "lee/gold": np.zeros(4), "lee/units": np.zeros((9, 2, 2))},
    ],
)  # fmt: skip
def test_predictions_that_nobody_made_end_no_build(tmp_path: Path, arrays: dict[str, np.ndarray]) -> None:
    record = make("kd", predictions__sha256=files.sha256(pack(arrays)))
    disk.write(tmp_path / "results", record, arrays, {"single": {"student": [[1]]}})
    build(tmp_path / "results", tmp_path / "out")
    (row,) = [r for r in json.loads((tmp_path / "out/api/rows.json").read_bytes()) if r["method"]]
    assert row["score"] == 0.75
    text = next((tmp_path / "out/tasks").glob("*.html")).read_text(encoding="utf-8")
    assert str(tmp_path) not in text
