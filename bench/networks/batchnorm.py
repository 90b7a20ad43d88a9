"""Batch normalisation of a batch that several processes share: mean and variance are those of all its rows.

torch's SyncBatchNorm does the same on GPUs alone. Here a network's own layers are led through `normalise` for one
forward pass, so that its modules, and with them its weights' names and its place in the store, stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm


@contextmanager
def synchronised(modules: Iterable[nn.Module]) -> Iterator[None]:
    """Inside, those of these modules that normalise over a batch, and train, do so over all processes."""
    layers = [m for m in modules if isinstance(m, _BatchNorm) and m.training]
    for layer in layers:
        layer.__dict__["forward"] = partial(normalise, layer)
    try:
        yield
    finally:
        for layer in layers:
            del layer.__dict__["forward"]


def normalise(layer: Any, x: Tensor) -> Tensor:
    """x (B, C, ...), the rows of this process, by the mean and variance of each channel over all processes."""
    others = [0, *range(2, x.ndim)]
    shape = [1, -1] + [1] * (x.ndim - 2)
    sums = Summed.apply(torch.cat([x.sum(others), x.new_full((1,), x.numel() // x.shape[1])]))
    mean, values = sums[:-1] / sums[-1], sums[-1]
    centred = x - mean.view(shape)
    variance = Summed.apply(centred.square().sum(others)) / values
    track(layer, mean, variance * values / (values - 1))
    found = centred * torch.rsqrt(variance + layer.eps).view(shape)
    return found * layer.weight.view(shape) + layer.bias.view(shape) if layer.affine else found


@torch.no_grad()
def track(layer: Any, mean: Tensor, variance: Tensor) -> None:
    """Move the running statistics, as the layer itself does."""
    if layer.track_running_stats:
        layer.num_batches_tracked += 1
        share = 1 / layer.num_batches_tracked if layer.momentum is None else layer.momentum
        layer.running_mean += share * (mean - layer.running_mean)
        layer.running_var += share * (variance - layer.running_var)


class Summed(torch.autograd.Function):
    """The sum over processes. Each of them feels a part of what it does to the loss, so gradients are summed too."""

    @staticmethod
    def forward(context: Any, own: Tensor) -> Tensor:
        whole = own.clone()
        distributed.all_reduce(whole)
        return whole

    @staticmethod
    def backward(context: Any, *gradients: Any) -> Any:
        whole = gradients[0].contiguous().clone()
        distributed.all_reduce(whole)
        return whole
