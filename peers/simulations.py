"""Whether boards keep what they promise: simulated boards of equal methods, and of methods that differ.

    python peers/simulations.py [--boards 1000] [--workers 2]

Every board is scored, compared and corrected as records are. A board is wrong when it calls any two of its equal rows
apart after Holm's correction; that is promised for at most one board in twenty. Beside it, of single pairs: how often
p < 0.05, and how often the 95% interval holds the true difference, 0. Printed are the tables of docs/protocol.md.

Accuracy, 1,000 examples: an example is right where the row's level, the example's ease, the row's and the run's own
luck with it, and the seed's luck come to more than 0. Spearman, 300 examples: predictions are the truth and the row's
and the run's own noise, and a seed moves the correlation. `unequal`: seeds move every fourth row three times as far.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np
from scipy.special import ndtr, ndtri

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.board.power import smallest
from bench.scoring.comparison import ALPHA, Comparison
from bench.scoring.contributions import Contributions, Runs
from bench.scoring.metrics import METRICS

SPREADS = {"none": 0.0, "small": 1.0, "large": 3.0}  # of seeds; small: about as far as the examples move a difference
UNIT = {"accuracy": 0.05, "spearman": 0.015}  # of the level, of the correlation
EXAMPLES = {"accuracy": 1000, "spearman": 300}
LEVEL, CORRELATION = 0.8, 0.6  # before ranking; an accuracy of 79%


@dataclass(frozen=True)
class Setting:
    """A board of equal rows. `seeds`: of its rows in turn."""

    metric: str
    rows: int
    seeds: tuple[int, ...]
    spread: str
    unequal: bool = False

    def make(self, rng: np.random.Generator) -> list[Runs]:
        sd = UNIT[self.metric] * SPREADS[self.spread]
        moved = [sd * (3 if self.unequal and row % 4 == 0 else 1) for row in range(self.rows)]
        seeds = [self.seeds[row % len(self.seeds)] for row in range(self.rows)]
        return {"accuracy": accuracies, "spearman": correlations}[self.metric](rng, EXAMPLES[self.metric], seeds, moved)

    @property
    def words(self) -> tuple[str, ...]:
        spread = f"{self.spread}, unequal" if self.unequal else self.spread
        return self.metric, str(self.rows), " or ".join(map(str, self.seeds)), spread


def right(correct: np.ndarray) -> Contributions:
    """A run of one data set from which examples it got right, (N,)."""
    level = correct.mean()
    return Contributions(np.array([level]), np.array([len(correct)]), (correct - level) / len(correct))


def accuracies(
    rng: np.random.Generator,
    size: int,
    seeds: Sequence[int],
    moved: Sequence[float],
    gains: Sequence[float] | None = None,
    shared: float = 0.0,
) -> list[Runs]:
    """Rows of as many seeds, which move the level by `moved`; expected accuracies are equal but for `gains`.

    shared: the correlation between rows of what a seed does.
    """
    ease, rows = rng.normal(size=size), []
    common = rng.normal(size=(max(seeds), 1))
    for n, sd, gain in zip(seeds, moved, gains or [0.0] * len(seeds), strict=True):
        own = (LEVEL + gain) * np.sqrt(1.5 + sd**2) + ease + 0.5 * rng.normal(size=size)
        luck = np.sqrt(shared) * common[:n] + np.sqrt(1 - shared) * rng.normal(size=(n, 1))
        runs = own + 0.5 * rng.normal(size=(n, size)) + sd * luck > 0
        rows.append({seed: right(run.astype(float)) for seed, run in enumerate(runs)})
    return rows


def correlations(rng: np.random.Generator, size: int, seeds: Sequence[int], moved: Sequence[float]) -> list[Runs]:
    """Spearman of equal rows with tied gold; seeds move the correlation before ranking by `moved`."""
    truth, metric, rows = rng.normal(size=size), METRICS["spearman"], []
    gold = np.round(2 * truth)
    for n, sd in zip(seeds, moved, strict=True):
        own, row = 0.5 * rng.normal(size=size), {}
        for seed in range(n):
            noise = (own + 0.3 * rng.normal(size=size)) / np.sqrt(0.34)
            r = np.clip(CORRELATION + sd * rng.normal(), 0.05, 0.98)
            value, influence = metric.parts(r * truth + np.sqrt(1 - r**2) * noise, gold)
            row[seed] = Contributions(np.array([value]), np.array([size]), (influence - influence.mean()) / size)
        rows.append(row)
    return rows


def rates(setting: Setting, boards: int, seed: int = 1) -> tuple[float, float, float]:
    """Share of wrong boards; of pairs with p < 0.05; of pairs whose interval holds 0."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(boards):
        board = Comparison(setting.make(rng), draws=8)
        p_values, corrected = board.tested
        held = np.abs(board.pairs.difference) <= board.halves
        found.append(((corrected < ALPHA).any(), (p_values < ALPHA).mean(), held.mean()))
    wrong, small, holds = np.mean(found, axis=0)
    return float(wrong), float(small), float(holds)


def power(seeds: int, spread: str, boards: int) -> tuple[float, float]:
    """Ten rows of which the first is better: by the difference that such boards say they see, in the mean over 50; and
    in which share of boards and pairs with it that is seen."""
    rng, sd = np.random.default_rng(2), UNIT["accuracy"] * SPREADS[spread]

    def board(gain: float) -> Comparison:
        gains = [gain] + [0.0] * 9
        return Comparison(accuracies(rng, EXAMPLES["accuracy"], [seeds] * 10, [sd] * 10, gains), draws=8)

    said = float(np.mean([seen.difference for _ in range(50) if (seen := smallest(board(0.0)))]))
    level = ndtri(ndtr(LEVEL) + said) - LEVEL
    found = [
        (other.tested[1][other.pairs.first == 0] < ALPHA).mean() for other in (board(level) for _ in range(boards))
    ]
    return said, float(np.mean(found))


SEEDS = (
    ((1,), "none", False),
    ((3,), "none", False),
    ((3,), "small", False),
    ((3,), "small", True),
    ((3,), "large", False),
    ((3,), "large", True),
    ((5,), "none", False),
    ((5,), "small", False),
    ((5,), "small", True),
    ((5,), "large", True),
    ((3, 1), "small", False),
)
BOARDS = [
    Setting(metric, rows, *seeds)
    for metric, rows in (("accuracy", 10), ("spearman", 10), ("accuracy", 3), ("accuracy", 2), ("accuracy", 15))
    for seeds in SEEDS
]
POWER = [(seeds, spread) for seeds in (1, 3, 5) for spread in SPREADS if seeds > 1 or spread == "none"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--boards", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2, help="processes")
    given = parser.parse_args()
    with ProcessPoolExecutor(given.workers) as pool:
        print("| metric | rows | seeds | what seeds add | boards with a false win | p < 0.05 | in the interval |")
        print("|---|---|---|---|---|---|---|")
        for setting, shares in zip(BOARDS, pool.map(rates, BOARDS, repeat(given.boards)), strict=True):
            print("|", " | ".join([*setting.words, *(f"{100 * share:.1f}%" for share in shares)]), "|", flush=True)
        print("\n| seeds | what seeds add | points that the board says it sees | seen |\n|---|---|---|---|")
        for (seeds, spread), (said, seen) in zip(
            POWER, pool.map(power, *zip(*POWER, strict=True), repeat(given.boards)), strict=True
        ):
            print(f"| {seeds} | {spread} | {100 * said:.1f} | {100 * seen:.0f}% |", flush=True)


if __name__ == "__main__":
    main()
