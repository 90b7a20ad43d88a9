"""BiLSTM over words, max pooling over time: the student with the best price in "Which Student is Best?".

    h_i = [LSTM_forward(v_1..v_i) ; LSTM_backward(v_n..v_i)],   e = max_i h_i   (per feature)

Nityasya et al., "Which Student is Best? A Comprehensive Knowledge Distillation Exam for Task-Specific BERT Models",
arXiv:2201.00558, names the architecture; its sizes and pooling are not published, so these are our choice, with the
pooling of Conneau et al., "Supervised Learning of Universal Sentence Representations" (InferSent), arXiv:1705.02364.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from bench.network import Network
from bench.networks.words import Body, WordNetwork, WordSettings, WordStudent, checked, max_over_time, turned
from bench.task import Task


class MaxBiLSTM(Body):
    """words (B, L, W) -> states of both directions (B, L, 2H) -> their maximum over real tokens (B, 2H)."""

    def __init__(self, word_width: int, layers: int, hidden: int) -> None:
        super().__init__()
        self.word_width, self.width = word_width, 2 * hidden
        self.state_width = self.width
        self.lstm = nn.LSTM(word_width, hidden, layers, batch_first=True, bidirectional=True)

    def states(self, words: Tensor, mask: Tensor) -> Tensor:
        read = self._turned if torch.compiler.is_exporting() else self._packed
        return read(words, mask)

    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        return max_over_time(states, mask)

    def _packed(self, words: Tensor, mask: Tensor) -> Tensor:
        """States (B, L, 2H). Packed, so that the backward direction starts at the last real token, not in padding."""
        lengths = mask.sum(1).cpu()  # a sync point on a GPU: packing wants lengths on the host
        packed = pack_padded_sequence(words, lengths, batch_first=True, enforce_sorted=False)
        return pad_packed_sequence(self.lstm(packed)[0], batch_first=True, total_length=words.shape[1])[0]

    def _turned(self, words: Tensor, mask: Tensor) -> Tensor:
        """The same states without packing, which no exported graph has: each input is turned round by itself."""
        states, start = words, words.new_zeros(1, len(words), self.lstm.hidden_size)
        for layer in range(self.lstm.num_layers):
            sides = []
            for suffix, turn in (("", lambda x, _: x), ("_reverse", turned)):
                names = (f"{name}_l{layer}{suffix}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
                weights = [getattr(self.lstm, name) for name in names]
                read = torch.lstm(turn(states, mask), (start, start), weights, True, 1, 0.0, False, False, True)[0]
                sides.append(turn(read, mask))
            states = torch.cat(sides, 2)
        return states


class BiLSTM(WordStudent):
    offers = frozenset({"embedding", "states"})
    sizes = "LAYERSxHIDDEN (1x1 to 9x9999)"
    exports = ("onnx",)
    heads = ("onnx",)
    default = "1x256"  # hidden units of each direction; our choice

    @dataclass(frozen=True)
    class Settings(WordSettings):
        dropout: float = 0.3  # on word vectors; our choice
        word_width: int = 300  # the width of word2vec, GloVe and fastText vectors

    settings: Settings

    @classmethod
    def check(cls, size: str) -> str:
        return checked(size.lower(), "[1-9]x[1-9][0-9]{0,3}", cls)

    def build(self, size: str, task: Task, teacher: Network | None) -> WordNetwork:
        layers, hidden = map(int, self.check(size).split("x"))
        return WordNetwork(MaxBiLSTM(self.settings.word_width, layers, hidden), self.settings, task, teacher)
