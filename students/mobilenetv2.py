"""MobileNetV2 for small images: inverted residuals, narrow between and wide inside.

    x -> conv 3x3 / 2 -> seven groups of blocks -> conv 1x1, 1280 -> mean -> linear
    block: x' + BN(conv 1x1 (ReLU(BN(depthwise 3x3 (ReLU(BN(conv 1x1 (x))))))))
    x' is x, or nothing where shapes change

Sandler et al., CVPR 2018. Shapes of HobbitLong/RepDistiller for images of 32 pixels: ReLU and not ReLU6, the second
group does not halve, blocks are 6 times as wide inside, and the default `0.5` has half the channels everywhere but in
the last convolution. Maps are those after the stem and after groups 2, 3, 5 and 7, as there.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn

from bench.errors import unknown
from bench.network import Network
from bench.networks.convolutional import RECIPE, ConvNetwork, ImageStudent, normed, start, start_head
from bench.task import Task

# Stages of groups: (how much wider inside, channels, blocks, stride of the first)
STAGES = (
    ((1, 16, 1, 1), (6, 24, 2, 1)),
    ((6, 32, 3, 2),),
    ((6, 64, 4, 2), (6, 96, 3, 1)),
    ((6, 160, 3, 2), (6, 320, 1, 1)),
)
LAST = 1280
FACTORS = {"0.5": 0.5, "1": 1.0}  # of the channels


class MobileNetV2(ImageStudent):
    offers = frozenset({"embedding", "maps"})
    reads = "image"
    sizes = "0.5 or 1, of the channels"
    default = "0.5"

    @classmethod
    def check(cls, size: str) -> str:
        if (size or cls.default) not in FACTORS:
            raise unknown("size of mobilenetv2", size, FACTORS)
        return size or cls.default

    def build(self, size: str, task: Task, teacher: Network | None) -> MobileNetwork:
        return MobileNetwork(FACTORS[self.check(size)], task)


class MobileNetwork(ConvNetwork):
    """`factor`: of all channels but those of the embedding."""

    optimiser = replace(RECIPE, lr=0.01)  # RepDistiller: of MobileNetV2 and ShuffleNets

    def __init__(self, factor: float, task: Task) -> None:
        super().__init__(task)
        before = int(32 * factor)
        channels = [before]
        self.stem = nn.Sequential(*normed(3, before, 3, 2), nn.ReLU())
        self.stages = nn.ModuleList()
        for groups in STAGES:
            parts: list[nn.Module] = []
            for wider, width, blocks, stride in groups:
                for number in range(blocks):
                    parts.append(Block(before, int(width * factor), wider, 1 if number else stride))
                    before = int(width * factor)
            self.stages.append(nn.Sequential(*parts))
            channels.append(before)
        self.last = nn.Sequential(*normed(before, LAST, 1), nn.ReLU())
        self.complete(tuple(channels), LAST)
        self.apply(start_dense)
        start_head(self.classifier, 0.01)

    def neck(self, x: Tensor) -> Tensor:
        mean: Tensor = self.last(x).mean((2, 3))
        return mean


class Block(nn.Module):
    """An inverted residual: (B, C, H, W) -> (B, D, H / stride, W / stride)."""

    def __init__(self, before: int, width: int, wider: int, stride: int) -> None:
        super().__init__()
        inner = before * wider
        self.body = nn.Sequential(
            *normed(before, inner, 1), nn.ReLU(), *normed(inner, inner, 3, stride, groups=inner), nn.ReLU(),
            *normed(inner, width, 1),
        )  # fmt: skip
        self.beside = stride == 1 and before == width

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.body(x)
        return x + found if self.beside else found


def start_dense(module: nn.Module) -> None:
    """As `start`, but fan-out counts all channels of a depthwise convolution too, as in RepDistiller."""
    start(module)
    if isinstance(module, nn.Conv2d) and module.groups > 1:
        nn.init.normal_(module.weight, std=(2 / (module.kernel_size[0] ** 2 * module.out_channels)) ** 0.5)
