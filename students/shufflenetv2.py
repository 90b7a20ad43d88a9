"""ShuffleNet V2 for small images: half of the channels pass a block as they are, and all are shuffled then.

    x -> conv 1x1, 24 -> three stages of 4, 8 and 4 blocks, each halves height and width
      -> conv 1x1, 1024 -> mean -> linear
    block: shuffle(x_1 beside ReLU(BN(conv 1x1 (BN(depthwise 3x3 (ReLU(BN(conv 1x1 (x_2)))))))))
    The first block of a stage reads all of x twice, and halves both: x_1 is ReLU(BN(conv 1x1 (BN(depthwise 3x3 (x))))).

Ma et al., ECCV 2018; shapes of HobbitLong/RepDistiller (its ShuffleV2 is size 1; SimKD's ShuffleV2x1.5 is 1.5). First
weights are PyTorch's, as there.
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

STEM, LAST = 24, 1024
WIDTHS = {"0.5": (48, 96, 192), "1": (116, 232, 464), "1.5": (176, 352, 704)}
BLOCKS = (4, 8, 4)


class ShuffleNetV2(ImageStudent):
    offers = frozenset({"embedding", "maps"})
    reads = "image"
    sizes = "0.5, 1 or 1.5"
    default = "1"

    @classmethod
    def check(cls, size: str) -> str:
        if (size or cls.default) not in WIDTHS:
            raise unknown("size of shufflenetv2", size, WIDTHS)
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
            self.stages.append(nn.Sequential(Halving(before, width), *(Block(width) for _ in range(blocks - 1))))
        self.last = nn.Sequential(*normed(widths[-1], LAST, 1), nn.ReLU())
        self.complete(channels, LAST)

    def neck(self, x: Tensor) -> Tensor:
        mean: Tensor = self.last(x).mean((2, 3))
        return mean


class Block(nn.Module):
    """(B, C, H, W) to itself."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = branch(width // 2, width // 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        kept, read = x.chunk(2, 1)
        return functional.channel_shuffle(torch.cat([kept, self.body(read)], 1), 2)


class Halving(nn.Module):
    """(B, C, H, W) -> (B, width, H / 2, W / 2)."""

    def __init__(self, before: int, width: int) -> None:
        super().__init__()
        half = width // 2
        self.beside = nn.Sequential(*normed(before, before, 3, 2, groups=before), *normed(before, half, 1), nn.ReLU())
        self.body = branch(before, half, 2)

    def forward(self, x: Tensor) -> Tensor:
        return functional.channel_shuffle(torch.cat([self.beside(x), self.body(x)], 1), 2)


def branch(before: int, width: int, stride: int) -> nn.Sequential:
    """1x1, depthwise 3x3, 1x1."""
    return nn.Sequential(
        *normed(before, width, 1), nn.ReLU(), *normed(width, width, 3, stride, groups=width), *normed(width, width, 1),
        nn.ReLU(),
    )  # fmt: skip
