"""Convolutions, then a recurrent network over the columns of the picture, for CTC: CRNN, made small.

    3 x 32 x 100 -> C (pool 2) -> 2C (pool 2) -> 2C (pool 2 x 1) -> 4C (pool 2 x 1) -> 4C over what is left of the
    height -> 25 columns -> BiLSTM

Shi et al. 2017, "An End-to-End Trainable Neural Network for Image-based Sequence Recognition", TPAMI, arXiv:1507.05717:
its VGG-like layers with C = 64 and two BiLSTMs of 256. One convolution a stage, normalised over the batch, and one
BiLSTM are our choice.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.data.images import ImageNetwork, training_images
from bench.errors import RequestError
from bench.network import Network
from bench.networks.words import checked
from bench.optimiser import Optimiser
from bench.signals import Signals
from bench.student import Student
from bench.task import Task

HEIGHT = 32  # pixels: the four pools leave two


class CRNN(Student):
    offers = frozenset({"states"})
    kinds = frozenset({"ctc"})
    reads = "image"
    sizes = "CHANNELSxHIDDEN (1x1 to 999x9999): of the first convolution, and of each direction"
    default = "8x24"  # our choice

    @classmethod
    def check(cls, size: str) -> str:
        return checked(size or cls.default, "[1-9][0-9]{0,2}x[1-9][0-9]{0,3}", cls)

    def build(self, size: str, task: Task, teacher: Network | None) -> ColumnNetwork:
        channels, hidden = map(int, self.check(size).split("x"))
        return ColumnNetwork(channels, hidden, task)


class ColumnNetwork(ImageNetwork):
    """Pictures (B, 3, 32, W) -> states of W / 4 columns, and what the task's kind makes of them."""

    offers = frozenset({"states", "logits"})
    optimiser = Optimiser(lr=3e-3, weight_decay=0.0, clip=5.0)  # the clip is the benchmark's; the rate ours

    def __init__(self, channels: int, hidden: int, task: Task) -> None:
        super().__init__(task)
        if training_images(task).size[0] != HEIGHT:
            raise RequestError(f"crnn reads pictures that are {HEIGHT} pixels high")
        widths = [3, channels, 2 * channels, 2 * channels, 4 * channels]
        pools = [(2, 2), (2, 2), (2, 1), (2, 1)]
        stages = [stage(a, b, pool) for a, b, pool in zip(widths, widths[1:], pools, strict=False)]
        self.columns = nn.Sequential(*stages, nn.Conv2d(4 * channels, 4 * channels, (2, 1)), nn.ReLU())
        self.lstm = nn.LSTM(4 * channels, hidden, batch_first=True, bidirectional=True)
        self.width = 2 * hidden
        self.classifier = self.goal.head(self.width)

    def states(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """(B, L, width), and the mask (B, L) bool: every column is real."""
        columns = self.columns(batch["pixels"]).squeeze(2).transpose(1, 2)
        states = self.lstm(columns)[0]
        return states, torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)

    def forward(self, batch: dict[str, Tensor], want: frozenset[str]) -> Signals:
        states, mask = self.states(batch)
        return self.goal.complete(Signals(states=states, mask=mask.long()), self.classifier, batch)


def stage(before: int, width: int, pool: tuple[int, int]) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(before, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(pool)
    )
