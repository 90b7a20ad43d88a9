"""The contract of a kind: what a task asks of a network. One file each in `bench/kinds/`, named as the kind.

Nobody else compares a kind's name: students give features and the kind the head; methods ask it for aligned outputs;
evaluation has it decode them. Class attributes are literals, so that listing reads them without an import.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from bench.errors import BenchError
from bench.inputs import Batch
from bench.losses import soft_divergence
from bench.scoring.scores import Ragged
from bench.signals import Signals

if TYPE_CHECKING:
    from bench.network import Network

DIVERGED = "the network's outputs are not finite: training has diverged, try a lower learning rate"
Outputs = Any  # what is kept of N inputs for scoring: an array (N, ...), or `Ragged` rows of any size


@dataclass(frozen=True)
class Kind(ABC):
    """What `outputs` numbers of an input mean."""

    outputs: int = 0  # numbers that the head gives; 0: there is no head
    classes: tuple[str, ...] = ()  # their names, where they stand for classes

    output: ClassVar[str] = "logits"  # the signal that is judged
    feature: ClassVar[str] = "embedding"  # the signal that the head reads, or that is judged as it is
    axes: ClassVar[str] = "B C"  # of the logits
    distributions: ClassVar[bool] = True  # whether a softmax over the output's last axis means something
    auto: ClassVar[str] = ""  # the class of transformers whose head this is; empty: the library has none
    pipeline: ClassVar[str] = ""  # what the Hub calls the use of such a model
    teacher_forced: ClassVar[bool] = False  # networks read the answers while they are trained, and none where judged
    early: ClassVar[bool] = False  # the places are selected before the head, whose outputs at all would be large
    stored: ClassVar[bool] = True  # a teacher's signals may be kept; else it runs in every step, as they are large
    compares: ClassVar[str] = (
        ""  # how outputs are compared, of bare texts; a model that declares another way does not fit
    )

    products: ClassVar[str] = ""  # the signal of a model that declares inner products for the task; empty: it fits not

    loader: ClassVar[str] = ""  # the module of bench.networks whose `load` reads a ready model for it; empty: by `auto`
    scorers: ClassVar[str] = (
        ""  # the module of bench.networks whose `load` reads models that score pairs of inputs; empty: none fit
    )
    version: ClassVar[int] = 1  # raise it when the same training would give other numbers

    @classmethod
    def of(cls, outputs: int, classes: Sequence[str], labels: Callable[[], Any]) -> Kind:
        """The kind of a task. `labels()`: those of its supervised training set, or None."""
        return cls(outputs, tuple(classes))

    def head(self, width: int) -> nn.Module | None:
        """From features (..., width) to logits (..., outputs); None: features are judged as they are."""
        return self.begin(nn.Linear(width, self.outputs)) if self.outputs else None

    def begin(self, head: nn.Linear) -> nn.Linear:
        """A new head, with the weights that training starts from."""
        return head

    def read(self, tokenizer: Any, rules: Callable[[], str], inputs: Any, limit: int, plain: Callable[[], Any]) -> Any:
        """What a network reads of texts (`bench.network.Encoded`), with its tokenizer, all that this goes by in words,
        and a limit of tokens; `plain()`: all tokens of each, as they are."""
        return plain()

    def logits(self, out: Any) -> Tensor:
        """Of what a model of transformers with this kind's head gives out."""
        found: Tensor = out.logits
        return found

    def select(self, tensor: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """Of a feature, or of logits at every place, the places that are judged; `batch`: what the network read."""
        return tensor

    def complete(self, body: Signals, head: nn.Module | None, batch: Mapping[str, Tensor]) -> Signals:
        """The body's signals, with the logits of the head among them."""
        return body if head is None else Signals(body, logits=head(self.select(body[self.feature], batch)))

    @abstractmethod
    def loss(self, student: Signals, batch: Batch) -> Tensor:
        """The supervised loss, a scalar, from the labels alone."""

    def objective(self) -> nn.Module:
        """The same as a module, forward(student, batch) -> named losses; a task may have one with parameters."""
        return Supervised(self)

    def pair(self, student: Signals, teacher: Signals, batch: Batch) -> tuple[Tensor, Tensor]:
        """Both outputs at the places that both give, (N, C) and (N, C'); the teacher's without gradient."""
        return student[self.output], teacher[self.output].detach()

    def real(self, outputs: Tensor) -> Tensor | None:
        """(N, C) bool: where such a pair holds numbers of its own, which may be compared one by one; None: everywhere.
        Rows of unequal lengths have none at their padding."""
        return None

    def match(self, student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
        """The plain distillation loss of such a pair, a scalar: the divergence of softened distributions (Hinton et al.
        2015), or the mean squared error of values, which have no temperature."""
        return soft_divergence(student, teacher, temperature) if self.distributions else F.mse_loss(student, teacher)

    def width(self, embedding: int) -> int:
        """The last axis of the output of a network whose embedding is so wide."""
        return self.outputs or embedding

    def decode(self, signals: Signals) -> Tensor | list[np.ndarray]:
        """What is kept of a batch for scoring: a tensor (B, ...), or one array of any size an input."""
        tensor: Tensor = signals[self.output]
        return tensor.float()

    def checked(self, outputs: Outputs, inputs: int) -> Outputs:
        """The outputs, if they are finite and of the right shape. BenchError: they are not."""
        values = outputs.flat if isinstance(outputs, Ragged) else outputs
        if len(outputs) != inputs or (self.outputs and outputs is values and values.shape[1:] != (self.outputs,)):
            raise BenchError(f"expected outputs of shape {(inputs, self.outputs)}, got {values.shape}")
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise BenchError(DIVERGED)
        return outputs.astype(np.float32) if values is outputs and values.dtype.kind == "f" else outputs

    def predictions(self, outputs: Outputs, gold: Any) -> dict[str, Any]:
        """What a record stores of one data set: `prediction` and `gold`."""
        return {"prediction": outputs, "gold": gold}

    def blank(self, inputs: int) -> Outputs | None:
        """Outputs of so many inputs that say nothing, as a network may give them; None: gold is made from outputs."""
        return np.ones((inputs, self.outputs or 1), np.float32)

    def doubt(self, found: Sequence[dict[str, Any]]) -> str:
        """Why a teacher with such predictions on dev does not fit the task's data; empty: nothing speaks against it."""
        return ""

    def incomparable(self, student: Network, teacher: Network, inputs: Callable[[], Any]) -> str:
        """Why what the two say of the same inputs may not be compared; empty: nothing speaks against it."""
        return ""


class Supervised(nn.Module):
    """The supervised loss of a kind: cross-entropy of classes, squared error of values ..."""

    def __init__(self, goal: Kind) -> None:
        super().__init__()
        self.goal = goal

    def forward(self, student: Signals, batch: Batch) -> dict[str, Tensor]:
        """The student's output, and the labels of the batch."""
        return {"supervised": self.goal.loss(student, batch)}
