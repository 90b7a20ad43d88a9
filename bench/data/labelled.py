"""What tasks share whose examples are an input and a label: a fixed dev cut, splits, predictions and their gold."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add
from typing import Any

import numpy as np

from bench.errors import unknown
from bench.inputs import Examples, Pool, digest_texts, pool, single, texts
from bench.scoring.metrics import METRICS
from bench.sources import DataError
from bench.task import Outputs, Predictions, Scores, Task


@dataclass(frozen=True)
class Labelled:
    """N inputs (a pool, or a list of texts or pairs) and their labels: class numbers (N,), int64, values (N,), float32,
    or `Ragged` rows of class numbers, one a word."""

    inputs: Sequence[Any]
    labels: Any

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", pool(self.inputs))

    def __len__(self) -> int:
        return len(self.inputs)

    def rows(self, chosen: Sequence[int] | np.ndarray) -> Labelled:
        chosen = np.asarray(chosen, np.int64)
        return Labelled(self.inputs.take(chosen), self.labels[chosen])  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Splits:
    """train and dev, and test by the name of the data set."""

    train: Labelled
    dev: Labelled
    test: Mapping[str, Labelled]


def by_hash(data: Labelled) -> Labelled:
    """In the order of their sha256: the same for every source, and unlike any file's. Equal inputs keep theirs."""
    keys = [hashlib.sha256(line.encode()).digest() for line in texts(data.inputs).lines()]
    return data.rows(sorted(range(len(keys)), key=keys.__getitem__))


def cut(data: Labelled, *sizes: int) -> list[Labelled]:
    """Parts of these sizes, then the rest, in hashed order. Equal inputs stay on one side of a cut, and each part has
    all classes (`with_classes`)."""
    data, parts = by_hash(data), []
    for size in sizes:
        while 0 < size < len(data) and data.inputs[size] == data.inputs[size - 1]:
            size += 1
        chosen = np.arange(len(data)) < size
        if size and isinstance(data.labels, np.ndarray) and data.labels.dtype.kind == "i":
            chosen = with_classes(chosen, data.labels, lambda: by_input(data))  # noqa: B023
        parts.append(data.rows(np.flatnonzero(chosen)))
        data = data.rows(np.flatnonzero(~chosen))
    return [*parts, data]


def by_input(data: Labelled) -> np.ndarray:
    """(N,) numbers, the same for equal inputs, which stand side by side."""
    other = [n > 0 and data.inputs[n] != data.inputs[n - 1] for n in range(len(data))]
    return np.cumsum(other)


def with_classes(chosen: np.ndarray, labels: np.ndarray, groups: Callable[[], np.ndarray]) -> np.ndarray:
    """(N,) bool: the chosen rows, and of each class that none of them has the first row, with its whole group; a class
    of one group alone stays where it is learned from. A class that dev never shows would not count in any choice."""
    missing = np.setdiff1d(labels, labels[chosen])
    of_row, found = groups() if len(missing) else labels, chosen.copy()
    for label in missing:
        own = of_row[labels == label]
        if len(np.unique(own)) > 1:
            found |= of_row == own[0]
    return found


def dev_size(n: int) -> int:
    """A tenth of the training set, at most 1,000."""
    return min(n // 10, 1000)


def numbers(labels: Sequence[Any], classes: Sequence[str], places: Sequence[str]) -> np.ndarray:
    """Class numbers of names or of numbers. DataError: neither, with its place."""
    known = {name: n for n, name in enumerate(classes)} | {str(n): n for n in range(len(classes))}
    for label, place in zip(labels, places, strict=True):
        if str(label) not in known:
            raise DataError(f"{place}: {label!r} is no label; there are {', '.join(classes)}")
    return np.array([known[str(label)] for label in labels], np.int64)


class LabelledTask(Task):
    """A task of labelled inputs. A family says how its data sets are read, and which metrics each has."""

    metrics: Mapping[str, Sequence[str]]  # data set -> metrics; the main one among them

    @abstractmethod
    def read(self) -> Splits:
        """The splits of this data set from this source."""

    @cached_property
    def splits(self) -> Splits:
        found = self.read()
        train = found.train.rows(range(min(len(found.train), self.track.examples or len(found.train))))
        if not len(train) or not len(found.dev):
            raise DataError(f"{self.name or self.dataset} has too few training examples to cut a dev set from")
        if empty := [name for name, data in found.test.items() if not len(data)]:
            raise DataError(f"{self.name or self.dataset}: the file of {empty[0]} holds no examples to test on")
        return Splits(train, found.dev, found.test)

    def part(self, split: str) -> Mapping[str, Labelled]:
        """The data sets of `dev` or `test`."""
        self.open_split(split)
        if split not in ("dev", "test"):
            raise unknown("split", split, ("dev", "test"))
        name = self.dataset or next(iter(self.splits.test))  # of a family that is one task
        return {name: self.splits.dev} if split == "dev" else self.splits.test

    def examples(self, purpose: str) -> Examples:
        """`distil` and `supervised`: the labelled training set, in hashed order."""
        return self._examples

    @cached_property
    def _examples(self) -> Examples:
        return single(self.splits.train.inputs, self.splits.train.labels)

    def inputs(self, split: str) -> Pool:
        return reduce(add, (pool(data.inputs) for data in self.part(split).values()))

    def answers(self) -> Any:
        return self.splits.dev.labels

    def predict(self, outputs: Outputs, split: str) -> Predictions:
        """What the kind decoded, beside the labels. BenchError: of another shape, or not finite."""
        found, start, goal = {}, 0, self.goal
        outputs = goal.checked(outputs, len(self.inputs(split)))
        for name, data in self.part(split).items():
            found[name] = goal.predictions(outputs[np.arange(start, start + len(data))], data.labels)
            start += len(data)
        return found

    def identity(self) -> str:
        """Hash of all texts and labels, as they are read."""
        parts = []
        for name, data in {"train": self.splits.train, "dev": self.splits.dev, **self.splits.test}.items():
            parts += [name, pool(data.inputs).digest, repr(data.labels.tolist())]
        return digest_texts(parts)

    def sizes(self) -> dict[str, int]:
        """Examples of every split."""
        counts = {name: len(data) for name, data in self.splits.test.items()}
        return {"train": len(self.splits.train), "dev": len(self.splits.dev), "test": sum(counts.values())} | counts


def scored(predictions: Predictions, metrics: Mapping[str, Sequence[str]] | Sequence[str]) -> Scores:
    """Each data set's metrics, of all the same or by name; `mnli-matched` has those of mnli."""
    return {
        name: {m: METRICS[m].value(a["prediction"], a["gold"]) for m in metrics_of(name, metrics)}
        for name, a in predictions.items()
    }


def metrics_of(name: str, metrics: Mapping[str, Sequence[str]] | Sequence[str]) -> Sequence[str]:
    """DataError: there are none for this data set."""
    if not isinstance(metrics, Mapping):
        return metrics
    for known in (name, name.partition("-")[0]):
        if known in metrics:
            return metrics[known]
    raise DataError(f"no metrics are given for the data set {name!r}; there are {', '.join(metrics)}")
