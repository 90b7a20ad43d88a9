"""VGG for small images: five blocks of 3x3 convolutions with BN, halved between, and one linear layer.

    size 8     64, 128, 256, 512, 512           one convolution a block
    size 11    64, 128, 2 256, 2 512, 2 512
    size 13    2 64, 2 128, 2 256, 2 512, 2 512
    size 16    2 64, 2 128, 3 256, 3 512, 3 512
    size 19    2 64, 2 128, 4 256, 4 512, 4 512

Simonyan and Zisserman, ICLR 2015, without its three linear layers, as HobbitLong/RepDistiller has it: the last block
is at the size of the one before where images are of 32 pixels, and ends in a mean over places. First weights as there.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

from bench.data.images import training_images
from bench.errors import unknown
from bench.network import Network
from bench.networks.convolutional import ConvNetwork, ImageStudent, start, start_head
from bench.task import Task

WIDTHS = (64, 128, 256, 512, 512)
DEPTHS = {"8": (1, 1, 1, 1, 1), "11": (1, 1, 2, 2, 2), "13": (2,) * 5, "16": (2, 2, 3, 3, 3), "19": (2, 2, 4, 4, 4)}
LARGE = 64  # pixels, from which on there is a pool before the last block


class Vgg(ImageStudent):
    offers = frozenset({"embedding", "maps"})
    reads = "image"
    sizes = "8, 11, 13, 16 or 19"
    default = "8"

    @classmethod
    def check(cls, size: str) -> str:
        if (size or cls.default) not in DEPTHS:
            raise unknown("size of vgg", size, DEPTHS)
        return size or cls.default

    def build(self, size: str, task: Task, teacher: Network | None) -> VggNetwork:
        return VggNetwork(DEPTHS[self.check(size)], task)


class VggNetwork(ConvNetwork):
    """`depths`: convolutions of each block. The first block is the stem."""

    def __init__(self, depths: tuple[int, ...], task: Task) -> None:
        super().__init__(task)
        blocks = [block(a, b, n) for (a, b), n in zip(pairwise((3, *WIDTHS)), depths, strict=True)]
        self.stem, self.stages = blocks[0], nn.ModuleList(blocks[1:])
        self.pools = 4 if min(training_images(task).size) >= LARGE else 3
        self.complete(WIDTHS)
        self.apply(start)
        start_head(self.classifier, 0.01)

    def enter(self, stage: int, x: Tensor) -> Tensor:
        return functional.max_pool2d(x, 2) if stage < self.pools else x


def block(before: int, width: int, depth: int) -> nn.Sequential:
    """(B, C, H, W) -> (B, D, H, W)."""
    sizes = pairwise([before, *[width] * depth])
    layers = ((nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU()) for a, b in sizes)
    return nn.Sequential(*(part for layer in layers for part in layer))
