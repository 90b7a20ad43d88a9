"""Mean ranks of the levels of a grid, against the same worked out with scipy from the made-up records."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import rankdata, spearmanr

from bench.board import leaderboard
from bench.board.axes import grids, split
from bench.board.verdicts import Verdicts, judge
from bench.records import disk
from tests.factories.records import TRACK, predictions, put

LAYERS, KNOWLEDGE, STARTS = ("gap", "last"), ("cos", "mmd"), ("random", "first")
Cell = tuple[str, str, str]
CELLS = list(product(LAYERS, KNOWLEDGE, STARTS))


def noise(layers: str, knowledge: str, start: str) -> float:
    """A random start costs much, the last layers a little where the start is not random, the knowledge nothing."""
    return 0.4 + 0.4 * (start == "random") + 0.1 * (layers == "last" and start == "first")


def value(cell: Cell, seed: int) -> float:
    arrays = predictions(noise(*cell), seed)["lee"]
    return float(spearmanr(arrays["prediction"], arrays["gold"])[0])


def write(results: Path, cell: Cell, **changes: Any) -> None:
    layers, knowledge, start = cell
    settings = {"track": TRACK, "method": {"match": f"{layers}:{knowledge}"}, "student": {"init": start}}
    for seed in range(3):
        put(results, noise(*cell), "revisited", seed, value=value(cell, seed), settings=settings, **changes)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Verdicts, dict[str, Any]]:
    """The comparison of a grid of 2 x 2 x 2 cells and two rows of another student, and what the axes say of it."""
    results = tmp_path_factory.mktemp("results")
    for cell in CELLS:
        write(results, cell)
    for knowledge in KNOWLEDGE:
        write(results, ("gap", knowledge, "random"), student="bert:6x128")
    put(results, 0.5, "kd", 0, value=0.5)
    found = list(disk.read_all(results))
    verdicts = judge(leaderboard.rows(found)[0], found, results)
    (grid,) = grids(verdicts, {record.run_id: record for record in found})
    assert grid["method"] == "revisited" and grid["cells"] == 10
    return verdicts, grid


def means_of(contexts: list[list[Cell]]) -> tuple[np.ndarray, np.ndarray]:
    """Mean rank and mean score of each level; a context is a list of cells, one a level."""
    scores = np.array([[np.mean([value(c, s) for s in range(3)]) for c in context] for context in contexts])
    return rankdata(-scores.round(10), axis=1).mean(0), scores.mean(0)


def contexts_of(axis: int, levels: tuple[str, ...]) -> list[list[Cell]]:
    """All choices on the other axes, with each level on this one."""
    others = dict.fromkeys(tuple(v for i, v in enumerate(cell) if i != axis) for cell in CELLS)
    return [[(*other[:axis], level, *other[axis:]) for level in levels] for other in others]  # type: ignore[misc]


def table(grid: Mapping[str, Any], axis: str, contexts: int) -> dict[str, Any]:
    (found,) = [own for own in grid["axes"] if own["axis"] == axis and own["contexts"] == contexts]
    return found


def test_mean_ranks_and_scores(judged: tuple[Verdicts, dict[str, Any]]) -> None:
    _, grid = judged
    for axis, (name, levels) in enumerate((("layers", LAYERS), ("knowledge", KNOWLEDGE), ("start", STARTS))):
        ranks, scores = means_of(contexts_of(axis, levels)) if name != "knowledge" else (None, None)
        own = {level["level"]: level for level in table(grid, name, 5 if name == "knowledge" else 4)["levels"]}
        if ranks is not None:
            assert [own[level]["rank"] for level in levels] == pytest.approx(ranks.tolist())
            assert [own[level]["score"] for level in levels] == pytest.approx(scores.tolist())
    assert {own["axis"] for own in grid["axes"]} == {"layers", "knowledge", "start", "student"}


def test_what_changes_nothing_is_a_tie(judged: tuple[Verdicts, dict[str, Any]]) -> None:
    """Runs with the same predictions share their ranks in every draw, and no interval opens between them."""
    own = table(judged[1], "knowledge", 5)
    assert [level["rank"] for level in own["levels"]] == [1.5, 1.5]
    assert [(level["rank_low"], level["rank_high"]) for level in own["levels"]] == [(1.5, 1.5)] * 2
    (pair,) = own["pairs"]
    assert (pair["value"], pair["low"], pair["high"], pair["p_value"]) == (0, 0, 0, 1)
    assert pair["evidence"] == "open" and own["levels"][1]["ties"] == [own["levels"][0]["level"]]


def test_intervals_are_those_of_ranks_in_draws(judged: tuple[Verdicts, dict[str, Any]]) -> None:
    """Ranked again by scipy, draw by draw; they hold the mean rank too."""
    verdicts, grid = judged
    rows = verdicts.board.rows

    def place(cell: Cell) -> int:
        words = f"init={cell[2]}", f"match={cell[0]}:{cell[1]}"
        (found,) = [
            i for i, row in enumerate(rows)
            if row.student == "bert:3" and all(any(w in d for d in row.differs) for w in words)
        ]  # fmt: skip
        return found

    contexts = [[place(cell) for cell in context] for context in contexts_of(0, LAYERS)]
    drawn = np.mean([rankdata(-verdicts.draws(own)[:, :2000], axis=0) for own in contexts], axis=0)  # type: ignore[index]
    low, high = np.percentile(drawn, [2.5, 97.5], axis=1)
    levels = {level["level"]: level for level in table(grid, "layers", 4)["levels"]}
    for at, name in enumerate(LAYERS):
        rank = levels[name]["rank"]
        assert levels[name]["rank_low"] == pytest.approx(min(rank, low[at]), abs=0.13)  # fewer draws, of steps of 0.25
        assert levels[name]["rank_high"] == pytest.approx(max(rank, high[at]), abs=0.13)


def test_a_clear_difference_is_that_of_the_comparison(judged: tuple[Verdicts, dict[str, Any]]) -> None:
    """An axis with one context is a difference of two rows, whose interval the board works out without draws."""
    verdicts, grid = judged
    start = table(grid, "start", 4)
    assert [level["level"] for level in start["levels"]] == ["first", "random"] and start["told"]["clear"] == 1
    assert start["levels"][1]["behind"]["evidence"] == "clear" and start["levels"][1]["behind"]["value"] < 0
    student = table(grid, "student", 2)
    rows = verdicts.board.rows
    pair = student["pairs"][0]
    places = [
        [i for i, r in enumerate(rows) if r.student == name and r.method == "revisited"]
        for name in (pair["a"], pair["b"])
    ]
    known = verdicts.difference(places[1][0], next(i for i in places[0] if rows[i].score == rows[places[1][0]].score))
    assert known is not None and pair["value"] == pytest.approx(known["value"], abs=1e-9)
    assert pair["high"] - pair["low"] == pytest.approx(known["high"] - known["low"], rel=0.1, abs=1e-6)


def test_settings_made_of_several() -> None:
    names = ("layers", "knowledge")
    assert split("gap:cos", names) == {"layers": "gap", "knowledge": "cos"}
    assert split("gap:cos,gap:mmd", names) == {"layers": "gap", "knowledge": "cos, mmd"}
    assert split("gap:cos,last1:mmd", names) == {"layers": "gap, last1", "knowledge": "cos, mmd"}
    assert split("", names) == {"layers": "none", "knowledge": "none"}
    assert split("random", ("start",)) == {"start": "random"}
