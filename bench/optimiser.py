"""The optimiser of a stage: its settings, the parameters it moves, and its rate at each update."""

from __future__ import annotations

import math
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from bench.errors import RequestError


@dataclass(frozen=True)
class Optimiser:
    """AdamW, or SGD with momentum, and its schedule for one stage.

    Betas are those of DisCo's official code and the decay is PyTorch's own: for networks that have no recipe of their
    own, and for methods whose papers say otherwise (BERT's fine-tuning has 0.9 and 0.999), they are our choice. So is
    the warm-up: DisCo's 10% of one epoch are 0.5% and 2% of its two stages.
    """

    lr: float
    betas: tuple[float, float] = (0.9, 0.98)
    eps: float = 1e-8
    weight_decay: float = 0.01
    warmup: float = 0.1  # linear warm-up, as a share of the stage
    epochs: float = 0.1  # the same in epochs of the stage's data, for runs that count it so: those of before
    schedule: Literal["cosine", "linear", "constant", "step"] = "cosine"  # after the warm-up
    clip: float = 1.0  # gradient norm; 0: no clipping
    kind: Literal["adamw", "sgd", "sparse_adam"] = "adamw"  # the last: of embeddings with sparse gradients
    momentum: float = 0.9  # of sgd
    nesterov: bool = False
    milestones: tuple[float, ...] = (0.5, 0.75)  # shares of the stage after which `step` divides the rate by 10


def over(o: Optimiser, parameters: Sequence[Tensor], sparse: Set[Tensor] = frozenset()) -> list[torch.optim.Optimizer]:
    """What moves these tensors, which may be none; those of `sparse` have sparse gradients, and SparseAdam moves the
    rows of them that a batch has read, with the same rate. RequestError: the optimiser is SGD, whose momentum moves
    every row."""
    rows = [p for p in parameters if p in sparse]
    if not rows or o.kind == "sparse_adam":
        return [one(o, parameters)]
    if o.kind == "sgd":
        raise RequestError("a table with sparse gradients is moved by Adam, and this stage's optimiser is SGD")
    return [one(o, [p for p in parameters if p not in sparse]), one(replace(o, kind="sparse_adam"), rows)]


def one(o: Optimiser, parameters: Sequence[Tensor]) -> torch.optim.Optimizer:
    """AdamW decays matrices alone, as is usual for transformers; SGD decays all (He et al. 2016). SparseAdam decays
    nothing."""
    whole = [{"params": list(parameters)}]
    if o.kind == "sgd":
        return torch.optim.SGD(
            whole, lr=o.lr, momentum=o.momentum, nesterov=o.nesterov, weight_decay=o.weight_decay, fused=True
        )
    if o.kind == "sparse_adam":
        return torch.optim.SparseAdam(whole, lr=o.lr, betas=o.betas, eps=o.eps)
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": o.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=o.lr, betas=o.betas, eps=o.eps, fused=True)


def rate(o: Optimiser, step: int, updates: int, warmup: int) -> float:
    """The rate at this update."""
    if step < warmup:
        return o.lr * (step + 1) / (warmup + 1)
    done = (step - warmup) / max(1, updates - warmup)
    return o.lr * _share(o.schedule, done, o.milestones)


def _share(schedule: str, done: float, milestones: Sequence[float]) -> float:
    if schedule == "step":
        return float(0.1 ** sum(done >= m for m in milestones))
    return {"cosine": 0.5 * (1 + math.cos(math.pi * done)), "linear": 1 - done, "constant": 1.0}[schedule]


def set_rate(optimiser: Any, lr: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = lr
