"""The training loop. There is one, and it does not know which method it runs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.base import processes
from bench.base.console import Console
from bench.errors import BenchError
from bench.measuring.energy import meter
from bench.method import Method, Stage
from bench.network import Network
from bench.networks import sharing
from bench.networks.inference import outputs
from bench.networks.precision import Forward
from bench.optimiser import make_optimiser, rate, set_rate
from bench.scoring.scores import headline
from bench.signals import OUTPUT
from bench.task import Task
from bench.teachers.teacher import Teacher
from bench.training import checkpoint
from bench.training.feed import Feed, concrete

READ_LOSSES = 20  # times a stage: reading a loss waits for the device, so it is not done in every step
SAVE_SECONDS = 120  # a checkpoint at least this often


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
        self,
        student: Network,
        method: Method,
        teacher: Teacher,
        evaluate: Callable[[Network], float],
        path: Path,
        console: Console,
        assistants: Sequence[Teacher] = (),
    ) -> None:
        if processes.launched() and processes.size() == 1:
            raise BenchError("only bench run works on several processes; start this without a launcher")
        self.processes = processes.count()
        self.student, self.method, self.teacher = student.to(teacher.device), method.to(teacher.device), teacher
        self.evaluate, self.path, self.console, self.assistants = evaluate, path, console, assistants
        self.task, self.track, self.seed = method.run.task, method.run.track, method.run.seed
        self.progress = Progress()
        self.meter = meter(teacher.device)
        self.forward = Forward(self.student, self.track)
        self.best: dict[str, Tensor] = {}
        self.saved = time.monotonic()

    def fit(self) -> Progress:
        """Run, or go on with, all stages."""
        kept = processes.from_main(lambda: checkpoint.load(self.path))
        if kept:
            self._restore(*kept)
        for index, stage in enumerate(self.method.stages()):
            if index == self.progress.stage:
                self._run(stage, kept[0] if kept else {})
                kept = None
                self._use_best()
                self.progress.stage, self.progress.step, self.progress.best = index + 1, 0, None
        return self.progress

    def _run(self, stage: Stage, kept: dict[str, Tensor]) -> None:
        feed, optimiser = self._prepare(stage, resumed=bool(kept))
        if kept:
            checkpoint.load_optimiser(optimiser, checkpoint.without_prefix("optimiser", kept))
            checkpoint.set_random_state(checkpoint.without_prefix("random", kept))
        else:
            torch.manual_seed(derived_seed(self.seed, "stage", self.progress.stage))
            self._judge(stage, {})
        self._steps(stage, feed, optimiser)

    def _prepare(self, stage: Stage, resumed: bool) -> tuple[Any, Any]:
        """What a stage reads and what it moves."""
        teachers = [self.assistants[n] for n in stage.teachers] or [self.teacher]
        feed = Feed(stage, self.method.run, self.student, teachers, self.progress.stage, counted=resumed)
        sharing.align(self.student, self.method)
        return feed, make_optimiser(stage.optimiser, self.student, self.method)

    def _steps(self, stage: Stage, feed: Any, optimiser: Any) -> None:
        """The inner loop: no device sync but where losses are read."""
        p, o = self.progress, stage.optimiser
        warmup = round(o.warmup * len(feed.examples) / stage.batch_size)
        evaluate_at = {round(stage.updates * (k + 1) / self.track.evaluations) for k in range(self.track.evaluations)}
        read_every = max(1, stage.updates // READ_LOSSES)
        sums: dict[str, Tensor] = {}
        order = feed.order(p.step)
        started, joules = time.perf_counter(), self._joules()
        self.student.train(), self.method.train()
        for rows in order:
            lr = rate(o, p.step, stage.updates, warmup)
            set_rate(optimiser, lr)
            losses = self._losses(stage, feed, rows)
            self._update(losses, optimiser, o.clip)
            p.step += 1
            p.updates += 1
            self.console.progress(stage.name, p.step, stage.updates)
            self.method.after_step(p.step / stage.updates)
            for name, loss in losses.items():
                sums[name] = sums.get(name, 0) + loss.detach()
            if p.step % read_every == 0 or p.step in evaluate_at:
                means = self._read(stage, sums, read_every)
                p.seconds += time.perf_counter() - started
                p.joules += processes.total(self._joules() - joules)
                if p.step in evaluate_at:
                    self._judge(stage, means)
                self._save(optimiser, force=p.step in evaluate_at)
                started, joules = time.perf_counter(), self._joules()

    def _joules(self) -> float:
        return self.meter.joules() if self.meter else 0.0

    def _losses(self, stage: Stage, feed: Feed, rows: np.ndarray) -> dict[str, Tensor]:
        inputs, teacher, batch = feed.batch(rows, self.progress.step, self.teacher.device)
        want = concrete(stage.wants, self.task.kind)
        if self.progress.step == 0:
            self.forward.check(inputs, want)
        return stage.loss(sharing.forward(self.forward, inputs, want), teacher, batch)

    def _update(self, losses: dict[str, Tensor], optimiser: Any, clip: float) -> None:
        torch.stack(list(losses.values())).sum().backward()
        sharing.share_gradients(self.student, self.method)
        if clip:
            self._clip([p for g in optimiser.param_groups for p in g["params"]], clip)
        optimiser.step()
        optimiser.zero_grad()

    def _clip(self, parameters: list[Tensor], limit: float) -> None:
        nn.utils.clip_grad_norm_(parameters, limit)

    def _read(self, stage: Stage, sums: dict[str, Any], every: int) -> Any:
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
        """Read dev, and keep this state if it is the best of the stage."""
        p = self.progress
        if stage.keep == "last":
            self.best = {k: v.detach().clone() for k, v in self._state().items()}
            self.console(f"  {stage.name} {p.step}/{stage.updates}  {shown(losses)}")
            return
        score = processes.from_main(lambda: self.evaluate(self.student))
        if not p.curve or (p.curve[-1]["stage"], p.curve[-1]["step"]) != (stage.name, p.step):
            p.curve.append({"stage": stage.name, "step": p.step, "losses": losses})
        p.curve[-1]["dev"] = score
        if p.best is None or score > p.best:
            p.best = score
            self.best = {k: v.detach().clone() for k, v in self._state().items()}
        self.console(f"  {stage.name} {p.step}/{stage.updates}  dev {score:.4f}  {shown(losses)}")

    def _state(self) -> dict[str, Tensor]:
        student = checkpoint.with_prefix("student", self.student.state_dict())
        return student | checkpoint.with_prefix("method", self.method.state_dict())

    def _use_best(self) -> None:
        self._load(self.best)

    def _load(self, tensors: dict[str, Tensor]) -> None:
        self.student.load_state_dict(checkpoint.without_prefix("student", tensors))
        self.method.load_state_dict(checkpoint.without_prefix("method", tensors))

    def _save(self, optimiser: Any, force: bool) -> None:
        if not processes.main() or (not force and time.monotonic() - self.saved < SAVE_SECONDS):
            return
        tensors = self._state() | checkpoint.with_prefix("best", self.best)
        tensors |= checkpoint.with_prefix("optimiser", checkpoint.optimiser_tensors(optimiser))
        tensors |= checkpoint.with_prefix("random", checkpoint.random_state())
        costs = {"forwards": self.teacher.forwards, "teacher_seconds": self.teacher.seconds}
        checkpoint.save(self.path, tensors, self._status() | costs)
        self.saved = time.monotonic()

    def _status(self) -> dict[str, Any]:
        return asdict(self.progress)

    def _restore(self, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        self.teacher.forwards, self.teacher.seconds = state.pop("forwards"), state.pop("teacher_seconds")
        self.progress = Progress(**state)
        self.best = checkpoint.without_prefix("best", tensors)
        self._load(tensors)
        self.console(f"  resumed after {self.progress.updates} updates")


class Dev:
    """The dev split, encoded once for the student."""

    def __init__(self, task: Task, student: Network) -> None:
        self.task, self.encoded = task, student.encode(task.inputs("dev"))

    def score(self, student: Network) -> float:
        """The main metric on dev."""
        name = OUTPUT[self.task.kind]
        return self.of(outputs(student, self.encoded, frozenset({name}))[name])

    def of(self, found: np.ndarray) -> float:
        """The main metric of these outputs over dev."""
        return headline(self.task.score(self.task.predict(found, "dev")), self.task.main_metric)[1]


def shown(losses: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in losses.items())


def derived_seed(seed: int, *purpose: object) -> int:
    """Independent random numbers for each purpose, the same in every process."""
    return int(np.random.SeedSequence([seed, *(" ".join(map(str, purpose))).encode()]).generate_state(1)[0])
