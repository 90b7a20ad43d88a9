"""What a stage reads, batch by batch: inputs of the networks that run, stored signals of the others, labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from bench.inputs import Batch, Examples, Mixture, flat
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
        read = {role: network.grouped(self.examples) for role, network in networks.items()}
        self.encoded: dict[str, Any] = {r: encode(network, goal, read[r], limit) for r, network in networks.items()}
        self.groups: dict[str, Any] = {role: own.groups for role, own in read.items()}  # of what each network reads
        self.sources = {role: self._serve(role, r, teachers) for role, r in stage.roles.items() if role not in networks}

    def _serve(self, name: str, role: Role | Sequence[Role], teachers: Mapping[str, Teacher]) -> Source | list[Source]:
        found = [self._one(r, teachers) for r in ([role] if isinstance(role, Role) else role)]
        sources, groups = [source for source, _ in found], [own for _, own in found]
        self.groups[name] = groups[0] if isinstance(role, Role) else groups
        return sources[0] if isinstance(role, Role) else sources

    def _one(self, role: Role, teachers: Mapping[str, Teacher]) -> tuple[Source, np.ndarray]:
        """Who gives the signals of a role, and the groups of its own inputs that the examples are."""
        track, use, network = self.run.track, "resumed" if self.counted else "train", teachers[role.who].network
        names, read = network.named(role.signals, self.run.task.goal.output), network.grouped(self.examples)
        asked = Asked(read, names, track.max_length, use, track.signals, role.noisy, role.reads_padding)  # type: ignore[arg-type]
        return teachers[role.who].serve(asked, lambda: self.visits(read.groups)), read.groups

    @property
    def visited(self) -> np.ndarray:
        """The virtual rows that the stage reads, each once, in ascending order."""
        return self.visits(self.examples.groups)

    def visits(self, groups: np.ndarray) -> np.ndarray:
        """The same of a network for which the examples are these groups."""
        read = [flat(self._viewed(groups[rows], step)) for step, rows in enumerate(self.order(0))]
        return np.unique(np.concatenate(read))

    def order(self, start: int) -> Iterator[np.ndarray]:
        """Example numbers, batch by batch, from update `start` on."""
        lengths = self.encoded["student"].lengths[self.groups["student"]].max(axis=1)
        batching = self.run.track.batching if lengths.min() < lengths.max() else "plain"
        seed = (self.run.seed, self.number)
        repeats = self.examples.repeats
        return batch_order(lengths, self.stage.batch_size, seed, start, self.stage.updates, batching, repeats)

    def batch(self, rows: np.ndarray, step: int, device: torch.device) -> tuple[Served, Batch]:
        """The signals of the networks that do not run, and the batch, both flattened column by column."""
        labels = self.examples.targets(rows)
        labels = None if labels is None else labels.to(device)
        viewed = lambda groups: self._viewed(groups[rows], step)  # noqa: E731
        inputs = {r: to_device(encoded.batch(viewed(self.groups[r])), device) for r, encoded in self.encoded.items()}
        mixture = self._mixture(step)
        if mixture:
            labels = None if labels is None else mixture.targets(labels)
            inputs = {role: mixture.inputs(tensors) for role, tensors in inputs.items()}
        batch = Batch(
            torch.from_numpy(rows).to(device), self.examples.groups.shape[1], labels, inputs, step / self.stage.updates,
            len(self.examples),
        )  # fmt: skip
        served = {r: read(source, self.groups[r], viewed, mixture) for r, source in self.sources.items()}
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


def read(
    source: Source | list[Source], groups: Any, viewed: Callable[[np.ndarray], np.ndarray],
    mixture: Mixture | None = None,
) -> Signals | list[Signals]:  # fmt: skip
    """The signals of a batch, which `viewed` takes out of all groups; of several networks a list. Those that run read
    the same mixture."""
    if isinstance(source, list):
        return [read(one, own, viewed, mixture) for one, own in zip(source, groups, strict=True)]  # type: ignore[misc]
    rows = flat(viewed(groups))
    return (source.rows(rows, mixture) if isinstance(source, LiveSignals) else source.rows(rows)).detach()
