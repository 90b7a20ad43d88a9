"""Forward passes without gradients over many inputs, sorted by length so that little padding is computed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from bench.base.console import Console
from bench.inputs import Examples
from bench.kind import Kind, Outputs
from bench.network import Encoded, Network
from bench.scoring.scores import Ragged
from bench.signals import Signals, declared

TOKENS = 8192  # padded tokens in one batch: bounded memory whatever the lengths


def encode(network: Network, goal: Kind, examples: Examples, max_length: int | None) -> Encoded:
    """A training set as the network reads it: with the answers where it is told them, or trains on what follows
    them."""
    if reads_answers(network, goal, examples):
        return network.encode_told(examples.inputs, examples.labels, max_length)
    return network.encode(examples.inputs, max_length)


def reads_answers(network: Network, goal: Kind, examples: Examples) -> bool:
    return network.reads_targets or (goal.teacher_forced and examples.labels is not None)


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
def passes(
    network: Network, encoded: Encoded, names: frozenset[str], console: Console | None = None
) -> Iterator[tuple[np.ndarray, Signals]]:
    """(row numbers, their signals), batch by batch, without dropout."""
    was_training = network.training
    network.eval()
    encoded, done = network.once(encoded), 0
    for rows in length_batches(encoded.lengths):
        yield rows, network(to_device(encoded.batch(rows), network.device), names)
        done += len(rows)
        if console:
            console.progress("inputs", done, len(encoded.lengths))
    network.train(was_training)


def outputs(
    network: Network, encoded: Encoded, names: frozenset[str], console: Console | None = None
) -> dict[str, np.ndarray]:
    """Per-input signals of every input, in input order, as float32 arrays (N, ...); those of all inputs together as
    they are."""
    collected: dict[str, list[Tensor]] = {name: [] for name in names}
    order = []
    for rows, signals in passes(network, encoded, names, console):
        order.append(rows)
        for name in names:
            collected[name].append(signals[name].float().cpu())
    whole = {name for name in names if declared(name).whole}
    return {n: parts[0].numpy() if n in whole else collect(parts, order) for n, parts in collected.items()}


def decoded(network: Network, encoded: Encoded, goal: Kind) -> Outputs:
    """What the kind keeps of every input, in input order; no more than one batch of signals is held."""
    parts, order = [], []
    for rows, signals in passes(network, encoded, network.named(("output",), goal.output)):
        order.append(rows)
        parts.append(kept(goal.decode(signals)))
    return collect(parts, order)


def kept(part: Tensor | list[np.ndarray]) -> Tensor | list[np.ndarray]:
    return part.cpu() if isinstance(part, Tensor) else part


def collect(parts: Sequence[Tensor | list[np.ndarray]], order: Sequence[np.ndarray]) -> Outputs:
    """Batches of decoded inputs, and which inputs they are -> all in input order."""
    back = np.argsort(np.concatenate(order), kind="stable")
    tensors = [part for part in parts if isinstance(part, Tensor)]
    if tensors:
        found: np.ndarray = torch.cat(tensors).numpy()[back]
        return found
    rows = [row for part in parts for row in part]
    return Ragged.of([rows[place] for place in back])
