"""Seeds that are trained together: the loop over a stack, each seed with an account of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.errors import RequestError
from bench.inputs import Batch
from bench.method import Losses, Stage
from bench.networks.inference import to_device
from bench.optimiser import over
from bench.signals import Signals
from bench.training import checkpoint, trial
from bench.training.feed import Feed, concrete
from bench.training.loop import Progress, Trainer
from bench.training.stacked import Replica, Stack, clip

LOOKED_AT = 50  # batches among which the one is looked for that the longest of all seeds pads most


class Together(Trainer):
    """Trains K members in lockstep. Each keeps its own order of the data, its curve and its best checkpoint, as if it
    were alone; updates are made, and seconds spent, for all at once. RequestError: this cannot be trained so."""

    def __init__(self, members: Sequence[Trainer], path: Path) -> None:
        first = members[0]
        super().__init__(first.student, first.method, first.teacher, first.evaluate, path, first.console)
        self.members = members
        self.stack = Stack([Replica(m.student, m.method) for m in members])

    def fit(self) -> Progress:
        super().fit()
        self._tell()
        self.stack.release()
        return self.progress

    def _prepare(self, stage: Stage, resumed: bool) -> tuple[Any, Any]:
        refuse(trial.of_stage(stage))
        feed = StackedFeed(stage, self.members, self.progress.stage, resumed)
        if not resumed:
            self._try(stage, feed)
        learning = [p for p in self.stack.parameters.values() if p.requires_grad]
        return feed, over(stage.optimiser, learning, stacked=True)

    def _try(self, stage: Stage, feed: StackedFeed) -> None:
        """Before the first update of a stage; the teacher's passes for it are not the stage's."""
        paid, stages = dict(self.teacher.forwards), [list(m.method.stages())[self.progress.stage] for m in self.members]
        rows, step = feed.widest()
        _, teacher, batch = feed.batch(rows, step, self.teacher.device)

        def at_once() -> Losses:
            state = {name: t.detach().clone() for name, t in self.stack.state.items()}
            return self.stack.losses(stage, concrete(stage.wants, self.task.kind), teacher, batch, state)

        refuse(trial.tried(self.members, stages, feed.feeds, rows, step, at_once))
        self.teacher.forwards.update(paid)

    def _losses(self, stage: Stage, feed: Any, rows: np.ndarray) -> Losses:
        _, teacher, batch = feed.batch(rows, self.progress.step, self.teacher.device)
        return self.stack.losses(stage, concrete(stage.wants, self.task.kind), teacher, batch, self.stack.state)

    def _clip(self, parameters: list[Tensor], limit: float) -> None:
        clip(parameters, limit)

    def _tell(self) -> None:
        """Where the stack is, in each member's account: seconds and energy in equal shares."""
        p, count = self.progress, len(self.members)
        for m in self.members:
            m.progress = replace(
                m.progress, stage=p.stage, step=p.step, updates=p.updates, seconds=p.seconds / count,
                joules=p.joules / count,
            )  # fmt: skip

    def _read(self, stage: Stage, sums: dict[str, Any], every: int) -> list[dict[str, float]]:
        self._tell()
        values = {name: total.tolist() for name, total in sums.items()}
        sums.clear()
        return [m._read(stage, {n: v[k] for n, v in values.items()}, every) for k, m in enumerate(self.members)]

    def _judge(self, stage: Stage, losses: Any) -> None:
        self._tell()
        for k, m in enumerate(self.members):
            m._judge(stage, losses[k] if losses else {})

    def _use_best(self) -> None:
        for m in self.members:
            m._use_best()
            m.progress.best = None

    def _state(self) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for k, m in enumerate(self.members):
            found |= checkpoint.with_prefix(str(k), m._state() | checkpoint.with_prefix("best", m.best))
        return found

    def _status(self) -> dict[str, Any]:
        self._tell()
        return super()._status() | {"members": [asdict(m.progress) for m in self.members]}

    def _load(self, tensors: dict[str, Tensor]) -> None:
        for k, m in enumerate(self.members):
            m._load(checkpoint.without_prefix(str(k), tensors))

    def _restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        for k, (m, progress) in enumerate(zip(self.members, state.pop("members"), strict=True)):
            m.progress = Progress(**progress)
            m.best = checkpoint.without_prefix("best", checkpoint.without_prefix(str(k), tensors))
        super()._restore(tensors, state)


class StackedFeed:
    """The batches of K seeds side by side, (K, B, ...): what each would read alone, padded to the longest of all."""

    def __init__(self, stage: Stage, members: Sequence[Trainer], number: int, resumed: bool) -> None:
        first = members[0]
        own = Feed(stage, first.method.run, first.student, [first.teacher], number, counted=resumed)
        encoded = Encoded(own.encoded)
        others = [Feed(stage, m.method.run, encoded, [m.teacher], number, counted=resumed) for m in members[1:]]  # type: ignore[arg-type]
        self.feeds, self.stage, self.examples, self.encoded = [own, *others], stage, own.examples, own.encoded

    def order(self, start: int) -> Iterator[np.ndarray]:
        """Example numbers (K, B), batch by batch, from update `start` on."""
        return map(np.stack, zip(*(f.order(start) for f in self.feeds), strict=True))

    def flat(self, rows: np.ndarray, step: int) -> np.ndarray:
        """Pool rows (K, columns * B) of these examples (K, B), in the view that each seed has at this update."""
        return np.stack(
            [f._viewed(self.examples.groups[r].T.reshape(-1), step) for f, r in zip(self.feeds, rows, strict=True)]
        )

    def widest(self) -> tuple[np.ndarray, int]:
        """(rows, update) of an early batch in which one seed's inputs are much shorter than another's."""

        def spread(found: tuple[int, np.ndarray]) -> int:
            lengths = self.encoded.lengths[self.examples.groups[found[1]]].max(axis=(1, 2))
            return int(lengths.max() - lengths.min())

        step, rows = max(enumerate(islice(self.order(0), LOOKED_AT)), key=spread)
        return rows, step

    def batch(self, rows: np.ndarray, step: int, device: torch.device) -> tuple[dict[str, Tensor], Signals, Batch]:
        """(student inputs, teacher signals, batch) of rows (K, B); all tensors begin with K."""
        flat, labels = self.flat(rows, step), self.examples.labels

        def apart(x: Any) -> Any:
            return tuple(map(apart, x)) if isinstance(x, tuple) else x.unflatten(0, (len(rows), -1))

        inputs = {k: apart(v) for k, v in to_device(self.encoded.batch(flat.reshape(-1)), device).items()}
        signals = [source.rows(flat.reshape(-1)).detach() for source in self.feeds[0].sources] or [Signals()]
        teacher = Signals(**{k: apart(v) for k, v in vars(signals[0]).items() if v is not None and len(v)})
        batch = Batch(
            torch.from_numpy(rows).to(device), self.examples.groups.shape[1],
            None if labels is None else torch.from_numpy(labels[rows]).to(device),
            inputs, step / self.stage.updates, len(self.examples),
        )  # fmt: skip
        return inputs, teacher, batch


class Encoded:
    """In a student's place where a feed asks for its tokens: those that another seed's student has made, which are the
    same."""

    def __init__(self, encoded: Any) -> None:
        self.encoded = encoded

    def encode(self, inputs: Any, max_length: int | None = None) -> Any:
        return self.encoded


def refuse(reason: str) -> None:
    if reason:
        raise RequestError(f"these seeds cannot be trained together: {reason}")
