"""What a board can see, against formulas for known variances; shared ranks, and the best of equal rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from bench.board import leaderboard
from bench.board.power import Power, smallest
from bench.board.verdicts import judge, over_boards, standing
from bench.records import disk
from bench.scoring.comparison import Comparison
from bench.scoring.pairs import BOTH, below, quantile
from peers.simulations import Setting, accuracies, right
from tests.factories.records import put


def test_one_seed_by_the_normal_formula():
    """Two rows of one run: (1.96 + 0.84) deviations of their difference; seeds are unknown."""
    rng = np.random.default_rng(0)
    a, b = (rng.random(1000) < 0.8).astype(float), (rng.random(1000) < 0.8).astype(float)
    seen = smallest(Comparison([{0: right(a)}, {0: right(b)}], draws=8))
    assert seen and seen.seeds is None
    deviation = np.std(a - b) / np.sqrt(1000)
    assert seen.difference == pytest.approx((stats.norm.ppf(0.975) + stats.norm.ppf(0.8)) * deviation)


def test_as_many_seeds_as_are_said_halve_it():
    """In the mean over boards, as three seeds say little of their own spread."""
    rng = np.random.default_rng(1)

    def seen(seeds: int) -> list[Power]:
        boards = (Comparison(accuracies(rng, 2000, [seeds] * 10, [0.15] * 10), draws=8) for _ in range(10))
        return [found for board in boards if (found := smallest(board))]

    few = seen(3)
    said = int(np.median([found.seeds or 1000 for found in few]))
    assert 5 < said < 40
    ratio = np.mean([found.difference for found in seen(said)]) / np.mean([found.difference for found in few])
    assert 0.35 < ratio < 0.65


def test_seeds_do_not_help_against_few_examples():
    seen = smallest(Comparison(Setting("accuracy", 12, (5,), "none").make(np.random.default_rng(2)), draws=8))
    assert seen and seen.seeds is None


def test_a_single_row_has_no_pair():
    assert smallest(Comparison([{0: right(np.ones(10))}])) is None


def test_equal_rows_share_the_mean_of_their_ranks_and_are_best_together(tmp_path: Path):
    for method in ("kd", "copy", "twin", "again", "other"):
        put(tmp_path, 0.5, method)
    found = list(disk.read_all(tmp_path))
    (board,) = leaderboard.rows(found)
    verdicts = judge(board, found, tmp_path)
    told = standing(verdicts)
    assert {(s["rank"], s["rank_sd"], s["rank_last"]) for s in told.values()} == {(3.0, 0.0, 5.0)}
    assert len(verdicts.best) == 5 and all(verdicts.ties_with_best(row) for row in verdicts.best)
    assert {tuple(pair[2:7]) for pair in verdicts.pairs()} == {(0.0, 0.0, 0.0, 1.0, 1.0)}


def test_a_mean_rank_stays_among_the_ranks():
    first = {"rank": 1.2, "rank_sd": 0.8, "rank_last": 3.0}
    last = {"rank": 2.9, "rank_sd": 0.8, "rank_last": 3.0}
    assert over_boards("rank", [first])["rank_low"] == 1.0 and over_boards("rank", [last])["rank_high"] == 3.0
    both = over_boards("rank", [first, last])
    half = 1.96 * 0.8 * np.sqrt(2) / 2
    assert both["rank"] == pytest.approx(2.05) and both["rank_boards"] == 2
    assert both["rank_low"] == pytest.approx(max(1, 2.05 - half))
    assert over_boards("rank", [first, {**last, "rank_sd": None}])["rank_low"] is None


def test_a_chance_that_cannot_deviate_is_none() -> None:
    """Where nothing deviates at most nodes no distance is ever exceeded there, and no step of the search is endless."""
    deviation = np.zeros((1, len(BOTH)))
    deviation[0, -1] = 0.03
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert below(np.array([1.0]), deviation)[0] == pytest.approx(0, abs=1e-12)
        assert 0 <= quantile(deviation, 1e-4, steps=8)[0] <= 0.3
