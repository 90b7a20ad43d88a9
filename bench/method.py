"""The contract of a method: what the student is trained to match, in one or more stages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from bench.inputs import Batch
from bench.signals import Signals
from bench.task import Task, Track

Losses = dict[str, Tensor]  # named scalars; the loop minimises their sum


@dataclass(frozen=True)
class Optimiser:
    """AdamW and its schedule for one stage."""

    lr: float
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-8
    weight_decay: float = 0.01
    warmup: float = 0.1  # linear warm-up, as a share of one epoch of the stage's data
    schedule: Literal["cosine", "linear", "constant"] = "cosine"  # after the warm-up
    clip: float = 1.0  # gradient norm; 0: no clipping


@dataclass(frozen=True)
class Stage:
    """One training stage: which data, which loss, how long."""

    name: str
    data: str  # the task's training set: distil | supervised
    loss: Callable[[Signals, Signals, Batch], Losses]  # (student, teacher, batch)
    updates: int
    batch_size: int
    optimiser: Optimiser
    needs: frozenset[str] = frozenset()  # teacher signals; empty: no teacher forward
    wants: frozenset[str] = frozenset({"output"})  # student signals; `output` is what the kind is evaluated on
    noisy_teacher: bool = False  # the teacher runs in every step with its dropout on; nothing can be stored


@dataclass(frozen=True)
class Run:
    """What a method may know of the run it is part of."""

    task: Task
    track: Track
    student_width: int
    teacher_width: int
    seed: int


class Method(nn.Module):
    """A method owns its losses, and as parameters and buffers whatever they need besides the student.

    A projection, a queue or a learnable scale is a plain attribute of the module: the loop optimises the parameters,
    and a checkpoint holds all of them. The method never touches the optimiser, the device, precision or files.
    Class attributes are literals, so that `bench list` can read them without importing the module.
    """

    needs: ClassVar[frozenset[str] | set[str]] = frozenset()  # teacher signals; `output` stands for the kind's own
    kinds: ClassVar[frozenset[str] | set[str]] = frozenset()  # kinds of task it is defined for; empty: all
    version: ClassVar[int] = 1  # raise it when the same settings would give other numbers

    @dataclass(frozen=True)
    class Settings:
        """Hyper-parameters, each with its source. Set with `--set name=value`."""

    def __init__(self, settings: Any, run: Run) -> None:
        super().__init__()
        self.settings, self.run = settings, run

    def stages(self) -> Iterable[Stage]:
        """The stages in order; each starts from the best dev checkpoint of the one before."""
        raise TypeError(f"{type(self).__name__} defines no stages")

    def after_step(self, progress: float) -> None:
        """Called after each update with the share of the stage that is done."""
