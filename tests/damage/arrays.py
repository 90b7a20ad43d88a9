"""Arrays that a record was not made from, or that no run writes. The hash is right unless the name says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.base.archive import pack
from tests.damage.tools import Damage, Inapplicable, arrays_of, file_of, first, put_arrays, put_file, second

Arrays = dict[str, np.ndarray]


def arrays(name: str, change: Callable[[Arrays], Any], part: str = "predictions") -> Damage:
    """The arrays of the first record changed in place."""

    def apply(results: Path) -> Path:
        found = arrays_of(first(results), part)
        change(found)
        return put_arrays(first(results), found, part)

    return Damage(name, apply)


def array(name: str, kind: str, change: Callable[[np.ndarray], np.ndarray]) -> Damage:
    """The first array of a kind (prediction, gold, teacher) replaced."""

    def replace(found: Arrays) -> None:
        key = key_of(found, kind)
        found[key] = change(found[key])

    return arrays(name, replace)


def key_of(found: Arrays, kind: str) -> str:
    for key in found:
        if key.endswith(f"/{kind}"):
            return key
    raise Inapplicable(f"there is no array {kind}: it is stored since schema 2")


def dataset_of(found: Arrays) -> str:
    return key_of(found, "prediction").rpartition("/")[0]


def one_moved(values: np.ndarray) -> np.ndarray:
    """The lowest value above all others; of classes, the lowest logit of one input, so that its class is another."""
    changed = values.copy()
    row = changed if changed.ndim == 1 else changed[0]
    row[row.argmin()] = row.max() + 1
    return changed


def every(change: Callable[[np.ndarray], np.ndarray], *kinds: str) -> Callable[[Arrays], None]:
    """All arrays of some kinds, in all data sets; of every kind when none is named."""

    def apply(found: Arrays) -> None:
        for key in found:
            if not kinds or key.rpartition("/")[2] in kinds:
                found[key] = change(found[key])

    return apply


def first_set(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Arrays], None]:
    """All arrays of the first data set."""

    def apply(found: Arrays) -> None:
        for key in [k for k in found if k.rpartition("/")[0] == dataset_of(found)]:
            found[key] = change(found[key])

    return apply


def shuffled(values: np.ndarray) -> np.ndarray:
    return np.random.default_rng(0).permutation(values)


def with_value(value: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(values: np.ndarray) -> np.ndarray:
        changed = values.astype(np.float32)
        changed[0] = value
        return changed

    return change


def without(kind: str) -> Callable[[Arrays], None]:
    return lambda found: found.pop(key_of(found, kind))


def without_set(found: Arrays) -> None:
    for key in [k for k in found if k.rpartition("/")[0] == dataset_of(found)]:
        del found[key]


def added_set(found: Arrays) -> None:
    for key in [k for k in found if k.rpartition("/")[0] == dataset_of(found)]:
        found[f"imaginary/{key.rpartition('/')[2]}"] = found[key]


def of_one_document(found: Arrays) -> None:
    """Every example shares one unit, so that a draw is always all of them, and the interval has no width."""
    key = key_of(found, "prediction")
    found[f"{dataset_of(found)}/units"] = np.zeros((len(found[key]), 1), np.int64)


def one_value_unhashed(results: Path) -> Path:
    path = first(results)
    found = arrays_of(path)
    key = key_of(found, "prediction")
    found[key] = one_moved(found[key])
    file_of(path).write_bytes(pack(found))
    return path


def swapped(results: Path, hashed: bool, part: str = "predictions") -> Path:
    """Two records' files exchanged."""
    path, other = first(results), second(results)
    mine, theirs = file_of(path, part).read_bytes(), file_of(other, part).read_bytes()
    if mine == theirs:
        raise Inapplicable("the two runs have the same file")
    for target, data in ((path, theirs), (other, mine)):
        if hashed:
            put_file(target, data, part)
        else:
            file_of(target, part).write_bytes(data)
    return path


def students_as_teachers(found: Arrays) -> None:
    """A student as good as its teacher, by taking the teacher's predictions for its own."""
    key_of(found, "teacher")
    for key in list(found):
        if key.endswith("/prediction"):
            found[key] = found[key.replace("/prediction", "/teacher")]


DAMAGES: list[Damage] = [
    Damage("predictions swapped with another run's", lambda results: swapped(results, hashed=False)),
    Damage("predictions swapped with another run's, hashes too", lambda results: swapped(results, hashed=True)),
    Damage("one prediction changed, the hash left", one_value_unhashed),
    array("one prediction changed", "prediction", one_moved),
    array("one gold value changed", "gold", one_moved),
    array("one prediction of the teacher changed", "teacher", one_moved),
    arrays("predictions negated", every(lambda values: -values, "prediction")),
    arrays("predictions in another order", every(shuffled, "prediction")),
    arrays("predictions that are the gold values", lambda found: found.update(
        {k: found[k.replace("/prediction", "/gold")].astype(np.float32) for k in found if k.endswith("/prediction")})),
    arrays("predictions that are the teacher's", students_as_teachers),
    arrays("constant predictions", every(np.zeros_like, "prediction")),
    arrays("examples that all share one document", of_one_document),
    arrays("half of the examples", every(lambda values: values[: len(values) // 2])),
    arrays("half of the examples of one data set", first_set(lambda values: values[: len(values) // 2])),
    arrays("examples twice", every(lambda values: np.concatenate([values, values]))),
    arrays("no examples", every(lambda values: values[:0])),
    array("a prediction that is not a number", "prediction", with_value(np.nan)),
    array("an infinite prediction", "prediction", with_value(np.inf)),
    array("a gold value that is not a number", "gold", with_value(np.nan)),
    array("a prediction of the teacher that is not a number", "teacher", with_value(np.nan)),
    array("a prediction too few", "prediction", lambda values: values[1:]),
    array("a gold value too many", "gold", lambda values: np.append(values, values[:1], axis=0)),
    array("a prediction of the teacher too few", "teacher", lambda values: values[1:]),
    array("predictions of another shape", "prediction", lambda values: values.reshape(1, *values.shape)),
    array("a single prediction", "prediction", lambda values: values.reshape(-1)[0]),
    array("predictions that are texts", "prediction", lambda values: values.astype(str)),
    array("predictions that are complex", "prediction", lambda values: values.astype(np.complex64)),
    array("predictions that are dates", "prediction", lambda values: values.astype("datetime64[s]")),
    array("predictions of named fields", "prediction", lambda values: values.view([("x", values.dtype)])),
    arrays("no gold values", without("gold")),
    arrays("no predictions of a data set", without("prediction")),
    arrays("no predictions of the teacher", without("teacher")),
    arrays("a data set removed", without_set),
    arrays("a data set too many", added_set),
    arrays("an array too many", lambda found: found.update({f"{dataset_of(found)}/imaginary": np.zeros(3)})),
    arrays("an array of no data set", lambda found: found.update(prediction=np.zeros(3))),
    arrays("no arrays", lambda found: found.clear()),
]  # fmt: skip
