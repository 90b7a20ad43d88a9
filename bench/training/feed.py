"""What a stage reads, batch by batch: inputs of the networks that run, stored signals of the others, labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch

from bench.inputs import Batch, Examples, Mixture, flat
from bench.kind import Kind
from bench.method import Role, Run, Stage
from bench.network import Network
from bench.networks.inference import encode, to_device
from bench.signals import Signals
from bench.teachers.teacher import Asked, LiveSignals, Source, Teacher
from bench.training.order import batch_order

Served = dict[str, Signals | list[Signals]]  # by role


class Feed:
    """The batches of one stage. `networks`: those that run in every update, by role; the others are `teachers`."""

    def __init__(
        self, stage: Stage, run: Run, networks: Mapping[str, Network], teachers: Mapping[str, Teacher], number: int,
        counted: bool = False,
    ) -> None:  # fmt: skip
        """`counted`: a resumed stage, which has paid for its signals already."""
        self.stage, self.run, self.number, self.counted = stage, run, number, counted
        self.examples: Examples = run.task.examples(stage.data) if isinstance(stage.data, str) else stage.data
        goal, limit = run.task.goal, run.track.max_length
        self.encoded: dict[str, Any] = {
            role: encode(network, goal, self.examples, limit) for role, network in networks.items()
        }
        self.sources = {role: self._serve(r, teachers) for role, r in stage.roles.items() if role not in networks}

    def _serve(self, role: Role | Sequence[Role], teachers: Mapping[str, Teacher]) -> Source | list[Source]:
        if not isinstance(role, Role):
            return [self._one(r, teachers) for r in role]
        return self._one(role, teachers)

    def _one(self, role: Role, teachers: Mapping[str, Teacher]) -> Source:
        track, use = self.run.track, "resumed" if self.counted else "train"
        names = concrete(role.signals, self.run.task.goal)
        asked = Asked(self.examples, names, track.max_length, use, track.signals, role.noisy, role.reads_padding)  # type: ignore[arg-type]
        return teachers[role.who].serve(asked, lambda: self.visited)

    @cached_property
    def visited(self) -> np.ndarray:
        """The virtual rows that the stage reads, each once, in ascending order."""
        read = [flat(self._viewed(self.examples.groups[rows], step)) for step, rows in enumerate(self.order(0))]
        return np.unique(np.concatenate(read))

    def order(self, start: int) -> Iterator[np.ndarray]:
        """Example numbers, batch by batch, from update `start` on."""
        lengths = self.encoded["student"].lengths[self.examples.groups].max(axis=1)
        batching = self.run.track.batching if lengths.min() < lengths.max() else "plain"
        seed = (self.run.seed, self.number)
        repeats = self.examples.repeats
        return batch_order(lengths, self.stage.batch_size, seed, start, self.stage.updates, batching, repeats)

    def batch(self, rows: np.ndarray, step: int, device: torch.device) -> tuple[Served, Batch]:
        """The signals of the networks that do not run, and the batch, both flattened column by column."""
        groups = self._viewed(self.examples.groups[rows], step)
        labels = self.examples.targets(rows)
        labels = None if labels is None else labels.to(device)
        inputs = {role: to_device(encoded.batch(groups), device) for role, encoded in self.encoded.items()}
        mixture = self._mixture(step)
        if mixture:
            labels = None if labels is None else mixture.targets(labels)
            inputs = {role: mixture.inputs(tensors) for role, tensors in inputs.items()}
        batch = Batch(
            torch.from_numpy(rows).to(device), groups.shape[1], labels, inputs, step / self.stage.updates,
            len(self.examples),
        )  # fmt: skip
        served = {role: read(source, flat(groups), mixture) for role, source in self.sources.items()}
        return served, batch

    def _mixture(self, step: int) -> Mixture | None:
        """As views: by the seed and the update alone."""
        return self.examples.mixing.draw((self.run.seed, 3, step)) if self.examples.mixing else None

    def _viewed(self, groups: np.ndarray, step: int) -> np.ndarray:
        """The same views for every method with this seed: they depend on the seed and the update alone."""
        if self.examples.views == 1:
            return groups
        views = np.random.default_rng((self.run.seed, 2, step)).integers(self.examples.views, size=groups.size)
        return groups + views.reshape(groups.shape[::-1]).T * len(self.examples.inputs)


def read(source: Source | list[Source], rows: np.ndarray, mixture: Mixture | None = None) -> Signals | list[Signals]:
    """The signals of these virtual rows; of several networks a list. Those that run read the same mixture."""
    if isinstance(source, list):
        return [read(one, rows, mixture) for one in source]  # type: ignore[misc]
    return (source.rows(rows, mixture) if isinstance(source, LiveSignals) else source.rows(rows)).detach()


def concrete(names: Iterable[str], goal: Kind) -> frozenset[str]:
    """`output` replaced by the signal that this kind of task is evaluated on."""
    return frozenset(goal.output if name == "output" else name for name in names)
