"""The committed grid: docs/results.md says what its records show, and its runs are the cells of its file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from bench.board import leaderboard
from bench.board.axes import grids
from bench.board.verdicts import judge
from bench.records import disk
from tests.factories.commands import bench
from tests.factories.data import real_data
from tests.factories.runs import ROOT

RESULTS = (ROOT / "docs/results.md").read_text(encoding="utf-8")


def interval(value: float, low: float, high: float, form: str) -> str:
    return f"{value:{form}} ({low:{form}} to {high:{form}})"


def lines(axis: dict[str, Any]) -> Iterator[str]:
    """A line of the page's table for each level."""
    for level in axis["levels"]:
        d = level["behind"]
        ends = [100 * d[key] for key in ("value", "low", "high")] if d else []
        cells = [
            axis["axis"], str(axis["contexts"]), f"`{level['level']}`",
            interval(level["rank"], level["rank_low"], level["rank_high"], ".2f"),
            interval(*(100 * level[key] for key in ("score", "low", "high")), ".1f"),
            f"{interval(*ends, '+.1f')}, {d['evidence']}" if d else "",
        ]  # fmt: skip
        yield f"| {' | '.join(cells)} |"


def test_the_table_is_that_of_the_records() -> None:
    found = list(disk.read_all(ROOT / "docs/grids/trec"))
    (board,) = leaderboard.rows(found)
    (grid,) = grids(judge(board, found, ROOT / "docs/grids/trec"), {record.run_id: record for record in found})
    assert len(found) == 105 and grid["cells"] == 29
    missing = [line for axis in grid["axes"] for line in lines(axis) if line not in RESULTS]
    assert not missing, "put these lines in:\n" + "\n".join(missing)


def test_its_runs_are_those_of_its_file(tmp_path: Any) -> None:
    asked = (
        "sweep",
        ROOT / "docs/grids/trec.toml",
        "--data-dir",
        real_data("textcls"),
        "--results",
        ROOT / "docs/grids/trec",
    )
    planned = json.loads(bench(*asked, "--dry-run", "--json", cache=tmp_path / "cache").out)["runs"]
    assert {run["status"] for run in planned} == {"done"}
    assert {run["run_id"] for run in planned} == {path.stem for path in disk.paths(ROOT / "docs/grids/trec")}
