"""Which runs may say the same: those that hardly moved from their common start, and no others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bench.base.archive import load_arrays
from bench.records import disk, together
from bench.records.arrays import unflatten
from bench.records.schemas import Choice, Record
from bench.records.specs import checked_spec
from bench.records.together import Seen
from tests.factories.records import make
from tests.factories.runs import ROOT

BOARD = ROOT / "results/lite/text/trec"


def seen(method: str, place: int) -> Seen:
    path = sorted((BOARD / method / "bert-3").glob("*.json"))[place]
    record = disk.read(path)
    arrays = unflatten(load_arrays(path.with_suffix(".npz").read_bytes()))
    return Seen.of(path, record, checked_spec(record), arrays)


def moved(record: Record, by: float, updates: int = 4) -> Record:
    """The record of a run of so few updates, whose last checkpoint is better than its start by so much on dev."""
    points = [
        {"stage": "distil", "step": step, "losses": {"soft": 1.0} if step else {}, "dev": 0.5 + by * (step == updates)}
        for step in range(updates + 1)
    ]
    found = record.model_copy(update={"curve": points})
    chosen = Choice(what="checkpoint of stage distil", split="dev", step=updates if by > 0 else 0, value=0.5 + by)
    found.metrics = found.metrics.model_copy(update={"choices": [chosen]})
    found.cost = found.cost.model_copy(update={"stages": {"distil": updates}})
    return found


def shaken(values: np.ndarray | str) -> np.ndarray:
    """Nearly the same: correlated to 1 - 5e-7."""
    assert isinstance(values, np.ndarray)
    noise = np.random.default_rng(0).normal(0, 1e-3 / np.sqrt(len(values)), len(values))
    return (values + noise) / np.linalg.norm(values + noise)


OTHER_SEED: Callable[[], tuple[Seen, Seen]] = lambda: (seen("kd", 0), seen("kd", 1))  # noqa: E731
OTHER_METHOD: Callable[[], tuple[Seen, Seen]] = lambda: (seen("kd", 0), seen("finetune", 0))  # noqa: E731


@pytest.mark.parametrize("pair", [OTHER_SEED, OTHER_METHOD], ids=["seed", "method"])
@pytest.mark.parametrize(
    ("one", "other", "copied"),
    [
        (0.0, 0.0, False),  # both kept their start
        (0.003, 0.0, False),  # a few updates, after which dev tells them from it by two of 545 examples at most
        (0.003, 0.004, False),
        (0.3, 0.3, True),  # both learnt, the very same
        (0.3, 0.0, True),
        (0.003, 0.3, True),
    ],
)
def test_honest_toys_and_copies(pair: Callable[[], tuple[Seen, Seen]], one: float, other: float, copied: bool) -> None:
    first, second = pair()
    toys = [
        replace(first, record=moved(first.record, one)),
        replace(second, record=moved(second.record, other), own=shaken(first.own)),
    ]
    found = list(together.copies(toys))
    assert bool(found) == copied
    assert all("which is another run" in why for _, why in found)


def test_what_hardly_moves_by_how_many_examples_dev_has() -> None:
    small = make(data__sizes={"dev": 20, "test": 20})
    assert moved(small, 0.05).hardly_moved and not moved(small, 0.15).hardly_moved
    large = make(data__sizes={"dev": 5000, "test": 20})
    assert moved(large, 0.005).hardly_moved and not moved(large, 0.05).hardly_moved


def test_a_stage_that_keeps_its_end_has_moved_whatever_dev_says() -> None:
    kept = moved(make(), 0.0)
    kept.cost.stages = {"distil": 4, "more": 4}
    assert not kept.hardly_moved


def test_runs_that_differ_are_no_copies() -> None:
    assert not list(together.copies([seen("kd", 0), seen("kd", 1), seen("finetune", 0)]))
