"""Suites: cells and averages worked out by hand; a missing cell is never filled."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from bench.board import suites, table
from bench.errors import RequestError
from bench.plugins import registry
from bench.plugins import suites as declared
from bench.scoring.metrics import METRICS
from tests.factories.records import put

SUITE = declared.Suite(
    "two",
    (declared.Column("a", "f/a", "", ("m",)), declared.Column("b", "f/b", "", ("m", "n"))),
    {"average": ("a", "b"), "first": ("a",)},
)


def cell(method="kd", value=0.5, half=0.1, dev=0.5, seeds=3, **changes):
    return {
        "method": method, "student": "bert:3", "teacher": "T", "reference": "", "key": f"{method}-{value}",
        "settings": "", "dev": dev, "seeds": seeds, "provisional": 0 < seeds < 3, "value": value,
        "low": None if half is None else value - half, "high": None if half is None else value + half, "whole": None,
    } | changes  # fmt: skip


def board(column, *cells, slug="", track="lite"):
    own = [{"suite": "two", "column": column, "rows": list(cells)}]
    return {"slug": slug or column, "task": f"f/{column}", "track": track, "suites": own}


def test_an_average_is_of_all_cells_or_there_is_none():
    boards = [
        board("a", cell("kd", 0.6, 0.03), cell("finetune", 0.4, seeds=1)),
        board("b", cell("kd", 0.8, 0.04)),
        board("a", cell("kd", 0.1), slug="other", track="mini"),
    ]
    mini, lite = suites.tables(SUITE, boards)
    assert (mini["track"], mini["measured"], lite["track"], lite["measured"]) == ("mini", 1, "lite", 2)
    kd, plain = lite["rows"]
    assert kd["method"] == "kd" and kd["averages"]["average"]["value"] == pytest.approx(0.7)
    half = math.sqrt(0.03**2 + 0.04**2) / 2
    assert kd["averages"]["average"]["low"] == pytest.approx(0.7 - half)
    assert plain["averages"]["average"] is None and plain["averages"]["first"]["value"] == 0.4
    assert plain["cells"]["b"] is None and plain["provisional"] and not kd["provisional"]
    assert [column["board"] for column in mini["columns"]] == ["other", None]


def test_of_several_settings_the_best_on_dev_and_of_several_boards_that_with_most_runs():
    boards = [
        board("a", cell("kd", 0.6, dev=0.7), cell("kd", 0.9, dev=0.6)),
        board("a", cell("kd", 0.2, seeds=1), slug="z"),
    ]
    ((row,), *_) = [found["rows"] for found in suites.tables(SUITE, boards)]
    assert (row["cells"]["a"]["value"], row["cells"]["a"]["board"]) == (0.6, "a")


def test_an_average_has_no_interval_where_a_cell_has_none():
    (found,) = suites.tables(SUITE, [board("a", cell("kd", 0.6)), board("b", cell("kd", 0.8, None))])
    assert found["rows"][0]["averages"]["average"] == {"value": pytest.approx(0.7), "low": None, "high": None}


def test_teachers_come_first_then_students_by_their_average():
    teacher, bm25 = cell("", 0.1, student=""), cell("", 0.9, student="", teacher="", reference="bm25")
    both = [board(name, cell("a", 0.2), cell("b", 0.3), teacher, bm25) for name in ("a", "b")]
    (found,) = suites.tables(SUITE, [*both, board("a", cell("c", 0.99), slug="more")])
    assert [row["name"] for row in found["rows"]] == ["teacher T", "bm25", "b bert:3", "a bert:3"]


def test_a_cell_is_the_mean_of_the_metrics_over_the_data_sets():
    found = {"matched": {"f1": 0.2, "accuracy": 0.4}, "mismatched": {"f1": 0.6, "accuracy": 0.8}}
    column = declared.Column("x", "f/x", "", ("f1", "accuracy"))
    assert suites.value(found, column) == pytest.approx(0.5)
    assert suites.value(found, declared.Column("x", "f", "matched", ("f1",))) == 0.2
    assert suites.value(found, declared.Column("x", "f/x", "", ("mcc",))) is None
    assert suites.value(found, declared.Column("x", "f", "other", ("f1",))) is None


def test_records_make_cells(tmp_path: Path):
    """STS: its columns are the test sets of one board, whose own mean and interval are the average's."""
    names = [column.name for column in declared.find("sts").columns]
    for seed in range(3):
        scores = {name: {"spearman": 0.5 + 0.05 * at + 0.01 * seed} for at, name in enumerate(names)}
        mean = sum(own["spearman"] for own in scores.values()) / len(scores)
        main = {"name": "spearman", "dataset": "average of 7", "value": mean, "ci95": (mean - 0.1, mean + 0.1)}
        put(tmp_path, 0.3, "kd", seed, track="lite", metrics__all=scores, metrics__main=main)
    (found,) = table.suite(tmp_path, "sts")
    row = next(row for row in found["rows"] if row["method"] == "kd")
    assert found["measured"] == 7 and row["cells"]["sts13"]["value"] == pytest.approx(0.56)
    average = row["averages"]["average"]
    own = next(row for row in table.boards(tmp_path, "sts")[0]["rows"] if row["method"] == "kd")
    assert average == {"value": pytest.approx(0.66), "low": own["low"], "high": own["high"]}
    for wrong, words in (("stss", "did you mean sts"), ("glue", "bench run --suite glue")):
        with pytest.raises(RequestError, match=words):
            table.suite(tmp_path, wrong)


def test_what_families_declare_is_there():
    """Columns are data sets of the family, their metrics those that its records hold, and averages name columns."""
    assert {"glue", "superglue", "indonlu", "biomed", "beir", "sts"} <= set(declared.found())
    for suite in declared.found().values():
        names = [column.name for column in suite.columns]
        assert len(set(names)) == len(names) and all(set(own) <= set(names) for own in suite.averages.values())
        for column in suite.columns:
            assert column.task.partition("/")[0] in registry.found("task")
            assert set(column.metrics) <= set(METRICS), column
    assert declared.find("glue").averages["without WNLI"] == tuple(n for n in GLUE if n != "wnli")
    assert len(declared.find("indonlu").averages["classes"]) == 5 and len(declared.find("superglue").columns) == 8


GLUE = [column.name for column in declared.find("glue").columns]
