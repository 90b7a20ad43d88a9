"""What moves a part of a stage's parameters: optimisers with the rate at each update, and the clip."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from torch import Tensor, nn

from bench.method import Part, Stage
from bench.optimiser import over, rate, set_rate
from bench.training import checkpoint


class Mover:
    """One part's optimiser: two where some of its gradients are sparse."""

    def __init__(self, part: Part, modules: Mapping[str, nn.Module], stage: Stage, epoch: float = 0) -> None:
        """`epoch`: updates in one, where the warm-up is counted in epochs."""
        self.settings, self.updates = part.optimiser, stage.updates
        learning = [p for p in dict.fromkeys(part.parameters(modules)) if p.requires_grad]
        self.optimisers = over(self.settings, learning, sparse(modules))
        self.parameters = [p for o in self.optimisers for group in o.param_groups for p in group["params"]]
        self.warmup = round(self.settings.epochs * epoch if epoch else self.settings.warmup * stage.updates)

    def move(self, step: int) -> None:
        """One update with the gradients that are there, which are gone then."""
        if self.settings.clip:
            nn.utils.clip_grad_norm_(list(map(clipped, self.parameters)), self.settings.clip)
        for optimiser in self.optimisers:
            set_rate(optimiser, rate(self.settings, step, self.updates, self.warmup))
            optimiser.step()
            optimiser.zero_grad()

    def tensors(self) -> dict[str, Tensor]:
        """The state of all, for a checkpoint."""
        found: dict[str, Tensor] = {}
        for number, optimiser in enumerate(self.optimisers):
            found |= checkpoint.with_prefix(str(number), checkpoint.optimiser_tensors(optimiser))
        return found

    def load(self, tensors: dict[str, Tensor]) -> None:
        for number, optimiser in enumerate(self.optimisers):
            checkpoint.load_optimiser(optimiser, checkpoint.without_prefix(str(number), tensors))


def sparse(modules: Mapping[str, nn.Module]) -> set[Any]:
    """The tables whose gradients hold the rows that were read and no others: of embeddings made with `sparse=True`."""
    tables = (m for module in modules.values() for m in module.modules() if getattr(m, "sparse", False) is True)
    return {p for table in tables for p in table.parameters(False)}


def clipped(parameter: Tensor) -> Any:
    """What holds the numbers of a gradient as `grad`: of a sparse one its values, which are scaled in their place."""
    if parameter.grad is None or not parameter.grad.is_sparse:
        return parameter
    parameter.grad = parameter.grad.coalesce()  # the rows of a word that came twice are one before they are measured
    return SimpleNamespace(grad=parameter.grad.values())
