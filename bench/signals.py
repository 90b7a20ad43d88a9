"""Signals: what a network exposes for matching. The only thing that methods and networks share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class Signals:
    """One forward pass, seen from outside. Every field is optional.

    Shapes: B inputs, L tokens, D width, C classes, H heads.
    """

    logits: Tensor | None = None  # (B, C) | (B, L, C) | (B, K) candidate scores
    embedding: Tensor | None = None  # (B, D)
    hidden: Sequence[Tensor] = ()  # layers + 1 tensors (B, L, D); index 0 is the embedding output
    attention_scores: Sequence[Tensor] = ()  # (B, H, L, L), before softmax
    mask: Tensor | None = None  # (B, L), 1 on real tokens

    def detach(self) -> Signals:
        """The same values, cut off from the graph that made them."""
        cut = lambda t: None if t is None else t.detach()  # noqa: E731
        return Signals(
            cut(self.logits),
            cut(self.embedding),
            tuple(t.detach() for t in self.hidden),
            tuple(t.detach() for t in self.attention_scores),
            cut(self.mask),
        )


NAMES = frozenset({"logits", "embedding", "hidden", "attention_scores"})

# What a network that solves a task of this kind can expose at best; a network's own `offers` may be less.
BY_KIND = {
    "classify": frozenset({"logits", "hidden", "attention_scores"}),
    "regress": frozenset({"logits", "hidden", "attention_scores"}),
    "embed": frozenset({"embedding", "hidden", "attention_scores"}),
}

# The signal that a kind is evaluated on.
OUTPUT = {"classify": "logits", "regress": "logits", "embed": "embedding"}

# Signals with one row an input, small enough to be stored always.
PER_INPUT = frozenset({"logits", "embedding"})
