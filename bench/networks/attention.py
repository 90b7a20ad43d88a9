"""What attention reads and scores, which transformers models do not return: taken where the library computes it.

A model of the transformers library looks its attention function up by name at each call. Inside `tapped` that name is
ours: it notes the queries, keys and values of every layer, in order, and hands on to the library's own function, so
that the outputs are what they were.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

NAME = "bench_tap"
_taps: ContextVar[list[Tap]] = ContextVar("taps")


@dataclass(frozen=True)
class Tap:
    """One layer: queries, keys, values (B, H, L, D / H)."""

    query: Tensor
    key: Tensor
    value: Tensor
    scaling: float

    def scores(self, mask: Tensor | None) -> Tensor:
        """q k^T / sqrt(D / H), (B, H, L, L), before softmax; 0 where the key is padding, as in TinyBERT's code."""
        scores = self.query @ self.key.transpose(-1, -2) * self.scaling
        return scores if mask is None else scores.masked_fill(mask[:, None, None, :] == 0, 0.0)


@contextmanager
def tapped(backbone: nn.Module) -> Iterator[list[Tap]]:
    """Inside, every forward pass of the model appends a tap a layer."""
    register()
    config: Any = backbone.config
    before = config._attn_implementation
    taps: list[Tap] = []
    token = _taps.set(taps)
    config._attn_implementation = NAME
    try:
        yield taps
    finally:
        config._attn_implementation = before
        _taps.reset(token)


def register() -> None:
    """Make the name known to the library: masks and attention as in torch's fused form."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(NAME, _attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)


def _attend(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, Tensor | None]:
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    scaling = options.get("scaling")
    _taps.get().append(Tap(query, key, value, query.shape[-1] ** -0.5 if scaling is None else float(scaling)))
    found: tuple[Tensor, Tensor | None] = sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    return found


def signals(taps: list[Tap], want: frozenset[str], mask: Tensor | None) -> dict[str, tuple[Tensor, ...]]:
    """The wanted ones of attention_scores, queries, keys and values."""
    found: dict[str, tuple[Tensor, ...]] = {}
    if "attention_scores" in want:
        found["attention_scores"] = tuple(t.scores(mask) for t in taps)
    found |= {name: tuple(getattr(t, part) for t in taps) for name, part in PARTS.items() if name in want}
    return found


PARTS = {"queries": "query", "keys": "key", "values": "value"}
WANTED = frozenset({"attention_scores", *PARTS})
