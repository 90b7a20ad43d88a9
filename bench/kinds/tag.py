"""One class a word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor, nn

from bench.errors import BenchError
from bench.inputs import IGNORED, Batch
from bench.kind import DIVERGED, Kind, Outputs
from bench.scoring.scores import Ragged, positions
from bench.scoring.swapped import swapped
from bench.signals import Signals

OUTSIDE = "O"  # what a network says of the words that lie beyond its length limit


class Tag(Kind):
    """Logits (B, W, C): what the network gives at the first piece of each word, however it cuts words into pieces.

    Beside them stands the signal `words` (B, W), 1 on the words that were read.
    """

    feature = "states"
    axes = "B W C"
    auto = "AutoModelForTokenClassification"
    pipeline = "token-classification"

    def select(self, tensor: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """(B, L, D) -> (B, W, D)"""
        places = batch["words"].clamp(min=0)
        return tensor.gather(1, places[..., None].expand(-1, -1, tensor.shape[-1]))

    def complete(self, body: Signals, head: nn.Module | None, batch: Mapping[str, Tensor]) -> Signals:
        return Signals(super().complete(body, head, batch), words=(batch["words"] >= 0).long())

    def loss(self, student: Signals, batch: Batch) -> Tensor:
        """Mean cross-entropy over the words that were read; labels (B, W'), W' >= W: sentences may have been cut."""
        labels = batch.labels[:, : student.words.shape[1]].masked_fill(student.words == 0, IGNORED)
        total = F.cross_entropy(student.logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum")
        return total / (labels != IGNORED).sum().clamp(min=1)

    def pair(self, student: Signals, teacher: Signals, batch: Batch) -> tuple[Tensor, Tensor]:
        """Of the words that both have read."""
        width = min(student.words.shape[1], teacher.words.shape[1])
        both = (student.words[:, :width] * teacher.words[:, :width]).bool()
        return student.logits[:, :width][both], teacher.logits[:, :width][both].detach()

    def decode(self, signals: Signals) -> list[np.ndarray]:
        """Class numbers of the words that were read; IGNORED where the logits are not finite."""
        finite = signals.logits.isfinite().all(-1)
        labels = signals.logits.argmax(-1).masked_fill(~finite, IGNORED).cpu().numpy()
        return [row[:count] for row, count in zip(labels, signals.words.sum(1).tolist(), strict=True)]

    def checked(self, outputs: Outputs, inputs: int) -> Outputs:
        if outputs.flat.min(initial=0) < 0:
            raise BenchError(DIVERGED)
        return super().checked(outputs, inputs)

    def blank(self, inputs: int) -> Outputs:
        return Ragged.of([[]] * inputs, np.float32)

    def predictions(self, outputs: Outputs, gold: Any) -> dict[str, Any]:
        """Names of classes, Ragged; a word that was not read is outside of everything."""
        names = np.array(self.classes)
        found = np.full(len(gold.flat), OUTSIDE, names.dtype)
        found[positions(gold.lengths) < outputs.lengths[gold.owner]] = names[outputs.flat.astype(int)]
        return {"prediction": Ragged(found, gold.lengths), "gold": Ragged(names[gold.flat], gold.lengths)}

    def doubt(self, found: Sequence[dict[str, Any]]) -> str:
        """The teacher numbers the classes in another order than the data."""
        order = np.argsort(self.classes)
        for arrays in found:
            known = np.isin(arrays["prediction"].flat, self.classes)
            names = (arrays[side].flat[known] for side in ("prediction", "gold"))
            predicted, gold = (order[np.searchsorted(self.classes, n, sorter=order)] for n in names)
            if doubt := swapped(predicted, gold, self.classes):
                return doubt
        return ""
