"""Relational KD: distances between the examples of a batch, and angles between triples of them.

    psi_D(i, j) = ||f_i - f_j|| / mu,  mu the mean distance of the batch, in each network its own
    psi_A(i, j, k) = cos of the angle at j
    L = CE(y, z_S) + w_D smooth_l1(psi_D^S, psi_D^T) + w_A smooth_l1(psi_A^S, psi_A^T)

f are embeddings (B, D), whatever their widths and without normalisation. Where a task has no labels, as in embedding
sentences, the relations are the whole loss.

Park, Kim, Lu, Cho, CVPR 2019, arXiv:1904.05068; official code lenscloth/RKD; weights of RepDistiller (25 and 50; the
official metric-learning runs use 1 and 2). Needs from the teacher: the embedding, computed once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor

from bench.inputs import Batch
from bench.losses import supervised
from bench.method import Losses, Method, Stage
from bench.signals import Signals

TINY = 1e-12  # under the root, whose slope at 0 is infinite


class Rkd(Method):
    """Distances and angles within a batch."""

    title = "Relational knowledge distillation (RKD)"
    citation = "Park, Kim, Lu, Cho. CVPR 2019, arXiv:1904.05068"
    needs = frozenset({"embedding"})

    @dataclass(frozen=True)
    class Settings:
        distance: NonNegativeFloat = 25.0  # RepDistiller
        angle: NonNegativeFloat = 50.0  # RepDistiller
        lr: PositiveFloat | None = None  # none: the architecture's

    def stages(self) -> Iterable[Stage]:
        track, recipe = self.run.track, self.run.optimiser
        optimiser = replace(recipe, lr=self.settings.lr or recipe.lr)
        wants = {"output", "embedding"}
        yield Stage("rkd", "distil", self.relations, track.updates, track.batch_size, optimiser, self.needs, wants)

    def relations(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        f, g = student.embedding, teacher.embedding.detach()
        losses = {
            "distance": self.settings.distance * F.smooth_l1_loss(distances(f), distances(g)),
            "angle": self.settings.angle * F.smooth_l1_loss(angles(f), angles(g)),
        }
        return losses if batch.labels is None else losses | {"hard": supervised(student.logits, batch.labels)}


def distances(f: Tensor) -> Tensor:
    """(B, D) -> (B, B): distances over the mean of those between different rows; 0 on the diagonal."""
    squares = f.square().sum(1)
    found = (squares[:, None] + squares - 2 * f @ f.T).clamp(min=TINY).sqrt()
    found = found * (1 - torch.eye(len(f), dtype=f.dtype, device=f.device))
    return found / (found.sum() / (found > 0).sum())


def angles(f: Tensor) -> Tensor:
    """(B, D) -> (B, B, B): [j, i, k] is the cosine of the angle that i and k make at j; 0 where i or k is j."""
    e = F.normalize(f[None] - f[:, None], dim=2)
    return e @ e.transpose(1, 2)
