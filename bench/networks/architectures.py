"""What differs between the architectures of transformers: names of widths, settings of single layers, where layers are.

A configuration has one name for most widths (its `attribute_map`), and its own for the feed-forward one. Layers are
found in the model itself: the lists of as many modules as the configuration says there are layers.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import RequestError, reason
from bench.network import Shape
from bench.networks.fingerprints import plain_values

INNER = ("intermediate_size", "hidden_dim", "d_ff", "n_inner", "d_inner", "ffn_dim")  # of feed-forwards
HEAD = ("head_dim", "d_kv")  # of a head's width, where a configuration names it
# Lists of one setting a layer, and what a layer says of its place, whichever layer stands there.
EACH = ("layer_types", "mlp_layer_types", "attention_window", "no_rope_layers", "attention_layers")
OF_PLACE = ("layer_idx", "layer_id", "layer_number", "layer_index", "layer_i", "has_relative_attention_bias")


def shape_of(config: Any) -> Shape:
    """Layers, heads and widths of a transformers model."""
    layers, width = getattr(config, "num_hidden_layers", 0), getattr(config, "hidden_size", 0)
    return Shape(layers, getattr(config, "num_attention_heads", 0) or 0, (width,) * (layers + 1))


def inner_name(config: Any) -> str:
    """What the configuration calls its feed-forward width; empty: it has none."""
    return next((name for name in INNER if hasattr(config, name)), "")


def alike(config: Any, other: Any) -> bool:
    """Whether layers of the one fit into the other."""
    names = ("hidden_size", "num_attention_heads", inner_name(config))
    return all(getattr(config, name, 0) == getattr(other, name, 0) for name in names if name)


def resized(config: Any, layers: Sequence[int], width: int = 0, heads: int = 0, inner: int = 0) -> Any:
    """A copy of the configuration with these layers of it, by number, in float32; width 0: width, heads and
    feed-forward stay as they are. RequestError: an architecture without such numbers, heads that do not divide it."""
    found, name = copy.deepcopy(config), inner_name(config)
    if getattr(config, "is_encoder_decoder", False) or not hasattr(config, "num_attention_heads"):
        raise RequestError(
            f"students are cut from encoders with attention, and the teacher is none: {config.model_type}"
        )
    try:
        found.num_hidden_layers = len(layers)
    except NotImplementedError:
        raise unlike(config) from None
    for each in EACH:
        if isinstance(of_layers := getattr(config, each, None), list) and of_layers:
            setattr(found, each, [of_layers[n % len(of_layers)] for n in layers])
    if width:
        found.hidden_size, found.num_attention_heads = width, heads
        if name:
            setattr(found, name, inner)
        elif inner != 4 * width:
            raise RequestError(f"the architecture {config.model_type} names no feed-forward width: leave it out")
        narrow(found)
    if found.hidden_size % found.num_attention_heads:
        raise RequestError(
            f"a width of {found.hidden_size} does not divide into {found.num_attention_heads} heads: "
            "name the heads, as in bert:4x312x12"
        )
    found.dtype = torch.float32
    return found


def narrow(config: Any) -> None:
    """What follows from another width and other heads."""
    for name in HEAD:
        if getattr(config, name, None):
            setattr(config, name, config.hidden_size // config.num_attention_heads)
    if config.num_attention_heads % (getattr(config, "num_key_value_heads", None) or 1):
        config.num_key_value_heads = config.num_attention_heads
    if hasattr(config, "pooler_hidden_size"):
        config.pooler_hidden_size = config.hidden_size


def made(source: Any, config: Any) -> Any:
    """A model of the source's class with this configuration and new weights. RequestError: the class makes no such
    model."""
    try:
        model = type(source)._from_config(config)  # as AutoModel.from_config does
    except Exception as error:  # configurations are checked in many ways
        raise RequestError(
            f"no student of this size has the architecture {config.model_type} ({reason(error)})"
        ) from error
    if config.num_hidden_layers not in {len(m) for _, m in lists(model)} and not shared(model):
        raise unlike(config)
    return model


def unlike(config: Any) -> RequestError:
    return RequestError(
        f"no student can be cut from the architecture {config.model_type}: it has no plain row of layers"
    )


def lists(model: nn.Module, inside: str = "") -> Iterator[tuple[str, nn.ModuleList]]:
    """Lists of modules by name, outermost first."""
    for name, module in model.named_children():
        if isinstance(module, nn.ModuleList):
            yield inside + name, module
        else:
            yield from lists(module, f"{inside}{name}.")


def shared(model: nn.Module) -> bool:
    """Whether one group of weights is run through again and again, as in ALBERT: all layers are copied then."""
    return getattr(model.config, "num_hidden_groups", 0) == 1


def copy_layers(source: Any, target: Any, chosen: Sequence[int]) -> None:
    """Into the target everything outside the layers of the source, and of these the chosen, in this order.

    What a place has and the chosen layer has not, as the table of relative positions in T5's first block, comes from
    the same place. RequestError: the two have no layers that answer to each other.
    """
    theirs, ours = shape_of(source.config).layers, len(chosen)
    rows = [name for name, row in lists(source) if len(row) == theirs]
    rows = [name for name in rows if len(target.get_submodule(name)) == ours]
    if not rows and not shared(source):
        raise unlike(source.config)
    weights = source.state_dict()
    places = {f"{row}.{place}.": f"{row}.{n}." for row in rows for place, n in enumerate(chosen)}
    own = target.state_dict()
    found = {name: weights.get(moved(name, places), weights.get(name)) for name in own}
    absent = {
        n for n, tensor in found.items() if tensor is None and n.startswith("pooler.")
    }  # no head of its own reads it
    if missing := [n for n, t in own.items() if n not in absent and (found[n] is None or found[n].shape != t.shape)]:
        raise RequestError(f"layers of {source.config.model_type} cannot be copied: none has {missing[0]}")
    target.load_state_dict({n: tensor for n, tensor in found.items() if n not in absent}, strict=False)
    for row in rows:
        for place, n in enumerate(chosen):
            check_same(source.get_submodule(f"{row}.{n}"), target.get_submodule(f"{row}.{place}"), source.config)


def check_same(theirs: nn.Module, ours: nn.Module, config: Any) -> None:
    """RequestError: a layer works otherwise than the one whose weights it has, as with another window."""
    known = dict(theirs.named_modules())
    for name, module in ours.named_modules():
        other = plain_values(known[name]) if name in known else {}
        for key, value in plain_values(module).items():
            if key in other and key not in OF_PLACE and key != "config" and other[key] != value:
                raise RequestError(
                    f"layers of {config.model_type} cannot be copied: they differ in {key}, and the library "
                    "has no setting that keeps it"
                )


def moved(name: str, places: Mapping[str, str]) -> str:
    """Where a tensor of the target lies in the source."""
    row = next((place for place in places if name.startswith(place)), "")
    return places[row] + name.removeprefix(row) if row else name


def positions(model: nn.Module) -> int | None:
    """Tokens for which a model has learnt positions; None: no table limits it. RoBERTa's begin behind the number of
    padding: 514 rows are 512 tokens."""
    tables = [m for name, m in model.named_modules() if name.endswith("position_embeddings")]
    rows = [t.num_embeddings - 1 - t.padding_idx for t in tables if isinstance(t, nn.Embedding) and t.padding_idx]
    return min(rows, default=None)


def last_linear(model: Any) -> nn.Linear:
    """The layer that makes the logits: the last linear one outside the backbone."""
    backbone = set(model.base_model.modules())
    return [m for m in model.modules() if isinstance(m, nn.Linear) and m not in backbone][-1]


def head_of(model: Any) -> nn.Module:
    """What first reads the backbone's tokens: the first part outside it that has weights."""
    parts = (part for part in model.children() if part is not model.base_model and any(True for _ in part.parameters()))
    return next(parts)


def last_real(ids: Tensor, padding: int | None) -> Tensor:
    """(B,) where the last token that is no padding stands: what heads of decoders read."""
    places = torch.arange(ids.shape[1], device=ids.device)
    return (places * (ids != padding)).argmax(1)
