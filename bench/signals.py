"""Signals: what a network exposes for matching. The only thing that methods and networks share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@dataclass
class Signals:
    """One forward pass, seen from outside. Every field is optional.

    Shapes: B inputs, L tokens, D width, C classes, H heads.
    """

    logits: Tensor | None = None  # (B, C) | (B, L, C) | (B, K) candidate scores
    embedding: Tensor | None = None  # (B, D): of a text; in a classifier what its last layer reads
    distillation_logits: Tensor | None = None  # (B, C) of a second head, which learns from the teacher alone (DeiT)
    hidden: Sequence[Tensor] = ()  # layers + 1 tensors (B, L, D); index 0 is the embedding output
    maps: Sequence[Tensor] = ()  # of a convolutional network: (B, C, H, W) after the stem and after each stage
    attention_scores: Sequence[Tensor] = ()  # (B, H, L, L), before softmax; 0 where the key is padding
    queries: Sequence[Tensor] = ()  # a layer: (B, H, L, D / H); keys and values alike
    keys: Sequence[Tensor] = ()
    values: Sequence[Tensor] = ()
    mask: Tensor | None = None  # (B, L), 1 on real tokens

    def detach(self) -> Signals:
        """The same values, cut off from the graph that made them."""
        return Signals(**{f.name: _cut(getattr(self, f.name)) for f in fields(self)})


def _cut(value: Any) -> Any:
    if value is None:
        return None
    return tuple(t.detach() for t in value) if isinstance(value, (tuple, list)) else value.detach()


# What a network that solves a task of this kind can expose at best; a network's own `offers` may be less.
TRANSFORMER = frozenset({"hidden", "attention_scores", "queries", "keys", "values"})
BY_KIND = {
    "classify": TRANSFORMER | {"logits", "embedding", "maps", "distillation_logits"},
    "regress": TRANSFORMER | {"logits", "embedding"},
    "embed": TRANSFORMER | {"embedding"},
}

# What networks that read this do not offer, whatever the kind.
ELSEWHERE = {"text": frozenset({"maps", "distillation_logits"}), "image": frozenset[str]()}

# The signal that a kind is evaluated on.
OUTPUT = {"classify": "logits", "regress": "logits", "embed": "embedding"}

# Signals with one row an input, small enough to be stored always.
PER_INPUT = frozenset({"logits", "embedding"})
