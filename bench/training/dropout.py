"""Dropout whose random numbers are cheap on a CPU: 16 bits each from a counter, where torch draws a float's worth one
by one. Another draw of the same noise: a student's numbers differ as they do between two seeds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

LEVELS = 2**16  # a probability is rounded to a multiple of 1 / LEVELS, and the scale is that of the rounded one


class _Dropped(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, keep: Tensor, scale: float) -> Tensor:
        ctx.save_for_backward(keep)
        ctx.scale = scale
        return (x * keep).mul_(scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (keep,) = ctx.saved_tensors
        return (gradients[0] * keep).mul_(ctx.scale), None, None


class Dropout(nn.Dropout):
    """`nn.Dropout` on a CPU. Seeded by torch's generator, so that a resumed run goes on as it would have."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0 or x.device.type != "cpu":
            return super().forward(x)
        dropped = min(LEVELS - 1, max(1, round(self.p * LEVELS)))
        found: Tensor = _Dropped.apply(x, kept(x, dropped), LEVELS / (LEVELS - dropped))
        return found


def kept(x: Tensor, dropped: int) -> Tensor:
    """Of x's shape, bool: False with a probability of `dropped` / LEVELS."""
    generator = np.random.Generator(np.random.SFC64(int(torch.randint(2**62, ()))))
    words = generator.integers(0, 2**64, size=-(-x.numel() // 4), dtype=np.uint64)
    bits = torch.from_numpy(words.view(np.int16)[: x.numel()]).view(x.shape)
    return bits >= dropped - LEVELS // 2


def use(network: nn.Module) -> None:
    """Every `nn.Dropout` of the network becomes this one; its state dict stays as it is."""
    for module in network.modules():
        if type(module) is nn.Dropout:
            module.__class__ = Dropout
