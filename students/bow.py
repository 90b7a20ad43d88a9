"""Bag of words: the mean of the word vectors. The smallest student, and a floor for all others.

e = (1 / n) sum_i v_{w_i} over the n tokens of the input. As in CBOW (Mikolov et al., "Efficient Estimation of Word
Representations in Vector Space", arXiv:1301.3781) and, with layers above it, the deep averaging network of Iyyer et al.
(ACL 2015). Word order is lost.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from bench.network import Network
from bench.networks.words import Body, WordNetwork, WordSettings, WordStudent, checked
from bench.task import Task


class Mean(Body):
    """words (B, L, W) -> their mean over real tokens (B, W)."""

    is_mean = True

    def __init__(self, width: int) -> None:
        super().__init__()
        self.word_width = self.width = self.state_width = width

    def states(self, words: Tensor, mask: Tensor) -> Tensor:
        return words

    def pool(self, states: Tensor, mask: Tensor) -> Tensor:
        return states.sum(1) / mask.sum(1, keepdim=True)


class Bow(WordStudent):
    offers = frozenset({"embedding", "states"})
    sizes = "WIDTH (1 to 9999)"
    exports = ("hf", "onnx")
    heads = ("onnx",)
    default = "300"  # the width of word2vec and GloVe vectors

    @dataclass(frozen=True)
    class Settings(WordSettings):
        dropout: float = 0.1  # on word vectors; our choice

    settings: Settings

    @classmethod
    def check(cls, size: str) -> str:
        return checked(size, "[1-9][0-9]{0,3}", cls)

    def build(self, size: str, task: Task, teacher: Network | None) -> WordNetwork:
        return WordNetwork(Mean(int(self.check(size))), self.settings, task, teacher)
