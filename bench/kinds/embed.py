"""One vector an input, which a task compares with others."""

from __future__ import annotations

from torch import Tensor, nn

from bench.inputs import Batch
from bench.kind import Kind
from bench.losses import Contrast
from bench.signals import Signals


class Embed(Kind):
    """The body's own embedding (B, D). What is near what is learned from groups of inputs: pairs, triplets."""

    output = "embedding"
    pipeline = "sentence-similarity"
    distributions = False

    def objective(self) -> nn.Module:
        return Contrast()

    def loss(self, student: Signals, batch: Batch) -> Tensor:
        """The contrastive loss of groups, its scale fixed."""
        found: Tensor = Contrast()(student, batch)["contrastive"].to(student.embedding.device)
        return found
