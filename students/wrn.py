"""Wide residual networks for small images.

    x -> conv 3x3, 16 -> three stages of n blocks, 16k, 32k and 64k channels, the last two halve height and width
      -> BN, ReLU -> mean -> linear                                            depth = 6n + 4
    block: x' + conv(ReLU(BN(conv(ReLU(BN(x))))))
    x' is x, or where channels change a 1x1 convolution of ReLU(BN(x))

Zagoruyko and Komodakis, "Wide Residual Networks", BMVC 2016; shapes and first weights of HobbitLong/RepDistiller, whose
wrn_40_2 is `wrn:40x2` here. Its maps are those between the blocks, before BN, as there.
"""

from __future__ import annotations

import re

from torch import Tensor, nn
from torch.nn import functional

from bench.errors import RequestError
from bench.network import Network
from bench.networks.convolutional import ConvNetwork, ImageStudent, conv, start, start_head
from bench.task import Task

SIZE = re.compile(r"([1-9][0-9]{0,3})x([1-9][0-9]?)")


class Wrn(ImageStudent):
    offers = frozenset({"embedding", "maps"})
    reads = "image"
    sizes = "DEPTHxWIDTH, DEPTH = 6n + 4: 16x1, 16x2, 40x1, 40x2"
    default = "16x2"

    @classmethod
    def check(cls, size: str) -> str:
        match = SIZE.fullmatch(size or cls.default)
        if not match or int(match[1]) < 10 or int(match[1]) % 6 != 4:
            raise RequestError(f"'{size}' is not a size of wrn: write wrn:{cls.sizes}")
        return match.group()

    def build(self, size: str, task: Task, teacher: Network | None) -> WrnNetwork:
        depth, width = map(int, self.check(size).split("x"))
        return WrnNetwork((depth - 4) // 6, width, task)


class WrnNetwork(ConvNetwork):
    """Three stages of `blocks` blocks each."""

    def __init__(self, blocks: int, width: int, task: Task) -> None:
        super().__init__(task)
        channels = (16, 16 * width, 32 * width, 64 * width)
        self.stem = conv(3, 16)
        self.stages = nn.ModuleList()
        for number in range(3):
            before, after = channels[number : number + 2]
            parts = [Block(before, after, 1 if number == 0 else 2), *(Block(after, after) for _ in range(blocks - 1))]
            self.stages.append(nn.Sequential(*parts))
        self.norm = nn.BatchNorm2d(channels[-1])
        self.complete(channels)
        self.apply(start)
        start_head(self.classifier)

    def neck(self, x: Tensor) -> Tensor:
        return functional.relu(self.norm(x)).mean((2, 3))


class Block(nn.Module):
    """Two convolutions, each after BN and ReLU, beside a shortcut: (B, C, H, W) -> (B, D, H / stride, W / stride)."""

    def __init__(self, before: int, width: int, stride: int = 1) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(before)
        self.body = nn.Sequential(conv(before, width, 3, stride), nn.BatchNorm2d(width), nn.ReLU(), conv(width, width))
        self.shortcut = conv(before, width, 1, stride) if before != width else None

    def forward(self, x: Tensor) -> Tensor:
        read = functional.relu(self.norm(x))
        beside: Tensor = x if self.shortcut is None else self.shortcut(read)
        return self.body(read) + beside
