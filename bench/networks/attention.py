"""What attention reads and scores, which transformers models do not return: taken where the library computes it.

A model of the transformers library looks its attention function, and how masks are made for it, up by name at each
call. Inside `tapped` that name is ours: it notes the queries, keys and values of every layer, in order, and hands on to
the library's own functions, so that the outputs are what they were.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

NAME = "bench_tap"
_taps: ContextVar[list[Tap] | None] = ContextVar("taps")


@dataclass(frozen=True)
class Tap:
    """One layer: queries, keys, values (B, H, L, D / H), each as often as there are heads of queries."""

    query: Tensor
    key: Tensor
    value: Tensor
    scaling: float
    bias: Tensor | None = None  # of places, which is added to the scores: (1 or B, H, L, L)
    attended: Tensor | None = None  # (B, 1, L, L) bool, where causal or local attention looks at all

    def scores(self, mask: Tensor | None) -> Tensor:
        """q k^T / sqrt(D / H), (B, H, L, L), before softmax; 0 where the key is padding, as in TinyBERT's code, or is
        not attended to."""
        scores = self.query @ self.key.transpose(-1, -2) * self.scaling
        scores = scores if self.bias is None else scores + self.bias
        scores = scores if self.attended is None else scores.masked_fill(~self.attended, 0.0)
        return scores if mask is None else scores.masked_fill(mask[:, None, None, :] == 0, 0.0)


@contextmanager
def tapped(backbone: nn.Module, noting: bool = True) -> Iterator[list[Tap]]:
    """Inside, every forward pass of the model appends a tap a layer, if it is `noting`.

    Its masks are made whole then, and in training: of a mask (B, L) the library asks whether all is true, to leave it
    out, which is a sync of the device in every step.
    """
    register()
    known = ("sdpa", "eager") if noting else ("sdpa",)
    configs = configs_of(backbone) if looks_up(backbone) else []
    before = [(c, c._attn_implementation) for c in configs if c._attn_implementation in known]
    taps: list[Tap] = []
    token = _taps.set(taps if noting else None)
    for config, _ in before:
        config._attn_implementation = NAME
    try:
        yield taps
    finally:
        for config, name in before:
            config._attn_implementation = name
        _taps.reset(token)


def looks_up(model: nn.Module) -> bool:
    """Whether a model of the library looks its attention up by name. What has its own, as Falcon's, reads the name to
    know what its masks are."""
    asked = getattr(type(model), "_can_set_attn_implementation", None)
    return asked is None or bool(asked())


def configs_of(model: nn.Module) -> list[Any]:
    """Each configuration of the library in a model, once: an encoder in it may have a copy of its own."""
    found = (getattr(module, "config", None) for module in model.modules())
    return list({id(c): c for c in found if hasattr(c, "_attn_implementation")}.values())


def register() -> None:
    """Make the name known to the library: masks and attention as in torch's fused form."""
    from transformers import AttentionInterface, AttentionMaskInterface

    AttentionInterface.register(NAME, _attend)
    AttentionMaskInterface.register(NAME, _mask)


def _mask(*arguments: Any, **options: Any) -> Tensor | None:
    from transformers.masking_utils import sdpa_mask

    if torch.is_grad_enabled() or _taps.get() is not None:
        options |= {"allow_is_causal_skip": False, "allow_is_bidirectional_skip": False}
    found: Tensor | None = sdpa_mask(*arguments, **options)
    return found


def _attend(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, Tensor | None]:
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    taps = _taps.get()
    if taps is not None:
        scaling = options.get("scaling")
        taps.append(
            Tap(
                query, per_query(key, query), per_query(value, query),
                query.shape[-1] ** -0.5 if scaling is None else float(scaling), options.get("position_bias"),
                attention_mask if attention_mask is not None and attention_mask.dtype == torch.bool else None,
            )
        )  # fmt: skip
    found: tuple[Tensor, Tensor | None] = sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    return found


def per_query(x: Tensor, query: Tensor) -> Tensor:
    """Keys or values as often as queries have heads: several heads of queries may share one."""
    groups = query.shape[1] // x.shape[1]
    return x if groups == 1 else x.repeat_interleave(groups, 1)


def signals(taps: list[Tap], want: frozenset[str], mask: Tensor | None) -> dict[str, tuple[Tensor, ...]]:
    """The wanted ones of attention_scores, queries, keys and values."""
    found: dict[str, tuple[Tensor, ...]] = {}
    if "attention_scores" in want:
        found["attention_scores"] = tuple(t.scores(mask) for t in taps)
    found |= {name: tuple(getattr(t, part) for t in taps) for name, part in PARTS.items() if name in want}
    return found


PARTS = {"queries": "query", "keys": "key", "values": "value"}
WANTED = frozenset({"attention_scores", *PARTS})
