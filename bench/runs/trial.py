"""One training of a few updates, watched: losses, gradients, and what was frozen before and after."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.base.console import Console
from bench.method import Step
from bench.runs import protocol
from bench.runs.spec import Spec
from bench.training.evaluation import Evaluation
from bench.training.loop import Trainer

CPU = torch.device("cpu")


class Stopped(BaseException):
    """In the middle of a stage, as Ctrl-C stops a run."""


class Stop(Console):
    """Stops a run after its first checkpoint of an update."""

    def __init__(self, path: Path) -> None:
        super().__init__(quiet=True)
        self.path = path

    def progress(self, label: str, done: int, total: int) -> None:
        if self.path.exists():
            raise Stopped


@dataclass
class Trial:
    """What is known of a training: its curve, its tensors in the end, the largest gradient of each parameter."""

    score: float = 0.0  # on dev
    curve: list[dict[str, Any]] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)  # of the student and the method
    gradients: dict[str, float] = field(default_factory=dict)  # norms, by network and name; only what had one
    learning: list[str] = field(default_factory=list)  # parameters of the method that ask for a gradient
    moved: list[str] = field(default_factory=list)  # tensors of frozen teachers that are not as they were


def train(spec: Spec, folder: Path, console: Console | None = None) -> Trial:
    """Train, or go on from the folder's checkpoint. The runs that come first are carried out before."""
    for _, first in spec.wanted:
        if not protocol.weights_of(first).exists():
            protocol.keep(first, protocol.distil(first, folder, CPU, Console(quiet=True)).student)
    spec.task.seal()
    teachers = protocol.make_teachers(spec, CPU, Console(quiet=True))
    dev = Evaluation(spec.task, "dev")
    student = protocol.build_student(spec, teachers["teacher"])
    student = protocol.from_starts(spec, student, CPU, Console(quiet=True))
    method, found = protocol.build_method(spec, student, teachers, dev), Trial()
    before = {name: copied(teacher.network.state_dict()) for name, teacher in teachers.items()}
    path = folder / f"{spec.run_id}.safetensors"
    trainer = Trainer(
        student, method, teachers, lambda n: dev.score(dev.outputs(n)), path, console or Console(quiet=True), CPU
    )
    watch(trainer, found.gradients)
    trainer.fit()
    found.score, found.curve = dev.score(dev.outputs(trainer.student)), trainer.progress.curve
    ends = {"student": trainer.student, "method": method}
    found.tensors = {f"{n}.{k}": t for n, module in ends.items() for k, t in copied(module.state_dict()).items()}
    found.learning = [f"method.{name}" for name, p in method.named_parameters() if p.requires_grad]
    for name, tensors in before.items():
        now = teachers[name].network.state_dict()
        found.moved += [f"{name}.{key}" for key, tensor in tensors.items() if not torch.equal(tensor, now[key])]
    path.unlink(missing_ok=True)
    return found


def interrupted(spec: Spec, folder: Path) -> Trial:
    """The same, stopped behind its first checkpoint, and gone on with."""
    try:
        return train(spec, folder, Stop(folder / f"{spec.run_id}.safetensors"))
    except Stopped:
        return train(spec, folder)


def watch(trainer: Trainer, found: dict[str, float]) -> None:
    """Note the gradients that each backward pass leaves, before the method's own hook sees them."""
    inner: Callable[[Step], None] = trainer.method.after_backward

    def after(step: Step) -> None:
        for name, module in {**trainer.networks, "method": trainer.method}.items():
            for key, parameter in module.named_parameters():
                if parameter.grad is not None:
                    found[f"{name}.{key}"] = max(found.get(f"{name}.{key}", 0.0), norm(parameter.grad))
        inner(step)

    trainer.method.after_backward = after  # type: ignore[method-assign]


def norm(gradient: Tensor) -> float:
    return float((gradient.coalesce().values() if gradient.is_sparse else gradient).norm())


def copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def differing(one: Trial, two: Trial) -> str:
    """Where two trainings part, in words; empty: they are the same bit by bit."""
    for ours, theirs in zip(one.curve, two.curve, strict=False):
        if ours != theirs:
            return f"stage {ours['stage']} at update {ours['step']}: {ours['losses']} and {theirs['losses']}"
    if len(one.curve) != len(two.curve) or one.tensors.keys() != two.tensors.keys():
        return "they have other stages or tensors"
    names = (name for name, tensor in one.tensors.items() if not torch.equal(tensor, two.tensors[name]))
    return next((f"in the end {name} is not the same" for name in names), "")
