"""Convolutional networks of images: a stem, stages, an embedding of the last map, and the head of the task's kind.

    x -> stem -> stage 1 -> ... -> stage S -> (B, C, Y, X) -> mean over places (B, C) -> logits

A family gives the parts; the forward pass, the maps and a second end of the network are here.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

from torch import Tensor, nn

from bench.data.images import ImageNetwork, pictures
from bench.network import Shape
from bench.optimiser import Optimiser
from bench.signals import Signals
from bench.student import Known, Outline, Student

# HobbitLong/RepDistiller: 240 epochs of batches of 64, a tenth of the rate after 150, 180 and 210
RECIPE = Optimiser(
    lr=0.05, weight_decay=5e-4, warmup=0, epochs=0, schedule="step", clip=0, kind="sgd", momentum=0.9,
    milestones=(0.625, 0.75, 0.875),
)  # fmt: skip


class ImageStudent(Student):
    """A family whose networks follow from their size, the images and the kind alone."""

    def outlines(self, size: str, known: Known) -> Iterator[Outline]:
        for images, batch in pictures(known.size):
            network = self.build(size, known.reading(images), None)
            yield Outline(network, passes={"mean": lambda n=network, b=batch: n(b, frozenset())})  # type: ignore[misc]


class ConvNetwork(ImageNetwork):
    """`maps`: after the stem and after each stage."""

    offers = frozenset({"embedding", "maps"})
    optimiser = RECIPE
    stem: nn.Module
    stages: nn.ModuleList
    classifier: nn.Module | None  # None: the kind of task reads the embedding itself
    adapter: nn.Module | None  # what a method left in the place of the neck: of the last map, whose mean is taken

    def complete(self, channels: tuple[int, ...], width: int = 0) -> None:
        """Put the head on. `channels` of each map; `width` of the embedding, where it is not the last of them."""
        self.width = width or channels[-1]
        self.classifier, self.adapter = self.goal.head(self.width), None
        self.shape = Shape(hidden=channels)

    def enter(self, stage: int, x: Tensor) -> Tensor:
        """What this stage (from 0 on) reads of the map before it."""
        return x

    def neck(self, x: Tensor) -> Tensor:
        """The embedding (B, D) of the last map."""
        return x.mean((2, 3))

    def forward(self, batch: dict[str, Tensor], want: frozenset[str]) -> Signals:
        maps = [self.stem(batch["pixels"])]
        for number, stage in enumerate(self.stages):
            maps.append(stage(self.enter(number, maps[-1])))
        embedding = self.neck(maps[-1]) if self.adapter is None else self.adapter(maps[-1]).mean((2, 3))
        body = Signals(embedding=embedding, maps=tuple(maps) if "maps" in want else None)
        return self.goal.complete(body, self.classifier, batch)

    def adapt(self, adapter: nn.Module, classifier: nn.Linear) -> None:
        """Stem and stages with another end, in place: the adapter's map, its mean, and this last layer of it."""
        for name in {n for n, _ in self.named_children()} - {"stem", "stages"}:
            delattr(self, name)
        self.adapter, self.classifier, self.width = adapter, classifier, classifier.in_features


class End(nn.Module):
    """The end of a network by itself, with weights of its own: last stage, embedding and head."""

    def __init__(self, network: ConvNetwork) -> None:
        super().__init__()
        self.network = copy.deepcopy(network)
        self.network.stem = nn.Identity()
        for number in range(len(network.stages) - 1):
            self.network.stages[number] = nn.Identity()

    def forward(self, x: Tensor) -> Signals:
        """The map before the last one (B, C, Y, X) -> `maps` (the last alone), `embedding` and `logits`."""
        last = len(self.network.stages) - 1
        final = self.network.stages[last](self.network.enter(last, x))
        body = Signals(embedding=self.network.neck(final), maps=(final,))
        return self.network.goal.complete(body, self.network.classifier, {})


def conv(before: int, width: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    """A convolution without bias whose map is 1 / stride of what it reads in height and width."""
    return nn.Conv2d(before, width, kernel, stride, padding=kernel // 2, groups=groups, bias=False)


def normed(before: int, width: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    """A convolution, and BN of its map."""
    return [conv(before, width, kernel, stride, groups), nn.BatchNorm2d(width)]


def start(module: nn.Module) -> None:
    """First weights of convolutions: normal, sqrt(2 / fan-out) (He et al. 2015, as in RepDistiller); biases 0."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def start_head(head: nn.Module | None, deviation: float = 0.0) -> None:
    """First weights of a linear head: biases 0, and weights N(0, deviation) where one is given."""
    if isinstance(head, nn.Linear):
        nn.init.zeros_(head.bias)
        if deviation:
            nn.init.normal_(head.weight, std=deviation)
