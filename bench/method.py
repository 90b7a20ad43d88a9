"""The contract of a method: what the student is trained to match, in one or more stages."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
from torch import Tensor, nn

from bench.inputs import Batch, Examples
from bench.network import Network, Shape
from bench.optimiser import Optimiser
from bench.signals import Signals
from bench.task import Task, Track

Losses = dict[str, Tensor]  # named scalars; the loop minimises their sum


@dataclass(frozen=True)
class Stage:
    """One training stage: which data, which loss, how long."""

    name: str
    data: str | Examples  # the task's training set, distil | supervised; or one of the method's own
    loss: Callable[[Signals, Any, Batch], Losses]  # (student, teacher, batch); of several teachers a list of Signals
    updates: int
    batch_size: int
    optimiser: Optimiser
    needs: frozenset[str] | set[str] = frozenset()  # teacher signals; empty: no teacher forward
    wants: frozenset[str] | set[str] = frozenset({"output"})  # of the student; `output`: what the kind is evaluated on
    noisy_teacher: bool = False  # the teacher runs in every step with its dropout on; nothing can be stored
    keep: Literal["best", "last"] = (
        "best"  # on dev; `last` where the output has no part in the loss, so dev says nothing
    )
    teachers: Sequence[int] = ()  # the assistants that teach, by number; empty: the run's own teacher
    reads_padding: bool = False  # of the teacher's tokens; what lies there depends on the batch, and cannot be stored


@dataclass(frozen=True)
class Assistant:
    """A network that is trained before the student, by a run of its own, and then teaches."""

    student: str  # as on the command line: `resnet:14`
    method: str = "kd"
    teacher: int | None = None  # the assistant that teaches it, by number; None: the run's own teacher


@dataclass(frozen=True)
class Run:
    """What a method may know of the run it is part of."""

    task: Task
    track: Track
    student_width: int  # of `embedding`
    teacher_width: int
    seed: int
    optimiser: Optimiser = field(default_factory=lambda: Optimiser(lr=5e-5))  # the recipe of the student's architecture
    student_shape: Shape = field(default_factory=Shape)
    teacher_shape: Shape = field(default_factory=Shape)
    new_student: Callable[[str], Network] | None = None  # purpose -> another one, with other first weights
    dev_outputs: Callable[[int], np.ndarray] | None = None  # assistant -> its outputs over dev
    dev_score: Callable[[np.ndarray], float] | None = None  # outputs over dev -> the main metric there


class Method(nn.Module):
    """A method owns its losses, and as parameters and buffers whatever they need besides the student.

    A projection, a queue or a learnable scale is a plain attribute of the module: the loop optimises the parameters,
    and a checkpoint holds all of them. The method never touches the optimiser, the device, precision or files.
    Class attributes are literals, so that `bench list` can read them without importing the module.
    """

    needs: ClassVar[frozenset[str] | set[str]] = (
        frozenset()
    )  # of teacher and student; `output` stands for the kind's own
    wants: ClassVar[frozenset[str] | set[str]] = frozenset()  # of the student alone
    kinds: ClassVar[frozenset[str] | set[str]] = frozenset()  # kinds of task it is defined for; empty: all
    version: ClassVar[int] = 1  # raise it when the same settings would give other numbers

    @dataclass(frozen=True)
    class Settings:
        """Hyper-parameters, each with its source. Set with `--set name=value`."""

    def __init__(self, settings: Any, run: Run) -> None:
        super().__init__()
        self.settings, self.run = settings, run

    @staticmethod
    def assistants(settings: Any) -> Sequence[Assistant]:
        """The networks that are trained before the student, in this order."""
        return ()

    def stages(self) -> Iterable[Stage]:
        """The stages in order; each starts from the best dev checkpoint of the one before."""
        raise TypeError(f"{type(self).__name__} defines no stages")

    def after_step(self, progress: float) -> None:
        """Called after each update with the share of the stage that is done."""
