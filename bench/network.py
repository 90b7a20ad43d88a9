"""The contract of anything that runs forward: teachers, students, assistants."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from bench.inputs import Examples
from bench.optimiser import Optimiser
from bench.signals import Signals


class Encoded(Protocol):
    """Inputs made ready for one network, once: tokenised text, images in one tensor, a graph."""

    lengths: np.ndarray  # (N,) the work an input costs (tokens); batches are bucketed by it

    @property
    def axes(self) -> Mapping[str, np.ndarray]:
        """How long each input's own axes are, (N,): tokens "L", words "W"; empty: all inputs are alike."""

    def batch(self, rows: np.ndarray) -> dict[str, Tensor]:
        """The tensors of these rows (B,), or of groups of rows (B, K) column by column (`bench.inputs.flat`)."""


@dataclass(frozen=True)
class Shape:
    """What a method that matches layers must know of a network; 0 or empty: it has no such thing."""

    layers: int = 0
    heads: int = 0
    hidden: tuple[int, ...] = ()  # width (or channels) of each tensor of `hidden`


class Network(nn.Module):
    """A model that turns raw inputs into `Signals`. Teacher and student may differ in tokenizer, width and depth."""

    offers: frozenset[str]  # the signals that forward can return
    width: int  # of `embedding`, D
    origin: str = "random"  # where the initial weights came from; kept in the record
    optimiser: Optimiser = Optimiser(lr=5e-5)  # the published recipe of the architecture
    shape: Shape = Shape()
    reads_targets: bool = False  # a teacher that is told the answers: no row on test, and `encode` is for timing alone
    # it scores two texts that it reads together: `Task.together` is its split, and it can teach, and be no student
    reads_together: bool = False
    counted: bool = True  # whether torch's counter of operations sees it work
    # the signals that it gives in the place of the kind's output and of others that methods ask for
    instead: Mapping[str, str] = {}

    @property
    def index_width(self) -> int:
        """Numbers that an index keeps of a document; 0: query and document are read together, and nothing is kept."""
        return self.width

    @property
    def lender(self) -> Network:
        """What students borrow from it: tokenizer, table of vectors, layers."""
        return self

    def named(self, names: Iterable[str], output: str) -> frozenset[str]:
        """The signals that are asked for, as they are called here. `output` is the one that the kind judges, and stands
        for it; by its own name it is itself."""
        own = {"output": self.instead.get(output, output), output: output}
        return frozenset(own.get(name) or self.instead.get(name, name) for name in names)

    def grouped(self, examples: Examples) -> Examples:
        """A training set in groups of what this network reads as one input."""
        return examples

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @abstractmethod
    def encode(self, inputs: Sequence[Any], max_length: int | None = None) -> Encoded:
        """Tokenise raw inputs once, cut to `max_length` tokens (None: the network's own limit)."""

    def encode_told(self, inputs: Sequence[Any], answers: Any, max_length: int | None = None) -> Encoded:
        """As `encode`, for a network with `reads_targets`: the labels of a training set, or of dev while
        it is taught, are read too."""
        raise TypeError(f"{type(self).__name__} reads no targets")

    def once(self, encoded: Encoded) -> Encoded:
        """What a pass over many inputs reads in the place of `encoded`: what inputs share is computed here, once, with
        the weights as they are."""
        return encoded

    def diagnosis(self, encoded: Encoded) -> dict[str, float]:
        """What else is to be known of a network that was taught, by name, from dev as it read that."""
        return {}

    def blueprint(self) -> dict[str, Any]:
        """JSON from which the student's family builds these very shapes again; empty: its size says it all."""
        return {}

    @abstractmethod
    def forward(self, batch: dict[str, Tensor], want: frozenset[str]) -> Signals:
        """The wanted signals (and the mask) of one batch made by `Encoded.batch`."""

    def embedding_parameters(self) -> int:
        """How many parameters are look-up tables: counted apart, because a forward pass reads few of their rows."""
        tables = (m for m in self.modules() if isinstance(m, (nn.Embedding, nn.EmbeddingBag)))
        return sum(
            {p: p.numel() for m in tables for p in m.parameters(False)}.values()
        )  # one that is shared counts once
