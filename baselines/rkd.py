"""Relational KD: distances between the examples of a batch, and angles between triples of them.

    psi_D(i, j) = ||f_i - f_j|| / mu,  mu the mean distance of the batch, in each network its own
    psi_A(i, j, k) = cos of the angle at j
    L = CE(y, z_S) + w_D smooth_l1(psi_D^S, psi_D^T) + w_A smooth_l1(psi_A^S, psi_A^T)

f are embeddings (B, D), whatever their widths and without normalisation. Where a task has no labels, as in embedding
sentences, the relations are the whole loss. Rows that coincide make no angle: the official code divides their
difference by 1e-12, and so the gradient too. The B^3 angles of large batches are made in parts, with the same sum.

Park, Kim, Lu, Cho, CVPR 2019, arXiv:1904.05068; official code lenscloth/RKD; weights of RepDistiller (25 and 50; the
official metric-learning runs use 1 and 2). Needs from the teacher: the embedding, computed once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from bench.errors import RequestError
from bench.inputs import Batch
from bench.method import Losses, Method, Run, Stage
from bench.signals import Signals
from bench.task import later

TINY = 1e-12  # under the root, whose slope at 0 is infinite
CLOSE = 1e-4  # of a row's mean distance: nearer rows differ by rounding alone, and their direction is noise
HELD = 2**24  # cosines held at once, 64 MiB of them: all up to 256 examples


class Rkd(Method):
    """Distances and angles within a batch."""

    title = "Relational knowledge distillation (RKD)"
    citation = "Park, Kim, Lu, Cho. CVPR 2019, arXiv:1904.05068"
    needs = frozenset({"embedding"})
    defaults = {"graph": {"rows": 256}}  # a batch is all of its nodes
    version = 2  # rows that coincide

    @dataclass(frozen=True)
    class Settings:
        distance: NonNegativeFloat = 25.0  # RepDistiller
        angle: NonNegativeFloat = 50.0  # RepDistiller
        lr: PositiveFloat | None = None  # none: the architecture's
        # at most so many rows of a batch are compared, which come in random order; none: all
        rows: Annotated[int, Field(ge=3)] | None = later(None)

    def __init__(self, settings: Settings, run: Run) -> None:
        super().__init__(settings, run)
        size = run.track.batch_size
        if size and size < 3:
            raise RequestError(f"rkd compares the examples of a batch, and {size} make no angle: --set batch_size=3")

    def stages(self) -> Iterable[Stage]:
        wants = {"output", "embedding"}
        yield self.stage("rkd", self.relations, needs=self.needs, wants=wants)

    def relations(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        few = slice(self.settings.rows)
        f, g = student.embedding[few], teacher.embedding[few].detach()
        losses = {
            "distance": self.settings.distance * F.smooth_l1_loss(distances(f), distances(g)),
            "angle": self.settings.angle * angle_loss(f, g),
        }
        return losses if batch.labels is None else losses | {"hard": self.goal.loss(student, batch)}


def distances(f: Tensor) -> Tensor:
    """(B, D) -> (B, B): distances over the mean of those between different rows; 0 on the diagonal."""
    squares = f.square().sum(1)
    found = (squares[:, None] + squares - 2 * f @ f.T).clamp(min=TINY).sqrt()
    found = found * (1 - torch.eye(len(f), dtype=f.dtype, device=f.device))
    return found / (found.sum() / (found > 0).sum())


def angle_loss(f: Tensor, g: Tensor) -> Tensor:
    """Mean smooth L1 over the B^3 cosines of f (B, D) and g (B, D'); parts of a large batch are made anew backwards."""
    size = max(1, HELD // len(f) ** 2)
    if size >= len(f):
        return F.smooth_l1_loss(angles(f, f), angles(g, g))
    parts = [
        checkpoint(_angle_sum, f, g, at, at + size, use_reentrant=False, preserve_rng_state=False)
        for at in range(0, len(f), size)
    ]
    return torch.stack(parts).sum() / len(f) ** 3


def _angle_sum(f: Tensor, g: Tensor, start: int, stop: int) -> Tensor:
    return F.smooth_l1_loss(angles(f, f[start:stop]), angles(g, g[start:stop]), reduction="sum")


def angles(f: Tensor, vertices: Tensor) -> Tensor:
    """(B, D), (V, D) -> (V, B, B): [j, i, k] is the cosine of the angle that i and k make at j; 0 where i or k is j."""
    d = f[None] - vertices[:, None]
    length = d.norm(dim=2, keepdim=True)
    apart = length > CLOSE * length.mean(1, keepdim=True)
    e = torch.where(apart, d / torch.where(apart, length, 1), 0)
    return e @ e.transpose(1, 2)
