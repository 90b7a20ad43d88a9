"""A trial of a model on two short texts: does it give what it says, and is that the same in any batch?

Architectures differ in more ways than a list could name: attention that the library does not look up by name, states of
fewer tokens, heads that read the last place of a row, be it padding or not. What a model does is asked of the model
itself, when it is loaded and before anything is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import RequestError, reason
from bench.networks.attention import WANTED
from bench.networks.fingerprints import settings

TEXTS = ("A short text", "Another text, which is a good deal longer than the first one, so that this is padded.")
APART = 1e-3  # of the largest value: differences of rounding are a thousand times smaller. Our choice
TOKENS = 5
Run = Callable[[Mapping[str, Tensor], frozenset[str]], Mapping[str, Any]]


@torch.no_grad()
def check_batches(what: object, network: nn.Module, run: Callable[[list[int]], Tensor]) -> list[Tensor]:
    """What `run(rows)` says of each of TEXTS alone. RequestError: it fails, or what it says of one depends on the other
    beside it, or on what it read before."""
    before = settings(network)
    try:
        alone = [run([row])[0] for row in range(len(TEXTS))]
        together = run([*range(len(TEXTS))])
    except Exception as error:  # the library raises whatever comes
        raise RequestError(f"{what} cannot read a text as models are run here ({reason(error)})") from error
    if not all(near(one, row[: len(one)]) for one, row in zip(alone, together, strict=True)):
        raise RequestError(f"what {what} says of a text depends on the padding behind it: batches would change it")
    if settings(network) != before:
        raise RequestError(f"{what} works otherwise once it has read a short text: order would change what it says")
    return alone


def near(one: Tensor, other: Tensor) -> bool:
    """Whether both are finite and alike."""
    return one.shape == other.shape and bool((one - other).abs().max() <= APART * one.abs().max().clamp(min=1e-6))


@torch.no_grad()
def exposed(backbone: nn.Module, run: Run, layers: int) -> frozenset[str]:
    """The signals of tokens that a model really gives, of one text: states of each token in each layer, and what the
    attention of each layer reads."""
    training, device = backbone.training, next(backbone.parameters()).device
    ids = torch.arange(TOKENS, device=device)[None]
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    backbone.eval()
    try:
        return frozenset().union(*(given(run, batch, n, layers) for n in (frozenset({"hidden"}), WANTED)))
    finally:
        backbone.train(training)


def given(run: Run, batch: Mapping[str, Tensor], names: frozenset[str], layers: int) -> set[str]:
    """Those of the names of which each layer gives one tensor over all tokens."""
    try:
        found = run(batch, names)
    except Exception:  # as above: a model that does not give them
        return set()
    return {name for name in names if full(found.get(name) or (), layers + (name == "hidden"))}


def full(row: Sequence[Tensor], layers: int) -> bool:
    return len(row) == layers and all(tensor.shape[-2] == TOKENS for tensor in row)
