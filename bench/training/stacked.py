"""Several replicas of a student and its method as one computation: tensors side by side, torch.func.vmap over them.

A replica stays a pair of modules of its own: its parameters and buffers become views of its slice of the stack, so
that what moves the stack moves them, and it is evaluated, saved and loaded as if it were alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from bench.errors import RequestError
from bench.inputs import Batch
from bench.method import Losses, Method, Stage
from bench.network import Network
from bench.signals import Signals


class Replica(nn.Module):
    """A student and its method as one module, so that one call can put other tensors in the place of all of theirs."""

    def __init__(self, student: Network, method: Method) -> None:
        super().__init__()
        self.student, self.method = student, method

    def forward(self, stage: Stage, wants: frozenset[str], inputs: Any, teacher: Any, batch: Batch) -> Losses:
        return stage.loss(self.student(inputs, wants), teacher, batch)


class Stack:
    """K replicas of one shape; `parameters` and `buffers` are {name: (K, ...)}. RequestError: their shapes differ."""

    def __init__(self, replicas: Sequence[Replica]) -> None:
        if len({tuple((n, t.shape, t.dtype) for n, t in tensors(r).items()) for r in replicas}) > 1:
            raise RequestError("the networks of these seeds differ in shape: leave seeds=stacked out")
        self.replicas = replicas
        self.parameters = joined([dict(r.named_parameters()) for r in replicas])
        self.buffers = joined([dict(r.named_buffers()) for r in replicas])

    @property
    def state(self) -> dict[str, Tensor]:
        return self.parameters | self.buffers

    def losses(
        self, stage: Stage, wants: frozenset[str], teacher: Signals, batch: Batch, state: dict[str, Tensor]
    ) -> Losses:
        """Each replica's named losses (K,), by these tensors, buffers among which the modules may change in place.

        `stage` is the first replica's; tensors in `teacher` and `batch` are (K, B, ...). Random numbers differ between
        replicas.
        """
        signals = {name: value for name, value in vars(teacher).items() if value is not None}

        def one(state: dict, inputs: dict, signals: dict, rows: Tensor, labels: Tensor | None) -> Losses:
            own = replace(batch, inputs=inputs, rows=rows, labels=labels)
            found: Losses = functional_call(
                self.replicas[0], state, (stage, wants, dict(inputs), Signals(**signals), own)
            )
            return found

        each = vmap(one, (0, 0, 0, 0, None if batch.labels is None else 0), randomness="different")
        with plain_attention():
            losses: Losses = each(state, dict(batch.inputs), signals, batch.rows, batch.labels)
        return losses

    def release(self) -> None:
        """Give each replica tensors of its own again: a view would be sent to other processes with the whole stack."""
        for replica in self.replicas:
            for tensor in tensors(replica).values():
                tensor.data = tensor.data.clone()


def tensors(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, a shared one once."""
    return dict(module.named_parameters()) | dict(module.named_buffers())


def joined(replicas: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
    """{name: (...)} of K replicas -> {name: (K, ...)}; their tensors become views of it."""
    found = {}
    for name, first in replicas[0].items():
        stack = torch.stack([r[name].detach() for r in replicas])
        for replica, own in zip(replicas, stack, strict=True):
            replica[name].data = own
        found[name] = stack.requires_grad_(first.requires_grad)
    return found


@contextmanager
def plain_attention() -> Iterator[None]:
    """Attention from its parts, the one form that vmap batches on every device. Operations that it takes replica by
    replica are right, if slow, and no news for the user."""
    with sdpa_kernel(SDPBackend.MATH), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "There is a performance drop because we have not yet implemented")
        yield


@torch.no_grad()
def clip(parameters: Sequence[Tensor], limit: float) -> None:
    """Scale each replica's gradient, over all its parameters (K, ...), to a norm of at most `limit`."""
    grads = [p.grad for p in parameters if p.grad is not None]
    norms = torch.stack([g.reshape(len(g), -1).norm(dim=1) for g in grads]).norm(dim=0)
    scale = (limit / (norms + 1e-6)).clamp(max=1.0)  # (K,); the 1e-6 is that of torch.nn.utils.clip_grad_norm_
    for g in grads:
        g.mul_(scale.reshape(-1, *[1] * (g.ndim - 1)))
