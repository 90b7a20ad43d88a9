"""Papers' rows: every file is a method's, every line is whole, and known numbers are there as printed."""

from __future__ import annotations

import json
import statistics

import pytest

from bench.board import reported
from bench.errors import BenchError, RequestError
from bench.plugins import registry
from bench.plugins.catalogue import catalogue
from tests.factories.commands import bench
from tests.factories.runs import ROOT

FILES = sorted((ROOT / "baselines/reported").glob("*.csv"))
TASKS = {t["name"] for t in catalogue()["tasks"]}


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_a_file_is_a_methods_and_its_lines_are_whole(path):
    found = reported.rows(path.stem)
    assert found
    for row in found:
        names = {row.dataset, row.dataset.partition("-")[0]}  # glue/mnli-matched is of glue/mnli
        most = 600 if row.metric == "rsum" else 100  # a sum of six recalls
        assert names & TASKS and 0 <= row.value <= most and row.source and row.known and row.system
        assert row.split in ("dev", "test", "val")
    keys = [(r.system, r.teacher, r.student, r.dataset, r.metric, r.split) for r in found]
    assert len(set(keys)) == len(keys)


def test_tinyberts_averages_are_the_printed_ones():
    """The mean of nine columns, both MNLI among them and WNLI not: 79.5, 77.0 and 79.4."""
    found = reported.rows("tinybert")
    for system, mean in (("BERT-base (teacher)", 79.5), ("TinyBERT4", 77.0), ("TinyBERT6", 79.4)):
        values = [r.value for r in found if r.system == system]
        assert len(values) == 9 and statistics.fmean(values) == pytest.approx(mean, abs=0.051)


def test_continuations_dev_averages_are_the_printed_ones():
    values = [
        r.value for r in reported.rows("continuation") if (r.system, r.student) == ("Continuation-KD", "BERT-Small")
    ]
    assert statistics.fmean(values) == pytest.approx(78.95, abs=0.02)


def test_a_method_without_rows_has_none_and_an_unknown_one_is_told():
    assert reported.rows("dml") == []
    with pytest.raises(RequestError, match=r"unknown method .tinybret.*tinybert"):
        reported.rows("tinybret")


@pytest.mark.parametrize("value", ["", "n/a", "nan", "inf"])
def test_a_broken_line_is_named(tmp_path, monkeypatch, value):
    (tmp_path / "reported").mkdir()
    header = "system,teacher,student,dataset,metric,value,split,aggregation,seeds,source,known"
    (tmp_path / "reported/kd.csv").write_text(f"{header}\nA,,,glue/rte,accuracy,{value},dev,,,B,C\n")
    monkeypatch.setattr(registry, "room", lambda kind: tmp_path)
    with pytest.raises(BenchError, match=r"kd\.csv, line 2"):
        reported.rows("kd")


def test_the_command(tmp_path):
    found = json.loads(bench("reported", "pkd", "--json", cache=tmp_path).out)
    assert found["method"] == "pkd" and found["rows"][0]["value"] == 79.9 and found["rows"][0]["seeds"] == ""
    assert "glue/rte" in bench("reported", "pkd", cache=tmp_path).out


def test_pandas_tables_are_there_without_the_rows_that_are_copies():
    """BERT-large from MNLI as printed; a source whose row is that of another one has none, and nothing stands for
    CoNLL04, which is no task here."""
    printed = {
        "prompt_transfer": ("PoT", [96.4, 71.0, 67.3, 80.9, 66.5, 58.9, 88.2, 91.0]),
        "panda": ("PANDA", [92.9, 77.0, 67.3, 78.0, 68.8, 66.3, 88.5, 90.6]),
    }
    copies = {"prompt_transfer": 4, "panda": 4}  # of 21 sources on five encoders
    for method, (name, values) in printed.items():
        found = reported.rows(method)
        own = [r for r in found if (r.system, r.student) == (f"{name} from MNLI", "BERT-large-cased, frozen")]
        assert [r.value for r in own] == values
        assert len(found) == (21 * 5 - copies[method]) * 8
        assert {(r.split, r.aggregation, r.seeds) for r in found} == {("dev", "best epoch on dev", "")}
    base = {r.system for r in reported.rows("prompt_transfer") if r.student == "BERT-base-cased, frozen"}
    assert not base & {f"PoT from {source}" for source in ("WiC", "MultiRC", "WSC", "ReCoRD")}
    assert len(reported.rows("prompt_tuning")) == 40
