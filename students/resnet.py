"""Residual networks for small images (He et al.'s CIFAR kind), and RepDistiller's wide form of them.

    x -> conv 3x3, BN, ReLU -> three stages of n blocks, the second and third halve height and width -> mean -> linear
    block: ReLU(x' + BN(conv(ReLU(BN(conv(x))))))      depth = 6n + 2

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2: channels 16, 16, 32, 64. `x4`, as in
32x4, is HobbitLong/RepDistiller's (Tian et al., ICLR 2020): 32, 64, 128, 256. Where the shape changes x' is, as in
RepDistiller, whose reference scores are those that distillation papers quote, a 1x1 convolution with BN (option B); He
et al. took x padded with zeros (option A), which is 2,752 parameters less. Larger images than 32 x 32 pass through the
same layers: the stages end in a mean over whatever is left.
"""

from __future__ import annotations

import re

from torch import Tensor, nn
from torch.nn import functional

from bench.errors import RequestError
from bench.network import Network
from bench.networks.convolutional import ConvNetwork, ImageStudent, normed, start
from bench.task import Task

SIZE = re.compile(r"([1-9][0-9]{0,3})(x4)?")
CHANNELS = {"": (16, 16, 32, 64), "x4": (32, 64, 128, 256)}  # stem and stages


class ResNet(ImageStudent):
    offers = frozenset({"embedding", "maps"})
    reads = "image"
    sizes = "DEPTH[x4], DEPTH = 6n + 2: 8, 14, 20, 26, 32, 44, 56, 110; x4: wide, as in 8x4, 32x4"
    default = "20"

    @classmethod
    def check(cls, size: str) -> str:
        match = SIZE.fullmatch(size or cls.default)
        if not match or int(match[1]) < 8 or int(match[1]) % 6 != 2:
            raise RequestError(f"'{size}' is not a size of resnet: write resnet:{cls.sizes}")
        return match.group()

    def build(self, size: str, task: Task, teacher: Network | None) -> ResNetwork:
        match = SIZE.fullmatch(self.check(size))
        return ResNetwork((int(match[1]) - 2) // 6, CHANNELS[match[2] or ""], task)


class ResNetwork(ConvNetwork):
    """Three stages of `blocks` blocks each."""

    def __init__(self, blocks: int, channels: tuple[int, ...], task: Task) -> None:
        super().__init__(task)
        first, *rest = channels
        self.stem = nn.Sequential(*normed(3, first), nn.ReLU())
        self.stages = nn.ModuleList()
        for number, width in enumerate(rest):
            before = channels[number]
            parts = [Block(before, width, 1 if number == 0 else 2), *(Block(width, width) for _ in range(blocks - 1))]
            self.stages.append(nn.Sequential(*parts))
        self.complete(channels)
        self.apply(start)


class Block(nn.Module):
    """Two convolutions beside a shortcut: (B, C, H, W) -> (B, D, H / stride, W / stride)."""

    def __init__(self, before: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(*normed(before, width, 3, stride), nn.ReLU(), *normed(width, width))
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or before != width:
            self.shortcut = nn.Sequential(*normed(before, width, 1, stride))

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.body(x) + self.shortcut(x))
