"""A teacher for a task that no ready model solves: fine-tuned on it once, kept in the store, with a record of its own.

A text encoder gets a new head; a student family's network, named as `resnet:20`, is trained from its first weights.
The training is that of a student without a teacher: same data, same optimiser, best dev checkpoint; test is not read.
One that is told the answers (`reads_targets`) is told those of training and of dev: its dev score chooses a checkpoint
and says nothing of how well it would do alone, so its record is marked `told`. It is never told those of test.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from bench.base import files
from bench.base.console import Console
from bench.base.processes import main_first
from bench.base.provenance import now, provenance
from bench.errors import BenchError
from bench.inputs import Batch
from bench.measuring import machine
from bench.measuring.counting import parameters
from bench.method import Losses, Method, Run, Stage
from bench.network import Network
from bench.networks.places import Place
from bench.records import disk
from bench.records.schemas import Taught, made
from bench.runs import recording
from bench.signals import Signals
from bench.store import folders
from bench.teachers.plans import Plan, lesson
from bench.training import checkpoint
from bench.training.evaluation import Evaluation
from bench.training.loop import Trainer

CHECKPOINT, RECORD = "checkpoint.safetensors", "record.json"


class Supervised(Method):
    """The task's own objective alone."""

    def __init__(self, settings: Any, run: Run) -> None:
        super().__init__(settings, run)
        self.objective = run.task.objective()
        self.optimiser = self.recipe(lr=run.track.teach_rate or None)

    def stages(self) -> Iterable[Stage]:
        updates = self.run.track.teach or self.run.track.updates
        yield self.stage("teach", self.loss, data="supervised", updates=updates, optimiser=self.optimiser)

    def loss(self, student: Signals, teacher: Any, batch: Batch) -> Losses:
        found: Losses = self.objective(student, batch)
        return found


@main_first
def ensure(plan: Plan, device: torch.device, console: Console) -> Network:
    """The teacher from the store; taught first where it is not there."""
    with folders.locked(f"teacher-{plan.key}"):
        network = plan.network()
        kept = checkpoint.load(plan.weights) if (plan.folder / RECORD).is_file() else None
        if kept is None:
            teach(plan, network, device, console)
        else:
            network.load_state_dict(kept[0])
        (plan.folder / CHECKPOINT).unlink(missing_ok=True)
        return network


def teach(plan: Plan, network: Network, device: torch.device, console: Console) -> None:
    """Train the network, and keep its weights and its record in the store, the weights last: a teacher that is there
    has a record."""
    started, task = now(), lesson(plan.task)
    recording.check_card(task)
    console(f"  teaching {plan.name} on {task.name}")
    folders.make_folder(plan.folder)
    run = Run(task, task.track, network.width, network.width, plan.seed, network.optimiser)
    dev = Evaluation(task, "dev", network.reads_together)
    path, method = plan.folder / CHECKPOINT, Supervised(None, run)
    trainer = Trainer(network, method, {}, lambda n: dev.score(dev.outputs(n)), path, console, device)
    progress = trainer.fit()
    weights = plan.weights.with_suffix(".ready")
    checkpoint.save(weights, network.state_dict(), {"model": plan.name})
    diagnosis = dev.diagnosis(network)
    if diagnosis:
        console("  on dev " + ", ".join(f"{name} {value:.4f}" for name, value in diagnosis.items()))
    score = dev.score(dev.outputs(network))
    if not math.isfinite(score):
        raise BenchError(f"{task.main_metric} on dev is undefined ({score}) for the teacher {plan.name}")
    record = made(Taught, {
        "schema_": 1, "key": plan.key, "model": plan.name, "origin": network.origin, "task": task.name,
        "track": task.track_name, "seed": plan.seed, "data": recording.data(task),
        "settings": {"track": asdict(task.track), "optimiser": asdict(method.optimiser)},
        "parameters": parameters(network), "dev": score, "metric": task.main_metric,
        "told": network.reads_targets, "diagnosis": diagnosis,
        "cost": recording.cost(progress, [], trainer.meter), "curve": progress.curve,
        "environment": machine.describe(device), "provenance": provenance(started),
        "weights": files.sha256(weights.read_bytes()),
    })  # fmt: skip
    files.replace(
        plan.folder / RECORD,
        (record.model_dump_json(by_alias=True, indent=1, exclude_defaults=True) + "\n").encode(),
        alone=True,
    )
    weights.replace(plan.weights)


def publish(place: Place, results: Path) -> Path | None:
    """The taught teacher's record among the results; None: this teacher was not taught here."""
    source = (place.folder or Path()) / RECORD
    if not isinstance(place.origin, Plan) or not source.is_file():
        return None
    key = json.loads(source.read_text(encoding="utf-8"))["key"]
    path = results / disk.TEACHERS / f"{key}.json"
    with folders.locked(f"teacher-{place.origin.key}"):
        files.clear(files.left(path, "partial"))
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            files.replace(path, source.read_bytes())
    return path
