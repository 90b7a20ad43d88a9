"""One update on several processes: each runs the network on its share of the rows, and all see the whole batch.

    rows of process r of P     from floor(r n / P) to floor((r + 1) n / P), of n in order
    signals                    gathered from all processes; the gradient goes to the rows that a process ran itself
    losses                     of the whole batch, the same in every process
    gradients                  those of networks are summed over processes; the method's own are equal, and averaged

So the update is that of one process, up to rounding, whatever the loss does with a batch: contrast, relations, queues.
No method knows of it. Batch normalisation takes its statistics over all processes (`batchnorm`). What a method
runs itself, as a peer of the student, every process runs on the whole batch. Dropout differs from process to process.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, distributed, nn

from bench.base import processes
from bench.errors import RequestError
from bench.network import Network
from bench.networks import batchnorm
from bench.signals import Signals


def forward(network: Network, inputs: Mapping[str, Tensor], want: frozenset[str]) -> Signals:
    """The signals of all rows; each process has run the network on its own. RequestError: some would have none, or
    what the network reads is no list of rows, as a graph is none."""
    if processes.count() == 1:
        return network(dict(inputs), want)
    rows, *others = {len(tensor) for tensor in inputs.values()}
    if others:
        raise RequestError("what this student reads is whole, and no list of rows to share: start one process")
    mine = share(rows)
    seed = int(torch.randint(2**62, ()))  # the same in all processes; a checkpoint keeps what it is drawn from
    with processes.other_random_numbers(), batchnorm.synchronised(network.modules()):
        torch.manual_seed(seed + processes.rank())
        found = network({name: tensor[mine] for name, tensor in inputs.items()}, want)
    return gathered(found, mine, rows)


def share(rows: int) -> slice:
    """The rows of this process. RequestError: there are fewer rows than processes."""
    number, of = processes.rank(), processes.count()
    if rows < of:
        raise RequestError(f"a batch of {rows} cannot be shared by {of} processes: raise batch_size or start fewer")
    return slice(number * rows // of, (number + 1) * rows // of)


def gathered(own: Signals, mine: slice, rows: int) -> Signals:
    """Signals of these rows -> signals of all rows."""

    return own.map(lambda value: Gathered.apply(value, mine, rows))


class Gathered(torch.autograd.Function):
    """(rows of this process, ...) -> (all rows, ...); the gradient of the own rows comes back."""

    @staticmethod
    def forward(context: Any, own: Tensor, mine: slice, rows: int) -> Tensor:
        context.mine = mine
        numbers = own.to(torch.uint8) if own.dtype == torch.bool else own
        whole = numbers.new_zeros(rows, *own.shape[1:])
        whole[mine] = numbers
        distributed.all_reduce(whole)  # each row is one process's and 0 in all others: exact, and shares may be unequal
        return whole.to(own.dtype)

    @staticmethod
    def backward(context: Any, *gradients: Any) -> tuple[Any, ...]:
        return gradients[0][context.mine], None, None


def share_gradients(moving: Sequence[Tensor], method: nn.Module) -> None:
    """Make the gradients of all processes those of the whole batch, in one exchange, of parameters that move now.

    A parameter that no process has a gradient of keeps none: the optimiser would decay it otherwise. RequestError: a
    gradient is sparse.
    """
    if processes.count() == 1 or not moving:
        return
    if any(p.grad is not None and p.grad.is_sparse for p in moving):
        raise RequestError("sparse gradients are not shared by processes: start one")
    there = torch.tensor([p.grad is not None for p in moving], dtype=torch.int32)
    distributed.all_reduce(there)  # on the CPU: no GPU is waited for
    moved = [p for p, processes_ in zip(moving, there.tolist(), strict=True) if processes_]
    flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1) for p in moved])
    distributed.all_reduce(flat)
    of_method = set(method.parameters())
    for p, part in zip(moved, flat.split([p.numel() for p in moved]), strict=True):
        p.grad = (part / processes.count() if p in of_method else part).view_as(p).to(p.dtype)


def align(*modules: nn.Module) -> None:
    """Give all processes the main one's parameters and buffers."""
    if processes.count() == 1:
        return
    for module in modules:
        for tensor in module.state_dict().values():
            whole = tensor.contiguous()
            distributed.broadcast(whole, 0)
            tensor.copy_(whole)
