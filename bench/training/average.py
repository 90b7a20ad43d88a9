"""The moving mean of a network's weights, which is judged and kept in their place.

    w~ <- d w~ + (1 - d) w   after each update, from the weights that the stage starts with

As ModelEma of rwightman/pytorch-image-models, which DeiT uses: buffers (the statistics of batch normalisation) are
averaged like weights, and there is no correction for the start.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """Of one network. `decay` d."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.decay = decay
        numbers = {n: t for n, t in network.state_dict().items() if t.is_floating_point()}
        places = {t.data_ptr(): n for n, t in numbers.items()}  # what two names share is averaged once
        self.own = {n: numbers[n] for n in places.values()}  # shares the network's memory
        self.mean = {n: t.clone() for n, t in self.own.items()}

    @torch.no_grad()
    def update(self) -> None:
        torch._foreach_lerp_(list(self.mean.values()), list(self.own.values()), 1 - self.decay)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """The network has the mean's numbers for a while."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, own in self.own.items():
            kept = own.clone()
            own.copy_(self.mean[name])
            self.mean[name].copy_(kept)

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        for name, tensor in tensors.items():
            self.mean[name].copy_(tensor)
