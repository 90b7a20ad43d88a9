"""ShuffleNet for small images: grouped 1x1 convolutions whose channels are shuffled between the groups.

    x -> conv 1x1, 24 -> three stages of 4, 8 and 4 blocks, 240, 480 and 960 channels, each halves height and width
      -> mean -> linear
    block: ReLU(x' + BN(conv 1x1 (ReLU(BN(depthwise 3x3 (shuffle(ReLU(BN(conv 1x1 (x)))))))))), a quarter as wide inside
    The first block of a stage puts the mean of 3x3 places of x beside its result instead of adding x.

Zhang et al., CVPR 2018; three groups, the shapes of HobbitLong/RepDistiller (its ShuffleV1). First weights are
PyTorch's, as there.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.errors import unknown
from bench.network import Network
from bench.networks.convolutional import RECIPE, ConvNetwork, ImageStudent, normed
from bench.task import Task

STEM, GROUPS = 24, 3
WIDTHS = {"1": (240, 480, 960)}
BLOCKS = (4, 8, 4)


class ShuffleNetV1(ImageStudent):
    offers = frozenset({"embedding", "maps"})
    reads = "image"
    sizes = "1"
    default = "1"

    @classmethod
    def check(cls, size: str) -> str:
        if (size or cls.default) not in WIDTHS:
            raise unknown("size of shufflenetv1", size, WIDTHS)
        return size or cls.default

    def build(self, size: str, task: Task, teacher: Network | None) -> ShuffleNetwork:
        return ShuffleNetwork(WIDTHS[self.check(size)], task)


class ShuffleNetwork(ConvNetwork):
    """Three stages of `BLOCKS` blocks."""

    optimiser = replace(RECIPE, lr=0.01)  # RepDistiller: of MobileNetV2 and ShuffleNets

    def __init__(self, widths: tuple[int, ...], task: Task) -> None:
        super().__init__(task)
        self.stem = nn.Sequential(*normed(3, STEM, 1), nn.ReLU())
        channels = (STEM, *widths)
        self.stages = nn.ModuleList()
        for before, width, blocks in zip(channels, widths, BLOCKS, strict=False):
            parts = [Block(before, width - before, 2), *(Block(width, width) for _ in range(blocks - 1))]
            self.stages.append(nn.Sequential(*parts))
        self.complete(channels)


class Block(nn.Module):
    """`stride` 1: (B, C, H, W) to itself; 2: -> (B, C + width, H / 2, W / 2)."""

    def __init__(self, before: int, width: int, stride: int = 1) -> None:
        super().__init__()
        inner, self.stride = width // 4, stride
        self.groups = 1 if before == STEM else GROUPS  # of the first convolution: 24 channels are too few to part
        self.first = nn.Sequential(*normed(before, inner, 1, groups=self.groups), nn.ReLU())
        self.second = nn.Sequential(
            *normed(inner, inner, 3, stride, groups=inner), nn.ReLU(), *normed(inner, width, 1, groups=GROUPS)
        )

    def forward(self, x: Tensor) -> Tensor:
        found = self.second(functional.channel_shuffle(self.first(x), self.groups))
        if self.stride == 2:
            return functional.relu(torch.cat([found, functional.avg_pool2d(x, 3, 2, 1)], 1))
        return functional.relu(found + x)
