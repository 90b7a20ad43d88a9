"""Differences between rows: exact cases by hand, rates measured on simulated methods, and the committed records."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pytest
from scipy import stats
from threadpoolctl import threadpool_limits

from bench.board import leaderboard, named
from bench.errors import RequestError
from bench.records import disk
from bench.scoring import ranks
from bench.scoring.comparison import Comparison, holm, signed_sums
from bench.scoring.contributions import Contributions, Runs, contributions, jackknife
from bench.scoring.metrics import METRICS
from bench.task import Predictions, Scores
from tests.factories.runs import ROOT
from tests.scoring.test_bootstrap import documents, labels

SIMULATIONS = 1000
Make = Callable[[np.random.Generator], list[Runs]]


def score(predictions: Predictions) -> Scores:
    """As a task scores: MCC also under a name that the engine does not know."""
    found = {}
    for name, arrays in predictions.items():
        pair = arrays["prediction"], arrays["gold"]
        found[name] = {"accuracy": float(np.mean(pair[0] == pair[1])), "own": METRICS["mcc"].value(*pair)}
        found[name]["spearman"] = METRICS["spearman"].value(*pair)
    return found


def right(correct: np.ndarray) -> Contributions:
    """A run of one data set from which examples it got right, (N,)."""
    level = correct.mean()
    return Contributions(np.array([level]), np.array([len(correct)]), (correct - level) / len(correct))


def whole(run: Contributions) -> np.ndarray:
    """t: what each unit contributes, (U,)."""
    return run.centred + np.repeat(run.levels / (len(run.sizes) * run.sizes), run.sizes)


def methods(
    rng: np.random.Generator, size: int, seeds: int, seed_sd: float = 0.0, levels: Sequence[float] = (1.0, 1.0)
) -> list[Runs]:
    """Accuracy: an example is right where its ease, the method's and the seed's own luck with it, and the seed's
    level come to more than 0. Methods of one level are equal; `seed_sd` is the deviation of a seed's level."""
    ease = rng.normal(size=size)
    rows = []
    for level in levels:
        own = level + ease + 0.5 * rng.normal(size=size)
        luck = 0.5 * rng.normal(size=(seeds, size)) + seed_sd * rng.normal(size=(seeds, 1))
        rows.append({seed: right((own + one > 0).astype(float)) for seed, one in enumerate(luck)})
    return rows


def expected_accuracy(level: float, seed_sd: float = 0.0) -> float:
    """Of `methods`, over examples and seeds."""
    return float(stats.norm.cdf(level / np.sqrt(1.5 + seed_sd**2)))


def correlations(rng: np.random.Generator, size: int, seeds: int, seed_sd: float = 0.0) -> list[Runs]:
    """Spearman of two equal methods with tied gold; a seed scales its method's noise by exp(seed_sd z)."""
    truth, metric = rng.normal(size=size), METRICS["spearman"]
    gold, rows = np.round(2 * truth), []
    for _ in range(2):
        own, row = 0.5 * rng.normal(size=size), {}
        for seed in range(seeds):
            noise = (own + 0.3 * rng.normal(size=size)) * np.exp(seed_sd * rng.normal())
            influence = metric.parts(truth + noise, gold)[1] / size
            row[seed] = Contributions(
                np.array([metric.value(truth + noise, gold)]), np.array([size]), influence - influence.mean()
            )
        rows.append(row)
    return rows


def rates(make: Make, difference: float = 0.0, simulations: int = SIMULATIONS) -> tuple[float, float]:
    """How often p < 0.05, and how often the interval holds the true difference."""
    rng = np.random.default_rng(11)
    found = [Comparison(make(rng)).difference(0, 1) for _ in range(simulations)]
    covered = [d.ci95[0] <= difference <= d.ci95[1] for d in found]
    return float(np.mean([d.p_value < 0.05 for d in found])), float(np.mean(covered))


def ranges(comparison: Comparison) -> list[tuple[int, int]]:
    """The 95% range of each row's rank."""
    low, high = ranks.rank_ranges(comparison.score_draws)
    return list(zip(low.tolist(), high.tolist(), strict=True))


def report_power(make: Make, difference: float, deviation: float) -> tuple[float, float]:
    """Print and return the power on a known difference: measured, and Phi(difference / deviation - 1.96)."""
    measured, _ = rates(make, difference)
    expected = float(stats.norm.cdf(abs(difference) / deviation - 1.96))
    print(f"power on {100 * difference:+.1f} points: {measured:.3f}, by the normal approximation {expected:.3f}")
    return measured, expected


def test_a_mean_metric_contributes_what_each_example_scored():
    rng = np.random.default_rng(0)
    predictions = {"x": labels(40, rng), "y": labels(60, rng)}
    run = contributions(predictions, score, "accuracy")
    scored = [(a["prediction"] == a["gold"]) / (2 * len(a["gold"])) for a in predictions.values()]
    assert np.allclose(whole(run), np.concatenate(scored))
    assert whole(run).sum() == pytest.approx(np.mean([s["accuracy"] for s in score(predictions).values()]))


def test_documents_contribute_what_their_pairs_do():
    """The variance of the contributions is that of a bootstrap of the documents, within a tenth of the deviation."""
    arrays = documents(50, np.random.default_rng(1))
    run = contributions({"x": arrays}, score, "spearman")
    assert run.sizes.tolist() == [50] and whole(run).sum() == pytest.approx(score({"x": arrays})["x"]["spearman"])
    rng, drawn = np.random.default_rng(2), []
    for _ in range(400):
        counts = np.bincount(rng.integers(50, size=50), minlength=50)
        rows = np.repeat(np.arange(1225), counts[arrays["units"]].prod(1))
        drawn.append(stats.spearmanr(arrays["prediction"][rows], arrays["gold"][rows]).statistic)
    assert np.sqrt((run.centred**2).sum()) == pytest.approx(np.std(drawn), rel=0.1)


def test_a_metric_without_influence_leaves_units_out():
    rng = np.random.default_rng(3)
    arrays = labels(150, rng) | {"units": np.repeat(np.arange(75), 2)[:, None]}
    shares = jackknife({"x": arrays}, score, "own")
    run = contributions({"x": arrays}, score, "own")
    assert np.allclose(run.centred, shares - shares.mean())
    value = METRICS["mcc"].value(arrays["prediction"], arrays["gold"])
    without = METRICS["mcc"].value(arrays["prediction"][2:], arrays["gold"][2:])
    assert shares[0] == pytest.approx(74 / 75 * (value - without))
    influence = METRICS["mcc"].parts(arrays["prediction"], arrays["gold"])[1] / 150
    assert np.corrcoef(influence.reshape(75, 2).sum(1), shares)[0, 1] > 0.99


def test_holm_by_hand():
    """Sorted: 0.01 x 4, 0.02 x 3, 0.03 x 2, 0.4 x 1."""
    assert np.allclose(holm(np.array([0.03, 0.01, 0.4, 0.02])), [0.06, 0.04, 0.4, 0.06])
    assert np.allclose(holm(np.array([0.6, 0.7])), [1, 1])


def test_signs_are_fair_and_shared():
    sums = signed_sums(np.array([[1.0, 0, 0], [0, 1, 0], [1, 1, 0]]), 4001, np.random.default_rng(0))
    assert set(np.unique(sums[0])) == {-1.0, 1.0} and np.array_equal(sums[0] + sums[1], sums[2])
    assert abs(sums[:2].mean(1)).max() < 4 / np.sqrt(4001) and abs((sums[0] * sums[1]).mean()) < 4 / np.sqrt(4001)


@pytest.mark.parametrize(("wins", "losses"), [(6, 0), (9, 3), (20, 8), (5, 5), (40, 0)])
def test_one_seed_of_accuracy_is_mcnemars_test(wins, losses):
    """Examples on which both agree say nothing: z = (wins - losses) / sqrt(wins + losses)."""
    a, b = np.ones(200), np.ones(200)
    b[:wins], a[wins : wins + losses] = 0, 0
    found = Comparison([{0: right(a)}, {0: right(b)}]).difference(0, 1)
    expected = 2 * stats.norm.sf(abs(wins - losses) / np.sqrt(wins + losses))
    assert found.p_value == pytest.approx(expected, rel=1e-3)  # a t of a million degrees of freedom
    assert found.value == pytest.approx((wins - losses) / 200) and found.seeds == 1 and not found.seed_noise


def test_the_part_of_seeds_by_hand():
    """Differences 0.10, 0.06, 0.02 of seeds that get every other example right alike: all of var is the seeds'.

    Examples explain none of it, so phi is at its largest, 1e6, and iota a millionth of the variance.
    """
    examples = np.arange(1000) % 2
    base = Contributions(np.array([0.5]), np.array([1000]), (examples - 0.5) / 1000)
    rows = [
        {s: Contributions(np.array([0.5 + d]), base.sizes, 2 * base.centred) for s, d in enumerate((0.1, 0.06, 0.02))}
    ]
    comparison = Comparison([*rows, dict.fromkeys(range(3), base)])
    pairs, lots = comparison.pairs, comparison.lots
    assert pairs.difference[0] == pytest.approx(0.06) and pairs.v_examples[0] == pytest.approx(0.25 / 1000)
    assert pairs.v_single[0] == pytest.approx(0.25 / 1000)
    assert lots.variance == pytest.approx([0.0016, 0]) and lots.iota == pytest.approx([0.0016e-6, 0])
    low, high = comparison.difference(0, 1).ci95
    assert (low + high) / 2 == pytest.approx(0.06)
    assert 4.3 / 2 < (high - low) / 2 / np.sqrt(0.0016 / 3) < 2 * 4.3, "about Student's t with 2 degrees of freedom"


def test_what_examples_do_to_single_seeds_is_counted_once():
    """Seeds that differ by luck with examples alone: what the examples explain of var is all of it, in the mean."""
    rng = np.random.default_rng(5)
    found = [Comparison(methods(rng, 400, 5), draws=8).lots for _ in range(400)]
    assert np.mean([lots.iota for lots in found]) == pytest.approx(np.mean([lots.variance for lots in found]), rel=0.1)


def test_order_does_not_matter_and_a_minus_b_is_the_negative_of_b_minus_a():
    rows = methods(np.random.default_rng(6), 1000, 3, levels=(1.0, 1.6))
    comparison = Comparison(rows)
    one, two = comparison.difference(0, 1), comparison.difference(1, 0)
    assert one.value == -two.value and one.ci95 == pytest.approx((-two.ci95[1], -two.ci95[0]), abs=1e-12)
    assert one.p_value == two.p_value and (one.verdict, two.verdict) == ("b", "a")


def test_luck_that_two_rows_share_in_a_seed_falls_out():
    centred = np.tile([1.0, -1.0], 200) / 800
    runs = {s: Contributions(np.array([0.5 + luck]), np.array([400]), centred) for s, luck in enumerate((-0.2, 0, 0.2))}
    better = {s: Contributions(run.levels + 0.1, run.sizes, centred) for s, run in runs.items()}
    comparison = Comparison([better, runs])
    assert comparison.pairs.v_examples[0] == comparison.pairs.v_single[0] == 0
    low, high = comparison.intervals[1]
    assert high - low > 0.5, "a row alone has the luck of its seeds: 2 x 4.3 x 0.2 / sqrt(3)"


def test_rows_are_compared_over_the_seeds_that_both_have():
    rng = np.random.default_rng(7)
    (first,), (second,) = ([methods(rng, 300, 3)[0]] for _ in range(2))
    with pytest.raises(RequestError, match="share no seed"):
        Comparison([{0: first[0]}, {1: second[1]}]).difference(0, 1)
    comparison = Comparison([{0: first[0], 1: first[1]}, {1: second[1], 2: second[2]}])
    found = comparison.difference(0, 1)
    assert found.seeds == 1 and found.value == pytest.approx(float(first[1].levels[0] - second[1].levels[0]))


def test_a_teacher_goes_with_every_seed():
    rng = np.random.default_rng(8)
    student = methods(rng, 300, 3)[0]
    teacher: Runs = {None: right(np.ones(300))}
    comparison = Comparison([teacher, student, {None: right(np.zeros(300))}])
    assert comparison.difference(0, 1).seeds == 3 and comparison.difference(0, 1).verdict == "a"
    assert comparison.difference(0, 2).seeds == 0 and comparison.difference(0, 2).verdict == "a"
    assert ranges(comparison) == [(1, 1), (2, 2), (3, 3)]


def test_runs_of_other_examples_are_refused():
    with pytest.raises(RequestError, match="same examples"):
        Comparison([{0: right(np.ones(10))}, {0: right(np.ones(11))}])


def test_equal_runs_tie_and_share_their_ranks():
    rng = np.random.default_rng(9)
    row, best = methods(rng, 500, 3)[0], {s: right(np.ones(500)) for s in range(3)}
    comparison = Comparison([row, dict(row), best])
    same = comparison.difference(0, 1)
    assert (same.value, same.p_value, same.verdict) == (0, 1, "tie")
    assert np.array_equal(comparison.score_draws[0], comparison.score_draws[1])
    assert ranges(comparison) == [(2, 3), (2, 3), (1, 1)]


def test_the_mean_of_permuted_seeds_is_a_difference_of_exactly_0():
    one = [right((np.arange(1000) < n).astype(float)) for n in (100, 701, 333)]
    found = Comparison([dict(enumerate(one)), dict(enumerate(one[::-1]))]).difference(0, 1)
    assert (found.value, found.p_value, found.verdict) == (0, 1, "tie")


def test_ranks_are_ranges_where_the_data_cannot_tell():
    levels = (0.9, 1.0, 1.02, 2.5)
    found = ranges(Comparison(methods(np.random.default_rng(10), 1000, 5, levels=levels)))
    assert found[3] == (1, 1) and found[1][0] == 2 and found[1][1] > 2 and found[0][1] == 4


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(partial(methods, size=500, seeds=1), id="one seed"),
        pytest.param(partial(methods, size=500, seeds=3), id="3 seeds that do not matter"),
        pytest.param(partial(methods, size=500, seeds=5), id="5 seeds that do not matter"),
        pytest.param(partial(methods, size=500, seeds=3, seed_sd=0.07), id="3 seeds as large as the examples"),
        pytest.param(partial(methods, size=500, seeds=5, seed_sd=0.09), id="5 seeds as large as the examples"),
        pytest.param(partial(methods, size=500, seeds=3, seed_sd=1.0), id="3 seeds that are all"),
        pytest.param(partial(correlations, size=200, seeds=3), id="spearman, seeds that do not matter"),
        pytest.param(partial(correlations, size=200, seeds=3, seed_sd=0.06), id="spearman, 3 seeds"),
    ],
)
def test_equal_methods_differ_by_chance_in_one_of_twenty(make):
    """At most 7% (three standard errors of 1,000 simulations: 2%). Two rows of few seeds that do not matter cannot know
    so, and are careful; a board of many can (test_simulations).
    """
    falsely, covered = rates(make)
    assert falsely <= 0.07
    assert covered >= 0.93


def test_draws_do_not_depend_on_the_number_of_threads():
    """The default number is that of the machine's cores."""
    rng = np.random.default_rng(7)
    rows = [{s: Contributions(np.zeros(1), np.array([500]), rng.normal(size=500)) for s in range(3)} for _ in range(40)]
    found = []
    for threads in (1, 2, 3):
        with threadpool_limits(threads, "blas"):
            found.append(Comparison(rows).around)
    assert all(np.array_equal(found[0], other) for other in found[1:])


@pytest.mark.parametrize("values", [2, 5, 1000])
@pytest.mark.parametrize("rows", [1, 2, 7])
def test_ranks_with_ties_are_those_of_scipy(values, rows):
    """In draws without a tie too, which are told apart."""
    draws = np.random.default_rng(6).integers(0, values, (rows, 300)).astype(np.float32)
    best, worst = ranks.ranked(draws)
    assert np.array_equal(best, stats.rankdata(-draws, "min", axis=0))
    assert np.array_equal(worst, stats.rankdata(-draws, "max", axis=0))
    assert np.array_equal(ranks.shared(draws), stats.rankdata(-draws, "average", axis=0))


@pytest.mark.parametrize(("seeds", "seed_sd"), [(1, 0.0), (3, 0.0), (3, 0.07), (5, 0.09)])
def test_intervals_hold_a_known_difference(seeds, seed_sd):
    make = partial(methods, size=500, seeds=seeds, seed_sd=seed_sd, levels=(1.0, 1.2))
    _, covered = rates(make, expected_accuracy(1.0, seed_sd) - expected_accuracy(1.2, seed_sd))
    assert covered >= 0.93


@pytest.mark.parametrize(("seeds", "seed_sd"), [(1, 0.0), (3, 0.07), (5, 0.09)])
def test_a_rows_interval_holds_its_expected_score(seeds, seed_sd):
    rng = np.random.default_rng(12)
    truth, covered = expected_accuracy(1.0, seed_sd), 0
    for i in range(SIMULATIONS):
        (low, high), _ = Comparison(methods(rng, 500, seeds, seed_sd), draws=1000, seed=i).intervals
        covered += low <= truth <= high
    assert covered / SIMULATIONS >= 0.93


def test_power_on_a_known_difference():
    """One seed, two independent methods of 84% and 80% on 1,000 examples: deviation sqrt((0.1344 + 0.16) / 1000)."""

    def make(rng: np.random.Generator) -> list[Runs]:
        return [{0: right((rng.random(1000) < p).astype(float))} for p in (0.84, 0.80)]

    measured, expected = report_power(make, 0.04, np.sqrt((0.84 * 0.16 + 0.80 * 0.20) / 1000))
    assert measured == pytest.approx(expected, abs=0.05)


def test_two_hundred_rows_are_compared_in_seconds():
    """19,900 pairs, 3 seeds, 1,043 examples; a difference of ten points is found among so many."""
    rng = np.random.default_rng(13)
    levels = [1.0 + 0.001 * i for i in range(199)] + [2.0]
    rows = methods(rng, 1043, 3, levels=levels)
    start = time.process_time()
    board = Comparison(rows)
    assert len(board.pairs) == len(board.tested[1]) == len(board.halves) == 19_900
    assert board.difference(199, 0).verdict == "a" and ranges(board)[199][1] <= 3
    assert len(board.intervals) == 200
    assert time.process_time() - start < 10


def test_the_committed_records():
    """Against a bootstrap of the examples alone, all seeds of both rows on the same resamples, made once apart from
    this code: intervals of 400 draws; seeds then widen them."""
    found = list(disk.read_all(ROOT / "results"))
    board = next(b for b in leaderboard.rows(found) if (b.task, b.track) == ("sts", "lite"))
    rows = named.Reader(board, found, ROOT / "results").rows(set())
    place = {board.rows[i].method: at for at, i in enumerate(rows)}
    comparison = Comparison(list(rows.values()))
    expected = {
        ("kd", "finetune"): (0.41, 0.138, 0.669),
        ("disco", "finetune"): (0.45, 0.168, 0.729),
        ("kd", "disco"): (-0.04, -0.117, 0.030),
    }
    for (a, b), (value, low, high) in expected.items():
        found_difference = comparison.difference(place[a], place[b])
        assert 100 * found_difference.value == pytest.approx(value, abs=0.005)
        assert found_difference.ci95[0] < low / 100 and high / 100 < found_difference.ci95[1]
        pairs, pair = comparison.pairs, sorted((place[a], place[b]))
        (at,) = np.flatnonzero((pairs.first == pair[0]) & (pairs.second == pair[1]))
        examples = 100 * np.sqrt(pairs.v_examples[at])
        assert examples == pytest.approx((high - low) / 3.92, rel=0.1)
