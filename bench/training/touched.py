"""A table of word vectors of which a stage trains the rows that its texts read, and no others.

A row that no training text reads gets no gradient, so all that AdamW does to it is weight decay. Leaving such rows out
saves the gradient, the moments and the norm of a table most of which never moves: SST-2 reads 9,000 of BERT's 30,522
word pieces. What comes out is the same, up to the rounding of the decay.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.inputs import TokenArrays
from bench.network import Network
from bench.optimiser import Optimiser

MOST = 0.5  # of a table's rows; where more are read, little is saved


class Touched:
    """Stands in for an `nn.Embedding`'s weight (V, D) with the rows `ids` (K,), until `whole` is asked for."""

    def __init__(self, table: nn.Embedding, ids: Tensor) -> None:
        self.table, self.ids, self.weight, self.padding = table, ids, table.weight, table.padding_idx
        self.rows = nn.Parameter(table.weight.detach()[ids].clone())
        self.place = torch.zeros(table.num_embeddings, dtype=torch.long, device=ids.device)
        self.place[ids] = torch.arange(len(ids), device=ids.device)
        self.rest = torch.ones(table.num_embeddings, dtype=torch.bool, device=ids.device)
        self.rest[ids] = False
        self.decay = 1.0  # of the other rows since they were last written
        self._enter()

    def _enter(self) -> None:
        self.table.weight = self.rows
        self.table.padding_idx = None if self.padding is None else int(self.place[self.padding])
        self.hook = self.table.register_forward_pre_hook(lambda _, given: (self.place[given[0]],))

    @torch.no_grad()
    def leave(self) -> None:
        """Put the whole table back, with what was learnt."""
        self.hook.remove()
        self.weight[self.ids] = self.rows
        self.weight[self.rest] *= self.decay
        self.decay = 1.0
        self.table.weight, self.table.padding_idx = self.weight, self.padding

    @contextmanager
    def whole(self) -> Iterator[None]:
        """The whole table, to read other texts or to be kept."""
        self.leave()
        try:
            yield
        finally:
            self._enter()

    def after_step(self, lr: float, weight_decay: float) -> None:
        """What AdamW would have done to the other rows."""
        self.decay *= 1 - lr * weight_decay


def touched(student: Network, encoded: Any, optimiser: Optimiser) -> Touched | None:
    """The student's word vectors that these texts read; None where that saves little, or would not be exact."""
    table = getattr(student, "word_embeddings", None)
    if not isinstance(table, nn.Embedding) or not isinstance(encoded, TokenArrays) or optimiser.kind != "adamw":
        return None
    names = [n for n, p in student.named_parameters(remove_duplicate=False) if p is table.weight]
    if len(names) != 1 or not table.weight.requires_grad or table.sparse or table.max_norm is not None:
        return None  # the weight is part of something else too
    pads = [encoded.pad, *([] if table.padding_idx is None else [table.padding_idx])]
    ids = np.unique(np.concatenate([np.unique(encoded.flat), pads]))
    if len(ids) > MOST * table.num_embeddings:
        return None
    return Touched(table, torch.from_numpy(ids.astype(np.int64)).to(table.weight.device))
