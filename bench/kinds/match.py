"""How well an image and a text go together: one score a pair."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.inputs import Batch
from bench.kind import Kind
from bench.losses import soft_divergence
from bench.signals import Signals


class Match(Kind):
    """Logits (P, 1) of pairs (image, text); a softmax is over the pairs of one group.

    An example is a group of K pairs of one image: with its own caption, and with K - 1 captions of others. Networks are
    of two sorts. Towers read image and text apart, and give the vector of each (`sides`) beside the score

        s = scale cos(i, t) + bias        L = (CE(images -> all texts of the batch) + CE(own texts -> images)) / 2

    with B images and K B texts (Radford et al. 2021, CLIP, there K = 1). Cross encoders read both together, and learn
    to tell the group's own caption from the others (Kim et al. 2021, ViLT's fine-tuning: CE over K candidates). As in
    CLIP, an image that is in two groups of a batch is not told apart. Plain distillation is the KL over a group.
    """

    axes = "B C"
    pipeline = "zero-shot-image-classification"
    loader = "pictured"

    def scores(self, signals: Signals, batch: Batch) -> Tensor:
        """(B, K) of each group."""
        return torch.cat(batch.split(signals.logits), 1)

    def pair(self, student: Signals, teacher: Signals, batch: Batch) -> tuple[Tensor, Tensor]:
        return self.scores(student, batch), self.scores(teacher, batch).detach()

    def match(self, student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
        return soft_divergence(student, teacher, temperature)

    def width(self, embedding: int) -> int:
        """No width of vectors: a group has as many scores for any network."""
        return 0

    def loss(self, student: Signals, batch: Batch) -> Tensor:
        """Labels (B, K) hold 1 where the caption is the image's own, which is the first."""
        own = torch.zeros(len(batch.rows), dtype=torch.long, device=student.logits.device)
        if "sides" not in student:
            return F.cross_entropy(self.scores(student, batch), own)
        scores, each = self.batch_scores(student, batch), torch.arange(len(own), device=own.device)
        return (F.cross_entropy(scores, each) + F.cross_entropy(scores[:, : len(own)].T, each)) / 2

    def batch_scores(self, signals: Signals, batch: Batch) -> Tensor:
        """(B, K B) of towers: each image with all texts of the batch; caption k of group b is column k B + b."""
        images, texts = signals.sides[: len(batch.rows), 0], signals.sides[:, 1]
        return images @ texts.T
