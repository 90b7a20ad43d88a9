"""A teacher for a task that no ready model solves: fine-tuned on it once, kept in the store, with a record of its own.

A text encoder gets a new head; a student family's network, named as `resnet:20`, is trained from its first weights.
The training is that of a student without a teacher: same data, same optimiser, best dev checkpoint; test is not read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import ConfigDict, Field, ValidationError

from bench.base.console import Console
from bench.base.processes import main_first
from bench.errors import RequestError
from bench.inputs import Batch
from bench.measuring import machine
from bench.measuring.counting import parameters
from bench.method import Losses, Method, Run, Stage
from bench.network import Network
from bench.networks.places import Place
from bench.records import disk, layout
from bench.runs import recording
from bench.signals import Signals
from bench.store import folders
from bench.teachers.plans import SEED, Plan
from bench.training import checkpoint
from bench.training.evaluation import Evaluation
from bench.training.loop import Trainer


class Taught(disk.Part):
    """The record of a teacher that was fine-tuned here."""

    schema_: Literal[1] = Field(alias="schema")
    key: str = Field(description="hash of the model, the data and the settings")
    model: str = Field(description="what it was made from: a model, or family:size of a student")
    origin: str = Field(description="where its first weights came from")
    task: str
    track: str
    seed: int
    settings: dict[str, Any]
    data: dict[str, Any]
    parameters: disk.Parameters
    dev: float = Field(description="main metric on dev of the checkpoint that was kept")
    metric: str
    cost: dict[str, Any]
    curve: list[dict[str, Any]]
    environment: dict[str, Any]
    provenance: disk.Provenance
    weights: str = Field(description="sha256 of the weights")

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, populate_by_name=True)


class Supervised(Method):
    """The task's own objective alone."""

    def __init__(self, settings: Any, run: Run) -> None:
        super().__init__(settings, run)
        self.objective = run.task.objective()

    def stages(self) -> Iterable[Stage]:
        updates = self.run.track.teach or self.run.track.updates
        yield self.stage("teach", self.loss, data="supervised", updates=updates)

    def loss(self, student: Signals, teacher: Any, batch: Batch) -> Losses:
        found: Losses = self.objective(student, batch)
        return found


@main_first
def ensure(plan: Plan, device: torch.device, console: Console) -> Network:
    """The teacher from the store; taught first where it is not there."""
    with folders.locked(f"teacher-{plan.key}"):
        network = plan.network()
        kept = checkpoint.load(plan.weights)
        if kept is None:
            teach(plan, network, device, console)
        else:
            network.load_state_dict(kept[0])
        return network


def teach(plan: Plan, network: Network, device: torch.device, console: Console) -> None:
    """Train the network, and keep its weights and its record in the store."""
    started, task = recording.now(), plan.task
    console(f"  teaching {plan.model} on {task.name}")
    folders.make_folder(plan.folder)
    run = Run(task, task.track, network.width, network.width, SEED, network.optimiser)
    dev = Evaluation(task, "dev")
    path = plan.folder / "checkpoint.safetensors"
    trainer = Trainer(network, Supervised(None, run), {}, lambda n: dev.score(dev.outputs(n)), path, console, device)
    progress = trainer.fit()
    checkpoint.save(plan.weights, network.state_dict(), {"model": plan.model})
    record = Taught(
        schema_=1, key=plan.key, model=plan.model, origin=network.origin, task=task.name,
        track=task.track_name, seed=SEED, data=recording.data(task),
        settings={"track": asdict(task.track), "optimiser": asdict(network.optimiser)},
        parameters=parameters(network), dev=dev.score(dev.outputs(network)), metric=task.main_metric,
        cost=recording.cost(progress, [], trainer.meter), curve=progress.curve,
        environment=machine.describe(device), provenance=recording.provenance(started),
        weights=disk.sha256(plan.weights.read_bytes()),
    )  # fmt: skip
    disk.replace(plan.folder / "record.json", (record.model_dump_json(by_alias=True, indent=1) + "\n").encode())
    path.unlink(missing_ok=True)


def publish(place: Place, results: Path) -> Path | None:
    """The taught teacher's record among the results; None: this teacher was not taught here."""
    source = (place.folder or Path()) / "record.json"
    if not isinstance(place.origin, Plan) or not source.is_file():
        return None
    key = json.loads(source.read_text(encoding="utf-8"))["key"]
    path = results / layout.TEACHERS / f"{key}.json"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        disk.replace(path, source.read_bytes())
    return path


def read(path: Path) -> Taught:
    """A stored record of a teacher. RequestError: broken."""
    try:
        return Taught.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise RequestError(f"{path} is not a valid record of a teacher: {where}: {first['msg']}") from None
    except OSError as error:
        raise RequestError(f"cannot read {path}: {error.strerror}") from None


def problems(path: Path) -> list[str]:
    """All that is wrong with a file among the records of teachers."""
    if path.is_symlink() or not path.is_file() or path.suffix != ".json":
        return ["a stray file: here lie the records of teachers alone"]
    try:
        record = read(path)
    except RequestError as error:
        return [str(error)]
    kept = [point["dev"] for point in record.curve if "dev" in point]
    wrong = [] if record.key == path.stem else [f"key: {record.key} is not the file's name"]
    return wrong + ([] if kept and max(kept) == record.dev else [f"dev: {record.dev} is not the best of the curve"])
