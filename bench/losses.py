"""Losses that more than one plug-in uses. Each returns named scalars."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.inputs import Batch
from bench.signals import Signals


def unit(x: Tensor) -> Tensor:
    """Rows divided by their length; a zero row stays zero."""
    return F.normalize(x, dim=-1, eps=1e-8)


class Contrast(nn.Module):
    """Supervised contrastive loss over pairs or triplets (Gao et al. 2021, SimCSE; stage 2 of DisCo).

    logits_ij = beta * cos(h_i, c_j), c = [positives ; hard negatives], target j = i, loss = CE. `beta` is learnable
    from 20 and enters linearly, not as an exponent (as in the official code of DisCo). Pairs made of the same text
    twice differ by dropout alone: the unsupervised form.
    """

    def __init__(self, scale: float = 20.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, student: Signals, batch: Batch) -> dict[str, Tensor]:
        """Named loss of embeddings (K*B, D), K = 2 (anchor, positive) or 3 (and negative)."""
        assert student.embedding is not None
        anchors, *candidates = batch.split(student.embedding)
        logits = self.scale * unit(anchors) @ unit(torch.cat(candidates)).T
        return {"contrastive": F.cross_entropy(logits, torch.arange(len(anchors), device=logits.device))}
