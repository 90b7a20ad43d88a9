"""What a stage reads, batch by batch: student inputs, and teacher signals and labels of the same examples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.inputs import Batch, batch_order
from bench.method import Run, Stage
from bench.network import Network
from bench.networks.inference import to_device
from bench.signals import OUTPUT, PER_INPUT, Signals
from bench.teachers.teacher import LiveSignals, Teacher

WHOLE = 65_536  # inputs; the teacher reads a smaller pool whole, in one order, whatever a run will read of it


class Feed:
    """The batches of one stage: student inputs, teacher signals and labels of the same examples."""

    def __init__(
        self, stage: Stage, run: Run, student: Network, teachers: Sequence[Teacher], number: int, counted: bool = False
    ) -> None:
        self.stage, self.track, self.seed, self.number = stage, run.track, run.seed, number
        self.examples = run.task.examples(stage.data) if isinstance(stage.data, str) else stage.data
        self.encoded = student.encode(self.examples.inputs, run.track.max_length)
        names = concrete(stage.needs, run.task.kind)
        use = "resumed" if counted else "train"  # a resumed stage has paid for its signals already
        self.sources = [self._signals(teacher, names, use) for teacher in teachers] if names else []

    def _signals(self, teacher: Teacher, names: frozenset[str], use: str) -> Any:
        if self.stage.noisy_teacher or (self.stage.reads_padding and not names <= PER_INPUT):
            noisy = self.stage.noisy_teacher
            return LiveSignals(teacher, self.examples, names, self.track.max_length, noisy)
        if names <= PER_INPUT and self.examples.views == 1 and len(self.examples.inputs) <= WHOLE:
            return teacher.signals(self.examples, names, self.track.max_length, use, self.track.signals)
        return teacher.by_row(self.examples, names, self.track.max_length, self.visited, use, self.track.signals)

    @cached_property
    def visited(self) -> np.ndarray:
        """The virtual rows that the stage reads, each once, in ascending order."""
        seen = np.zeros(len(self.examples.inputs) * self.examples.views, bool)
        for step, rows in enumerate(self.order(0)):
            seen[self._viewed(self._flat(rows), step)] = True
        return np.flatnonzero(seen)

    def order(self, start: int) -> Iterator[np.ndarray]:
        """Example numbers, batch by batch, from update `start` on."""
        lengths = self.encoded.lengths[self.examples.groups].max(axis=1)
        bucketed = self.track.batching == "bucketed" and lengths.min() < lengths.max()
        seed = (self.seed, self.number)
        return batch_order(lengths, self.stage.batch_size, seed, start, self.stage.updates, bucketed)

    def _flat(self, rows: np.ndarray) -> np.ndarray:
        """Pool rows of these examples, column by column."""
        return self.examples.groups[rows].T.reshape(-1)

    def batch(self, rows: np.ndarray, step: int, device: torch.device) -> tuple[dict[str, Tensor], Any, Batch]:
        """(student inputs, teacher signals, batch), flattened column by column."""
        flat = self._viewed(self._flat(rows), step)
        labels = self.examples.labels
        inputs = to_device(self.encoded.batch(flat), device)
        batch = Batch(
            torch.from_numpy(rows).to(device), self.examples.groups.shape[1],
            None if labels is None else torch.from_numpy(labels[rows]).to(device),
            inputs, step / self.stage.updates, len(self.examples),
        )  # fmt: skip
        signals = [source.rows(flat).detach() for source in self.sources]
        return inputs, signals if len(self.stage.teachers) > 1 else (signals or [Signals()])[0], batch

    def _viewed(self, rows: np.ndarray, step: int) -> np.ndarray:
        """The same views for every method with this seed: they depend on the seed and the update alone."""
        if self.examples.views == 1:
            return rows
        views = np.random.default_rng((self.seed, 2, step)).integers(self.examples.views, size=len(rows))
        return rows + views * len(self.examples.inputs)


def concrete(names: Iterable[str], kind: str) -> frozenset[str]:
    """`output` replaced by the signal that this kind of task is evaluated on."""
    return frozenset(OUTPUT[kind] if name == "output" else name for name in names)
