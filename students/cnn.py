"""CNN over words: filters of 3, 4 and 5 words, max over time.

    c_i = f(w . v_{i:i+h-1} + b),   e = [max_i c_i for each of the filters of each width h]

Kim, "Convolutional Neural Networks for Sentence Classification", EMNLP 2014, arXiv:1408.5882; official code
yoonkim/CNN_sentence. Deviations: f is tanh (the example of the paper's equation 2) and not the rectifier of its
experiments, because here the result is the embedding itself and needs both signs; and dropout is on the word vectors
and not, at 0.5, on the result, because no layer follows that could make up for it. As in the official code zeros
surround the input, so that it may be shorter than a filter; but a window of nothing but padding never counts, so that
the length of the batch changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from bench.network import Network
from bench.networks.words import Body, WordNetwork, WordSettings, WordStudent, checked, max_over_time
from bench.task import Task

WINDOWS = (3, 4, 5)  # words a filter sees: Kim (2014), section 3.1


class MaxCNN(Body):
    """words (B, L, W) -> filters (B, L + h - 1, F) for each window h -> their maxima over time (B, 3F)."""

    def __init__(self, word_width: int, filters: int) -> None:
        super().__init__()
        self.word_width, self.width = word_width, len(WINDOWS) * filters
        self.filters = nn.ModuleList(nn.Conv1d(word_width, filters, h, padding=h - 1) for h in WINDOWS)

    def forward(self, words: Tensor, mask: Tensor) -> Tensor:
        columns = words.transpose(1, 2)
        maxima = []
        for h, conv in zip(WINDOWS, self.filters, strict=True):
            # Window i ends at token i, and those past the last token still hold some of it: h - 1 more than tokens.
            real = functional.pad(mask, (h - 1, 0), value=True)
            maxima.append(max_over_time(conv(columns).transpose(1, 2), real))
        return torch.tanh(torch.cat(maxima, 1))  # tanh is monotone: after the maximum it is the same and cheaper


class CNN(WordStudent):
    offers = frozenset({"embedding"})
    sizes = "FILTERS (1 to 9999)"
    exports = ("onnx",)
    default = "100"  # filters of each width: Kim (2014), section 3.1

    @dataclass(frozen=True)
    class Settings(WordSettings):
        dropout: float = 0.1  # on word vectors; our choice
        word_width: int = 300  # Kim (2014), section 3.2

    settings: Settings

    @classmethod
    def check(cls, size: str) -> str:
        return checked(size, "[1-9][0-9]{0,3}", cls)

    def build(self, size: str, task: Task, teacher: Network | None) -> WordNetwork:
        return WordNetwork(MaxCNN(self.settings.word_width, int(self.check(size))), self.settings, task, teacher)
