"""The training loop. There is one, and it does not know which method it runs."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.base import processes, stopping
from bench.base.console import Console
from bench.base.seeds import derived_seed
from bench.errors import BenchError, RequestError
from bench.measuring.energy import meter
from bench.method import Losses, Method, Role, Stage, Step, finished, finishes, named_losses, stages_of
from bench.network import Network
from bench.networks import sharing
from bench.signals import Signals
from bench.teachers.teacher import Teacher
from bench.training import checkpoint
from bench.training.average import Average
from bench.training.feed import Feed
from bench.training.mover import Mover

READ_LOSSES = 20  # times a stage: reading a loss waits for the device, so it is not done in every step
SAVE_SECONDS = 120  # a checkpoint at least this often
FORMAT = 2  # of checkpoints; raise it when what they hold is named or cut otherwise


@dataclass
class Progress:
    """Where training is; what a checkpoint keeps beside the tensors."""

    stage: int = 0
    step: int = 0
    best: float | None = None  # dev score of the best checkpoint of this stage
    updates: int = 0
    seconds: float = 0.0  # in updates alone, without evaluation
    joules: float = 0.0  # in the same time, by the counter of bench.measuring.energy
    curve: list[dict[str, Any]] = field(default_factory=list)


class Trainer:
    """Runs a method's stages on a student; resumes from its checkpoint to the same result.

    Every stage starts from, and ends with, the checkpoint that is best on dev; its start is a candidate too.
    """

    def __init__(
        self, student: Network, method: Method, teachers: Mapping[str, Teacher], evaluate: Callable[[Network], float],
        path: Path, console: Console, device: torch.device,
    ) -> None:  # fmt: skip
        """`teachers`: who may teach, by name: the run's own is `teacher`."""
        if processes.launched() and processes.size() == 1:
            raise BenchError("only bench run works on several processes; start this without a launcher")
        self.processes = processes.count()
        self.networks: dict[str, Network] = {"student": student.to(device)}  # that train, by who they are
        self.method, self.teachers, self.device = method.to(device), teachers, device
        self.evaluate, self.path, self.console = evaluate, path, console
        self.track, self.seed, self.goal = method.run.track, method.run.seed, method.goal
        self.progress = Progress()
        self.meter = meter(device)
        self.best: dict[str, Tensor] = {}
        self.average: Average | None = None  # of the student's weights in this stage
        self.sums: dict[str, Tensor] = {}  # of losses since they were last read
        self.saved = time.monotonic()

    @property
    def student(self) -> Network:
        return self.networks["student"]

    def fit(self) -> Progress:
        """Run, or go on with, all stages. KeyboardInterrupt, which says what the same command will do: a signal, after
        an update whose state is kept."""
        with stopping.saying(lambda: checkpoint.goes_on(self.path)):
            return self._fit()

    def _fit(self) -> Progress:
        kept = processes.from_main(lambda: checkpoint.load(self.path))
        if kept:
            self._restore(*kept)
        for index, stage in enumerate(stages_of(self.method)):
            networks = {name: self._network(role) for name, role in stage.roles.items() if trains(role)}
            if index == self.progress.stage:
                self._run(stage, networks, kept[0] if kept else {})
                kept = None
                self._load(self.best)
                self.progress.stage, self.progress.step, self.progress.best = index + 1, 0, None
        self.networks["student"] = self._ended(self.student)
        return self.progress

    def _run(self, stage: Stage, networks: Mapping[str, Network], kept: dict[str, Tensor]) -> None:
        if kept:
            self._load(kept)  # again: networks beside the student are there only now
        feed = Feed(stage, self.method.run, networks, self.teachers, self.progress.stage, counted=bool(kept))
        sharing.align(*networks.values(), self.method)
        movers = self._movers(stage, networks, len(feed.examples))
        self.average = Average(self.student, self.track.ema) if self.track.ema else None
        if kept:
            if self.average:
                self.average.load(checkpoint.without_prefix("average", kept))
            for name, mover in movers.items():
                mover.load(checkpoint.without_prefix(f"optimiser {name}", kept))
            checkpoint.set_random_state(checkpoint.without_prefix("random", kept))
            self.sums = {n: t.to(self.device) for n, t in checkpoint.without_prefix("sums", kept).items()}
            kept.clear()  # all of it is where it belongs
        else:
            torch.manual_seed(derived_seed(self.seed, "stage", self.progress.stage))
            self._judge(stage, {})
        self._steps(stage, feed, networks, movers)

    def _network(self, role: Any) -> Network:
        """The network of a role that trains: the student, or a copy of who else it is."""
        if role.who not in self.networks:
            self.networks[role.who] = copy.deepcopy(self.teachers[role.who].network).requires_grad_(True)
        return self.networks[role.who]

    def _movers(self, stage: Stage, networks: Mapping[str, nn.Module], examples: int) -> dict[str, Mover]:
        modules = {**networks, "method": self.method}
        epoch = examples / (stage.batch_size or examples) if self.track.warmup == "epoch" else 0
        return {name: Mover(part, modules, stage, epoch) for name, part in stage.parts.items()}

    def _steps(
        self, stage: Stage, feed: Feed, networks: Mapping[str, Network], movers: Mapping[str, Mover]
    ) -> None:  # fmt: skip
        """The inner loop: no device sync but where losses are read."""
        p = self.progress
        evaluate_at = {round(stage.updates * (k + 1) / self.track.evaluations) for k in range(self.track.evaluations)}
        read_every = max(1, stage.updates // READ_LOSSES)
        order = feed.order(p.step)
        started, joules = time.perf_counter(), self._joules()
        for module in (*networks.values(), self.method):
            module.train()
        with stopping.between_steps() if self.processes == 1 else nullcontext(lambda: False) as stopped:
            for rows in order:
                losses = self._update(stage, feed, networks, movers, rows)
                p.step += 1
                p.updates += 1
                self.console.progress(stage.name, p.step, stage.updates)
                self.method.after_update(p.step / stage.updates)
                if self.average:
                    self.average.update()
                for name, loss in losses.items():
                    self.sums[name] = self.sums.get(name, 0) + loss.detach()
                reads = p.step % read_every == 0 or p.step in evaluate_at
                if reads or stopped():
                    means = self._read(stage, self.sums) if reads else {}
                    p.seconds += time.perf_counter() - started
                    p.joules += processes.total(self._joules() - joules)
                    if p.step in evaluate_at:
                        self._judge(stage, means)
                    self._save(movers, force=p.step in evaluate_at or stopped())
                    started, joules = time.perf_counter(), self._joules()
                if stopped():
                    raise KeyboardInterrupt

    def _joules(self) -> float:
        return self.meter.joules() if self.meter else 0.0

    def _update(
        self, stage: Stage, feed: Feed, networks: Mapping[str, Network], movers: Mapping[str, Mover], rows: np.ndarray
    ) -> Losses:
        """One update: each step's backward pass, after which the parts that it names move. A network runs again only
        after something has moved."""
        served, batch = feed.batch(rows, self.progress.step, self.device)
        all_losses: Losses = {}
        signals = dict(served)
        for step in stage.steps:
            new = [r for r in step.roles if r in networks and r not in signals]
            signals |= {r: self._forward(stage, r, networks[r], batch, feed.groups[r][rows].size) for r in new}
            losses = named_losses(step.loss, step.loss(*(signals.get(r, Signals()) for r in step.roles), batch))
            moving = [p for part in step.moves for p in movers[part].parameters]
            torch.stack(list(losses.values())).sum().backward(inputs=moving or None, retain_graph=not moving)
            self._move(step, movers, moving)
            signals = dict(served) if moving else signals
            all_losses |= losses
        return all_losses

    def _forward(self, stage: Stage, role: str, network: Network, batch: Any, count: int) -> Signals:
        """The signals of a network that trains, in float32 whatever it computes in; `count`: of the inputs that it
        reads."""
        who = stage.roles[role].who  # type: ignore[union-attr]
        want = network.named(stage.roles[role].signals, self.goal.output)  # type: ignore[union-attr]
        if who in self.teachers:
            self.teachers[who].forwards["computed"] += count
        half = self.track.precision == "bfloat16"
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half):
            found = sharing.forward(network, batch.inputs[role], want)
        return found.map(lambda x: x.float() if x.is_floating_point() else x) if half else found

    def _move(self, step: Step, movers: Mapping[str, Mover], moving: Sequence[Tensor]) -> None:
        if not moving and self.processes > 1:
            raise RequestError("a step that moves nothing has the gradients of one process alone: start one")
        sharing.share_gradients(moving, self.method)
        self.method.after_backward(step)
        for part in step.moves:
            movers[part].move(self.progress.step)

    def _read(self, stage: Stage, sums: dict[str, Any]) -> dict[str, float]:
        """Mean losses since the last reading; stops a run whose loss is no number."""
        p = self.progress
        last = p.curve[-1]["step"] if p.curve and p.curve[-1]["stage"] == stage.name else 0
        means = {name: float(total) / max(1, p.step - last) for name, total in sums.items()}
        sums.clear()
        if not all(math.isfinite(v) for v in means.values()):
            raise BenchError(f"stage {stage.name}, update {p.step}: a loss is not finite ({means}); lower the rate")
        p.curve.append({"stage": stage.name, "step": p.step, "losses": means})
        return means

    def _judge(self, stage: Stage, losses: Any) -> None:
        """Read dev, and keep this state if it is the best of the stage; the mean of the weights where there is one."""
        with self.average.in_place() if self.average else nullcontext():
            self._judge_now(stage, losses)

    def _judge_now(self, stage: Stage, losses: Any) -> None:
        p = self.progress
        if stage.keep == "last":
            self._keep()
            self.console(f"  {stage.name} {p.step}/{stage.updates}  {shown(losses)}")
            return
        student = copy.deepcopy(self.student) if finishes(type(self.method)) else self.student
        score = processes.from_main(lambda: self.evaluate(self._ended(student)))
        if not p.curve or (p.curve[-1]["stage"], p.curve[-1]["step"]) != (stage.name, p.step):
            p.curve.append({"stage": stage.name, "step": p.step, "losses": losses})
        dev = score if math.isfinite(score) else None  # undefined: worse than any number
        p.curve[-1]["dev"] = dev
        if p.step == 0 or (dev is not None and (p.best is None or dev > p.best)):
            p.best = dev
            self._keep()
        said = "undefined" if dev is None else f"{dev:.4f}"
        self.console(f"  {stage.name} {p.step}/{stage.updates}  dev {said}  {shown(losses)}")

    def _ended(self, student: Network) -> Network:
        """What the method makes of it in the end."""
        own = finishes(type(self.method))
        return finished(self.method, student, self.teachers["teacher"].network) if own else student

    def _modules(self) -> dict[str, nn.Module]:
        return {**self.networks, "method": self.method}

    def _state(self) -> dict[str, Tensor]:
        """All that training changes, by module."""
        found: dict[str, Tensor] = {}
        for name, module in self._modules().items():
            found |= checkpoint.with_prefix(name, checkpoint.trained(module))
        return found

    def _keep(self) -> None:
        """This state is the best; the one before goes first, as a table may take gigabytes."""
        self.best = {}
        self.best = {k: v.detach().clone() for k, v in self._state().items()}

    def _load(self, tensors: dict[str, Tensor]) -> None:
        for name, module in self._modules().items():
            module.load_state_dict(checkpoint.without_prefix(name, tensors), strict=False)

    def _save(self, movers: Mapping[str, Mover], force: bool) -> None:
        if not processes.main() or (not force and time.monotonic() - self.saved < SAVE_SECONDS):
            return
        tensors = self._state() | checkpoint.with_prefix("best", self.best)
        tensors |= checkpoint.with_prefix("sums", self.sums)
        if self.average:
            tensors |= checkpoint.with_prefix("average", self.average.mean)
        for name, mover in movers.items():
            tensors |= checkpoint.with_prefix(f"optimiser {name}", mover.tensors())
        tensors |= checkpoint.with_prefix("random", checkpoint.random_state())
        costs = {name: [teacher.forwards, teacher.seconds] for name, teacher in self.teachers.items()}
        checkpoint.save(self.path, tensors, asdict(self.progress) | {"teachers": costs, "format": FORMAT})
        self.saved = time.monotonic()

    def _restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        if state.pop("format", 1) != FORMAT:
            raise BenchError(f"another version of bench wrote the checkpoint {self.path}: delete it to start again")
        for name, (forwards, seconds) in state.pop("teachers").items():
            self.teachers[name].forwards, self.teachers[name].seconds = forwards, seconds
        self.progress = Progress(**state)
        self.best = checkpoint.without_prefix("best", tensors)
        self._load(tensors)
        self.console(f"  resumed after {self.progress.updates} updates")


def trains(role: Any) -> bool:
    return isinstance(role, Role) and role.trains


def shown(losses: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in losses.items())
