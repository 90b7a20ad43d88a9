"""What networks share that score a pair of texts: they stand for a teacher's vectors with scores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench.data.together import together
from bench.inputs import Examples
from bench.network import Network
from bench.networks.sentences import make_pooling
from bench.networks.transformer import TransformerNetwork, unhook


class Ranker(Network):
    """Reads pairs of texts. `scores` (P, 1) are what it says of them, `layer_scores` what each layer would.

    A text alone is read as a document, which is for timing.
    """

    reads_together = True
    instead = {"embedding": "scores", "pooled": "layer_scores"}
    backbone: Any
    tokenizer: Any
    max_length: int

    @property
    def index_width(self) -> int:
        return 0

    @property
    def lender(self) -> Network:
        """Its encoder, with the mean of the tokens as its vector."""
        width = self.backbone.config.hidden_size
        return TransformerNetwork(self.backbone, [make_pooling("mean", width)], self.tokenizer, self.max_length, width)

    def grouped(self, examples: Examples) -> Examples:
        return together(examples)

    def __getstate__(self) -> dict[str, Any]:
        unhook(self.backbone)
        return self.__dict__.copy()


def settings_of(path: Path) -> dict[str, Any]:
    """A JSON object; {}: there is none."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
