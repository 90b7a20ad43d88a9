"""Nodes of one graph, each of one of three communities: few edges lead out of a community, and features are noisy."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from bench.inputs import Examples, Pool, single
from bench.scoring.metrics import METRICS
from bench.task import Card, Predictions, Scores, Task, Track

BOUNDS = {"train": (0, 90), "dev": (90, 140), "test": (140, 240)}


class Graph(Pool):
    """Some nodes of a graph whose every node has features (M, D); its edges are (2, E)."""

    def __init__(self, nodes: np.ndarray, features: np.ndarray, edges: np.ndarray) -> None:
        self.nodes, self.features, self.edges = nodes, features, edges

    def __len__(self) -> int:
        return len(self.nodes)

    def __getitem__(self, row: Any) -> Any:
        return self.take(np.arange(len(self))[row]) if isinstance(row, slice) else int(self.nodes[row])

    def take(self, rows: Sequence[int] | np.ndarray) -> Graph:
        return Graph(self.nodes[np.asarray(rows, np.int64)], self.features, self.edges)

    def sizes(self) -> np.ndarray:
        """One for each: every node costs the whole graph."""
        return np.ones(len(self), np.int64)

    @cached_property
    def digest(self) -> str:  # type: ignore[override]
        """Of the whole graph too: a node's neighbours decide what is said of it."""
        parts = (self.nodes, self.features, self.edges)
        return hashlib.sha256(b"".join(part.tobytes() for part in parts)).hexdigest()


class Nodes(Task):
    title = "Communities of a graph"
    kind = "classify"
    reads = "graph"
    training_sets = ("distil", "supervised")
    main_metric = "accuracy"
    classes = ("a", "b", "c")
    tracks: Mapping[str, Track] = {
        "mini": Track(
            updates=60, batch_size=16, evaluations=4, teacher="tests/worlds/propagation.py:12",
            student="tests/worlds/propagation.py:6",
        )
    }  # fmt: skip

    @cached_property
    def labels(self) -> np.ndarray:
        return np.random.default_rng(0).integers(3, size=240)

    @cached_property
    def graph(self) -> Graph:
        rng = np.random.default_rng(1)
        same = self.labels[:, None] == self.labels
        ones = np.triu(rng.random((240, 240)) < np.where(same, 0.08, 0.01), 1)
        features = rng.normal(size=(240, 8)) + 0.7 * np.eye(3, 8)[self.labels]
        return Graph(np.arange(240), features.astype(np.float32), np.stack((ones | ones.T).nonzero()))

    def part(self, split: str) -> np.ndarray:
        return np.arange(*BOUNDS[split])

    def identity(self) -> str:
        return hashlib.sha256(f"{self.graph.digest} {self.labels.tolist()}".encode()).hexdigest()

    def card(self) -> Card:
        sizes = {split: stop - start for split, (start, stop) in BOUNDS.items()}
        return Card(self.title, "made of random numbers", "seeds 0 and 1", "CC0", "none", {"test": "nodes"}, sizes)

    def examples(self, purpose: str) -> Examples:
        return single(self.inputs("train"), self.labels[self.part("train")])

    def inputs(self, split: str) -> Graph:
        return self.graph.take(self.part(split))

    def predict(self, outputs: np.ndarray, split: str) -> Predictions:
        goal = self.goal
        return {"nodes": goal.predictions(goal.checked(outputs, len(self.part(split))), self.labels[self.part(split)])}

    @staticmethod
    def score(predictions: Predictions) -> Scores:
        accuracy = METRICS["accuracy"]
        return {name: {"accuracy": accuracy.value(a["prediction"], a["gold"])} for name, a in predictions.items()}
