"""What a stage reads, batch by batch: student inputs, and teacher signals and labels of the same examples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.inference import to_device
from bench.inputs import Batch, batch_order
from bench.method import Run, Stage
from bench.network import Network
from bench.signals import OUTPUT, PER_INPUT, Signals
from bench.teaching import LiveSignals, Teacher


class Feed:
    """The batches of one stage: student inputs, teacher signals and labels of the same examples."""

    def __init__(
        self, stage: Stage, run: Run, student: Network, teachers: Sequence[Teacher], counted: bool = False
    ) -> None:
        self.stage, self.track, self.seed = stage, run.track, run.seed
        self.examples = run.task.examples(stage.data) if isinstance(stage.data, str) else stage.data
        self.encoded = student.encode(self.examples.inputs, run.track.max_length)
        names = concrete(stage.needs, run.task.kind)
        use = "resumed" if counted else "train"  # a resumed stage has paid for its signals already
        self.sources = [self._signals(teacher, names, use) for teacher in teachers] if names else []

    def _signals(self, teacher: Teacher, names: frozenset[str], use: str) -> Any:
        live = self.stage.noisy_teacher or not names <= PER_INPUT or self.examples.views > 1
        if live:
            return LiveSignals(teacher, self.examples, names, self.track.max_length, self.stage.noisy_teacher)
        return teacher.signals(self.examples, names, self.track.max_length, use)

    def order(self, seed: tuple[int, int], start: int) -> Any:
        """Example numbers, batch by batch, from update `start` on."""
        lengths = self.encoded.lengths[self.examples.groups].max(axis=1)
        bucketed = self.track.batching == "bucketed" and lengths.min() < lengths.max()
        return batch_order(lengths, self.stage.batch_size, seed, start, self.stage.updates, bucketed)

    def batch(self, rows: np.ndarray, step: int, device: torch.device) -> tuple[dict[str, Tensor], Any, Batch]:
        """(student inputs, teacher signals, batch), flattened column by column."""
        groups = self.examples.groups[rows]
        flat = self._viewed(groups.T.reshape(-1), step)
        labels = self.examples.labels
        inputs = to_device(self.encoded.batch(flat), device)
        batch = Batch(
            torch.from_numpy(rows).to(device), groups.shape[1],
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
