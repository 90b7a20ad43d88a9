"""Forward passes without gradients over many inputs, sorted by length so that little padding is computed."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from bench.base.console import Console
from bench.network import Encoded, Network

TOKENS = 8192  # padded tokens in one batch: bounded memory whatever the lengths


def to_device(batch: dict[str, Tensor], device: torch.device) -> dict[str, Tensor]:
    """The batch on the device; the copy runs beside the computation on a GPU."""
    return {name: tensor.to(device, non_blocking=True) for name, tensor in batch.items()}


def length_batches(lengths: np.ndarray, tokens: int = TOKENS) -> Iterable[np.ndarray]:
    """Row numbers, longest first (so that memory trouble shows at once), at most `tokens` padded tokens a batch."""
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        size = max(1, tokens // max(1, int(lengths[order[start]])))
        yield order[start : start + size]
        start += size


@torch.no_grad()
def outputs(
    network: Network, encoded: Encoded, names: frozenset[str], console: Console | None = None
) -> dict[str, np.ndarray]:
    """Per-input signals of every input, in input order, as float32 arrays (N, ...)."""
    was_training = network.training
    network.eval()
    collected: dict[str, list[Tensor]] = {name: [] for name in names}
    order: list[np.ndarray] = []
    done = 0
    for rows in length_batches(encoded.lengths):
        signals = network(to_device(encoded.batch(rows), network.device), names)
        for name in names:
            collected[name].append(getattr(signals, name).float().cpu())
        order.append(rows)
        done += len(rows)
        if console:
            console.progress("inputs", done, len(encoded.lengths))
    network.train(was_training)
    back = np.argsort(np.concatenate(order), kind="stable")
    return {name: torch.cat(parts).numpy()[back] for name, parts in collected.items()}
