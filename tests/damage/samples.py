"""Samples of the clock that a record was not made from: in a file of their own since schema 2."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.damage.arrays import Arrays, arrays, swapped
from tests.damage.tools import Damage, Inapplicable, edit_json, file_of, first, load, to

SAMPLES = "efficiency.samples"


def own_file(apply: Callable[[Path], Path]) -> Callable[[Path], Path]:
    """A damage that needs the file."""

    def checked(results: Path) -> Path:
        if "sha256" not in load(first(results))["efficiency"]["samples"]:
            raise Inapplicable("samples are in a file of their own since schema 2")
        return apply(results)

    return checked


def samples(name: str, change: Callable[[Arrays], Any]) -> Damage:
    return Damage(name, own_file(arrays(name, change, SAMPLES).apply))


def sample_key(found: Arrays) -> str:
    return next(k for k in sorted(found) if not k.endswith("/calls"))


def one_sample(value: int) -> Callable[[Arrays], None]:
    def change(found: Arrays) -> None:
        key = sample_key(found)
        found[key] = found[key].astype(np.int64)
        found[key][0] = value

    return change


def quicker(found: Arrays) -> None:
    for key in found:
        if "/student" in key and not key.endswith("/calls"):
            found[key] = found[key] // 2


def longer_turn(found: Arrays) -> None:
    """A turn of more calls than there are samples."""
    found[sample_key(found) + "/calls"][0] += 1000


def without_calls(found: Arrays) -> None:
    del found[sample_key(found) + "/calls"]


def without_network(found: Arrays) -> None:
    for key in [k for k in found if "/teacher" in k]:
        del found[key]


def missing(results: Path) -> Path:
    file_of(first(results), SAMPLES).unlink()
    return first(results)


def predictions_named(results: Path) -> Path:
    """The record names its predictions as its samples too."""
    return edit_json(first(results), to(load(first(results))["predictions"]), SAMPLES)


DAMAGES: list[Damage] = [
    Damage("samples swapped with another run's", own_file(lambda results: swapped(results, False, SAMPLES))),
    Damage("samples swapped with another run's, hashes too", own_file(lambda results: swapped(results, True, SAMPLES))),
    Damage("samples missing", own_file(missing)),
    Damage("samples that are the predictions", own_file(predictions_named)),
    samples("a sample below 0", one_sample(-5)),
    samples("a sample of no time", one_sample(0)),
    samples("samples of the student halved", quicker),
    samples("a turn of more calls than samples", longer_turn),
    samples("samples without their turns", without_calls),
    samples("samples of one network", without_network),
    samples("samples that are not whole", lambda found: found.update(
        {sample_key(found): found[sample_key(found)] / 3})),
]  # fmt: skip
