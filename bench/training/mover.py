"""What moves a part of a stage's parameters: an optimiser with its rate at each update and its clip."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from torch import Tensor, nn

from bench.method import Part, Stage
from bench.optimiser import over, rate, set_rate
from bench.training import checkpoint


class Mover:
    """One part's optimiser."""

    def __init__(self, part: Part, modules: Mapping[str, nn.Module], stage: Stage, epoch: float = 0) -> None:
        """`epoch`: updates in one, where the warm-up is counted in epochs."""
        self.settings, self.updates = part.optimiser, stage.updates
        learning = [p for p in dict.fromkeys(part.parameters(modules)) if p.requires_grad]
        self.optimiser = over(self.settings, learning)
        self.parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
        self.warmup = round(self.settings.epochs * epoch if epoch else self.settings.warmup * stage.updates)

    def move(self, step: int) -> None:
        """One update with the gradients that are there, which are gone then."""
        set_rate(self.optimiser, rate(self.settings, step, self.updates, self.warmup))
        if self.settings.clip:
            nn.utils.clip_grad_norm_(list(map(clipped, self.parameters)), self.settings.clip)
        self.optimiser.step()
        self.optimiser.zero_grad()

    def load(self, tensors: dict[str, Tensor]) -> None:
        checkpoint.load_optimiser(self.optimiser, tensors)


def clipped(parameter: Tensor) -> Any:
    """What holds the numbers of a gradient as `grad`: of a sparse one its values, which are scaled in their place."""
    if parameter.grad is None or not parameter.grad.is_sparse:
        return parameter
    parameter.grad = parameter.grad.coalesce()  # the rows of a word that came twice are one before they are measured
    return SimpleNamespace(grad=parameter.grad.values())
