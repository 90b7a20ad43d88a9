"""Means over boards, against values worked out here from made-up standings and from simulated runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from bench.base.archive import pack
from bench.base.files import sha256
from bench.board import leaderboard
from bench.board.verdicts import judge, standing
from bench.records import disk
from bench.records.arrays import flatten
from bench.web import facts, overall
from tests.factories.records import make, predictions, settings
from tests.web.site import scored


def board(task: str, track: str = "lite", **standings: Any) -> dict[str, Any]:
    """A board of which only the standing of its methods is known."""
    names = ("retention", "retention_sd", "rank", "rank_sd", "students")
    told = {m: dict(zip(names, values, strict=True)) for m, values in standings.items()}
    return {"task": task, "track": track, "slug": task, "rows": [], "standing": told}


def test_each_board_counts_once_and_deviations_add_up() -> None:
    boards = [
        board("a", kd=(0.9, 0.03, 1.0, 0.3, 2), finetune=(0.8, 0.01, 2.0, 0.3, 2)),
        board("b", kd=(0.7, 0.04, 2.0, 0.4, 1), finetune=(0.9, 0.01, 1.0, 0.4, 1)),
        board("c", kd=(0.8, 0.0, 3.0, 0.0, 1)),
    ]
    kd = next(m for m in overall.methods(boards) if m["method"] == "kd")
    half = 1.96 * np.sqrt(0.03**2 + 0.04**2) / 3
    assert kd["boards"] == 3 and kd["retention"] == pytest.approx(0.8) and kd["rank"] == pytest.approx(2.0)
    assert (kd["retention_low"], kd["retention_high"]) == pytest.approx((0.8 - half, 0.8 + half))
    assert kd["rank_high"] - kd["rank"] == pytest.approx(1.96 * 0.5 / 3)
    finetune = overall.methods(boards)[0]
    assert finetune["method"] == "finetune" and finetune["boards"] == 2 and finetune["rank"] == pytest.approx(1.5)


def test_tracks_are_not_averaged_and_unknown_deviations_give_no_interval() -> None:
    boards = [board("a", kd=(0.9, None, None, None, 1)), board("a", "mini", kd=(0.5, 0.1, 1.0, 0.1, 1))]
    lite, mini = overall.tracks(boards)
    assert (lite["track"], mini["track"]) == ("lite", "mini")
    assert lite["methods"][0]["retention"] == 0.9 and lite["methods"][0]["retention_low"] is None
    assert lite["methods"][0]["rank"] is None and mini["methods"][0]["retention"] == 0.5


def test_a_method_s_settings_are_chosen_on_dev(tmp_path: Path) -> None:
    """The better one on test has the lower dev score, and must not stand for the method."""
    results = tmp_path / "results"
    scored(results, "finetune", 0, 1.0)
    good = scored(results, "kd", 0, 0.2, metrics__dev=0.1, settings=settings(alpha=1))
    chosen = scored(results, "kd", 0, 1.5, metrics__dev=0.9, settings=settings(alpha=2))
    found = list(disk.read_all(results))
    (only,) = leaderboard.rows(found)
    told = standing(judge(only, found, results))
    assert good.metrics.main.value > chosen.metrics.main.value
    assert told["kd"]["retention"] == pytest.approx(chosen.metrics.retention) and told["kd"]["rank"] == 2.0


def test_the_deviation_of_retention_is_that_of_the_draws(tmp_path: Path) -> None:
    results = tmp_path / "results"
    for method, noise in (("kd", 0.5), ("finetune", 1.0)):
        scored(results, method, 0, noise)
    found = list(disk.read_all(results))
    ((told, _),) = facts.boards(found, results)
    row = next(row for row in told["rows"] if row["method"] == "kd")
    width = (row["score_high"] - row["score_low"]) / 3.92 * row["retention"] / row["score"]
    assert told["standing"]["kd"]["retention_sd"] == pytest.approx(width, rel=1e-6)
    assert told["standing"]["kd"]["rank"] == 1.0 and told["standing"]["finetune"]["rank"] == 2.0


def test_equal_rows_share_their_rank_and_are_all_the_best(tmp_path: Path) -> None:
    """`zebra` and `kd` are the same on every example: the alphabet must not put one before the other."""
    results = tmp_path / "results"
    for seed in range(2):
        for method in ("kd", "zebra", "finetune"):
            arrays = flatten(predictions(0.9 if method == "finetune" else 0.5, seed))
            value = float(spearmanr(arrays["lee/prediction"], arrays["lee/gold"]).statistic)
            told = {"metrics__all": {"lee": {"spearman": value}}, "predictions__sha256": sha256(pack(arrays))}
            disk.write(results, make(method, seed, value, **told), arrays, {"single": {"student": [[1]]}})
    ((board, _),) = facts.boards(list(disk.read_all(results)), results)
    assert {row["method"] for row in board["rows"] if row["best"]} == {"kd", "zebra"}
    standing = board["standing"]
    assert standing["kd"]["rank"] == standing["zebra"]["rank"] == 1.5 and standing["finetune"]["rank"] == 3.0
    pick = overall.pick(board)
    assert [row["method"] for row in pick["bests"]] == [row["method"] for row in pick["fastests"]] == ["kd", "zebra"]
