"""A small convolutional encoder of speech: residual convolutions over 40 ms frames, for CTC.

    h <- h + ReLU(LN(conv_5(h)))        a layer sees two frames before and two behind

After wav2letter (Collobert et al. 2016, arXiv:1609.03193) in its idea, convolutions alone and CTC-like training;
widths, residual sums and normalisation of every frame by itself are our choice: normalisation over the batch would let
padding in.
"""

from __future__ import annotations

from torch import Tensor, nn

from bench.network import Network
from bench.networks.audio import KERNEL, AudioNetwork, AudioStudent, Hearing
from bench.networks.words import checked
from bench.task import Task


class Convolutions(Hearing):
    """(B, L, W) -> (B, L, W)"""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.width = width
        self.convs = nn.ModuleList(nn.Conv1d(width, width, KERNEL, padding=KERNEL // 2) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(layers))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        for conv, norm in zip(self.convs, self.norms, strict=True):
            seen = conv((x * mask[..., None]).transpose(1, 2)).transpose(1, 2)
            x = x + norm(seen).relu()
        return x


class ConvCtc(AudioStudent):
    offers = frozenset({"states"})
    kinds = frozenset({"ctc"})
    reads = "audio"
    sizes = "WIDTHxLAYERS (1x1 to 9999x9)"
    default = "32x2"  # our choice

    @classmethod
    def check(cls, size: str) -> str:
        return checked(size or cls.default, "[1-9][0-9]{0,3}x[1-9]", cls)

    def build(self, size: str, task: Task, teacher: Network | None) -> AudioNetwork:
        width, layers = map(int, self.check(size).split("x"))
        return AudioNetwork(Convolutions(width, layers), width, task)
