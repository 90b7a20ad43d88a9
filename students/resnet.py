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

from bench.data.images import ImageNetwork
from bench.errors import RequestError
from bench.network import Network, Shape
from bench.optimiser import Optimiser
from bench.signals import Signals
from bench.student import Student
from bench.task import Task

SIZE = re.compile(r"([1-9][0-9]{0,3})(x4)?")
CHANNELS = {"": (16, 16, 32, 64), "x4": (32, 64, 128, 256)}  # stem and stages

# RepDistiller: 240 epochs, a tenth of the rate after 150, 180 and 210
RECIPE = Optimiser(
    lr=0.05, weight_decay=5e-4, warmup=0, epochs=0, schedule="step", clip=0, kind="sgd", momentum=0.9,
    milestones=(0.625, 0.75, 0.875),
)  # fmt: skip


class ResNet(Student):
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


class ResNetwork(ImageNetwork):
    """Three stages of `blocks` blocks each. `maps`: after the stem and after each stage."""

    offers = ResNet.offers
    optimiser = RECIPE

    def __init__(self, blocks: int, channels: tuple[int, ...], task: Task) -> None:
        super().__init__(task)
        first, *rest = channels
        self.stem = nn.Sequential(conv(3, first), nn.BatchNorm2d(first), nn.ReLU())
        self.stages = nn.ModuleList()
        for number, width in enumerate(rest):
            before = channels[number]
            parts = [Block(before, width, 1 if number == 0 else 2), *(Block(width, width) for _ in range(blocks - 1))]
            self.stages.append(nn.Sequential(*parts))
        self.classifier = self.goal.head(rest[-1])
        self.width, self.shape = rest[-1], Shape(hidden=channels)
        self.apply(start)

    def forward(self, batch: dict[str, Tensor], want: frozenset[str]) -> Signals:
        maps = [self.stem(batch["pixels"])]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        body = Signals(embedding=maps[-1].mean((2, 3)), maps=tuple(maps) if "maps" in want else None)
        return self.goal.complete(body, self.classifier, batch)


class Block(nn.Module):
    """Two convolutions beside a shortcut: (B, C, H, W) -> (B, D, H / stride, W / stride)."""

    def __init__(self, before: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv(before, width, stride), nn.BatchNorm2d(width), nn.ReLU(), conv(width, width), nn.BatchNorm2d(width)
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or before != width:
            self.shortcut = nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.body(x) + self.shortcut(x))


def conv(before: int, width: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, width, 3, stride, padding=1, bias=False)


def start(module: nn.Module) -> None:
    """First weights of convolutions: normal, sqrt(2 / fan-out) (He et al. 2015, as in RepDistiller)."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
