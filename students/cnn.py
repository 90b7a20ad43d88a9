"""CNN over words: filters of 3, 4 and 5 words, max over time.

    c_i = f(w . v_{i:i+h-1} + b),   e = [max_i c_i for each of the filters of each width h]

Kim, "Convolutional Neural Networks for Sentence Classification", EMNLP 2014, arXiv:1408.5882; official code
yoonkim/CNN_sentence. Deviations: f is tanh (the example of the paper's equation 2) and not the rectifier of its
experiments, because here the result is the embedding itself and needs both signs; and dropout is on the word vectors
and not, at 0.5, on the result, because no layer follows that could make up for it. As in the official code zeros
surround the input, so that it may be shorter than a filter; but a window of nothing but padding never counts, so that
the length of the batch changes nothing. Words are tagged by the filters' values around them, without the maximum, as
Collobert et al. 2011 ("Natural language processing (almost) from scratch", JMLR 12) tag by windows.
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
    """words (B, L, W) -> filters (B, L + h - 1, F) for each window h -> their maxima over time (B, 3F); states
    (B, L, 3F) are those of the windows around each token."""

    def __init__(self, word_width: int, filters: int) -> None:
        super().__init__()
        self.word_width, self.width = word_width, len(WINDOWS) * filters
        self.state_width = self.width
        self.filters = nn.ModuleList(nn.Conv1d(word_width, filters, h, padding=h - 1) for h in WINDOWS)

    def forward(self, words: Tensor, mask: Tensor) -> Tensor:
        return self.maxima(self.windows(words), mask)

    def both(self, words: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        found, length = self.windows(words), mask.shape[1]
        # of a window of h words the token has h // 2 before it
        middle = [of[:, (h - 1) // 2 :][:, :length] for h, of in zip(WINDOWS, found, strict=True)]
        return self.maxima(found, mask), torch.tanh(torch.cat(middle, 2))

    def windows(self, words: Tensor) -> list[Tensor]:
        """(B, L + h - 1, F) of each h: window i ends at token i; those past the last token still hold some of it."""
        columns = words.transpose(1, 2)
        return [conv(columns).transpose(1, 2) for conv in self.filters]

    def maxima(self, windows: list[Tensor], mask: Tensor) -> Tensor:
        """(B, 3F) over those windows that hold a token."""
        real = (functional.pad(mask, (h - 1, 0), value=True) for h in WINDOWS)
        best = [max_over_time(of, there) for of, there in zip(windows, real, strict=True)]
        return torch.tanh(torch.cat(best, 1))  # tanh is monotone: after the maximum it is the same and cheaper


class CNN(WordStudent):
    offers = frozenset({"embedding", "states"})
    sizes = "FILTERS (1 to 9999)"
    exports = ("onnx",)
    heads = ("onnx",)
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
