"""A small recurrent encoder of speech: bidirectional GRUs over 40 ms frames, for CTC.

    h_t = [GRU_forward(x_1..x_t) ; GRU_backward(x_T..x_t)]

The classical CTC encoder (Graves et al. 2013 with LSTMs; Deep Speech 2, arXiv:1512.02595, with GRUs); sizes are our
choice.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from bench.network import Network
from bench.networks.audio import AudioNetwork, AudioStudent, Hearing
from bench.networks.words import checked
from bench.task import Task


class Recurrent(Hearing):
    """(B, L, W) -> (B, L, 2 W)"""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.width = 2 * width
        self.gru = nn.GRU(width, width, layers, batch_first=True, bidirectional=True)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Packed, so that the backward direction starts at the last real frame."""
        packed = pack_padded_sequence(x, mask.sum(1).cpu(), batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=x.shape[1])[0]


class GruCtc(AudioStudent):
    offers = frozenset({"states"})
    kinds = frozenset({"ctc"})
    reads = "audio"
    sizes = "WIDTHxLAYERS (1x1 to 9999x9)"
    default = "64x1"  # units of each direction; our choice

    @classmethod
    def check(cls, size: str) -> str:
        return checked(size or cls.default, "[1-9][0-9]{0,3}x[1-9]", cls)

    def build(self, size: str, task: Task, teacher: Network | None) -> AudioNetwork:
        width, layers = map(int, self.check(size).split("x"))
        return AudioNetwork(Recurrent(width, layers), width, task)
