"""Plain convolutional networks: the teachers, assistants and students of TAKD.

    size 2    C16, P, C16, P, F             C: conv 3x3, BN, ReLU; P: largest of 2x2; F: linear, the classes
    size 4    2 C16, P, 2 C32, P, F
    size 6    2 C16, P, 2 C32, P, 2 C64, P, F
    size 8    2 C16, P, 2 C32, P, 2 C64, P, 2 C128, P, F64, ReLU, F
    size 10   2 C32, P, 2 C64, P, 2 C128, P, 4 C256, P, F128, ReLU, F

Mirzadeh et al., "Improved Knowledge Distillation via Teacher Assistant", AAAI 2020; official code
imirzadeh/Teacher-Assistant-Knowledge-Distillation. These are its networks for CIFAR-10; as there, a task of more
classes has twice the channels in sizes 2 to 8 and F512 in size 10. Its CIFAR-100 network of size 6 leaves out the last
P, ours does not. There is no mean over places before F, so the number of parameters grows with the image.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from bench.data.images import training_images
from bench.errors import RequestError, unknown
from bench.network import Network
from bench.networks.convolutional import ConvNetwork, ImageStudent
from bench.optimiser import Optimiser
from bench.task import Task

Stages = tuple[tuple[int, ...], ...]
FEW = 10  # classes; with more of them the networks are TAKD's for CIFAR-100
# size: the channels of each stage, and the width of the layer before the classes (with few and with many of them)
SHAPES: dict[str, tuple[Stages, tuple[int, int]]] = {
    "2": (((16,), (16,)), (0, 0)),
    "4": (((16, 16), (32, 32)), (0, 0)),
    "6": (((16, 16), (32, 32), (64, 64)), (0, 0)),
    "8": (((16, 16), (32, 32), (64, 64), (128, 128)), (64, 64)),
    "10": (((32, 32), (64, 64), (128, 128), (256, 256, 256, 256)), (128, 512)),
}


class Plain(ImageStudent):
    offers = frozenset({"embedding", "maps"})
    reads = "image"
    sizes = "2, 4, 6, 8 or 10"
    default = "2"

    @classmethod
    def check(cls, size: str) -> str:
        if (size or cls.default) not in SHAPES:
            raise unknown("size of plain", size, SHAPES)
        return size or cls.default

    def build(self, size: str, task: Task, teacher: Network | None) -> PlainNetwork:
        size = self.check(size)
        stages, widths = SHAPES[size]
        many = task.outputs > FEW
        if many and size != "10":
            stages = tuple(tuple(2 * channels for channels in stage) for stage in stages)
        return PlainNetwork(stages, widths[many], task)


class PlainNetwork(ConvNetwork):
    """Stages of convolutions that each end in a pool. `maps`: after the first convolution, and each stage's last."""

    optimiser = Optimiser(
        lr=0.01, weight_decay=1e-4, warmup=0, epochs=0, schedule="constant", clip=0, kind="sgd", momentum=0.9
    )

    def __init__(self, stages: Stages, inner: int, task: Task) -> None:
        super().__init__(task)
        height, width = (side // 2 ** len(stages) for side in training_images(task).size)
        if not height or not width:
            raise RequestError(
                f"the images of '{task.name}' are too small for {len(stages)} halvings: take a smaller size"
            )
        (first, *others), *later = stages
        self.stem, before = layer(3, first), first
        self.stages = nn.ModuleList()
        for stage in (others, *later):
            sizes = [before, *stage]
            self.stages.append(nn.Sequential(*(layer(a, b) for a, b in pairwise(sizes))))
            before = sizes[-1]
        flat = before * height * width
        self.inner = nn.Sequential(nn.Linear(flat, inner), nn.ReLU()) if inner else nn.Identity()
        self.complete((first, *(stage[-1] for stage in stages)), inner or flat)

    def enter(self, stage: int, x: Tensor) -> Tensor:
        return nn.functional.max_pool2d(x, 2) if stage else x

    def neck(self, x: Tensor) -> Tensor:
        inner: Tensor = self.inner(nn.functional.max_pool2d(x, 2).flatten(1))
        return inner


def layer(before: int, width: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(before, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
