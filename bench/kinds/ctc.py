"""A text by connectionist temporal classification: a class or the blank at every frame, in the order of the text.

    p(y | x) = sum over paths that collapse to y of prod_t p(path_t | x)        repeats fold, then blanks go

Graves et al. 2006, "Connectionist Temporal Classification", ICML.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.errors import BenchError, RequestError
from bench.inputs import IGNORED, Batch
from bench.kind import DIVERGED, Kind, Outputs
from bench.scoring.scores import Ragged
from bench.signals import Signals

BLANK = 0  # the class that stands for nothing


class Ctc(Kind):
    """Logits (B, L, C) of L frames, and `mask` (B, L), 1 on those that are real. Class 0 is the blank.

    Labels are rows of class numbers, without blanks. What classes spell, joined, is the text, and spaces part its
    words: characters and a space among them, or whole words that end with one.
    """

    feature = "states"
    axes = "B L C"
    auto = "AutoModelForCTC"
    loader = "recognisers"
    pipeline = "automatic-speech-recognition"

    def nll(self, logits: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
        """-log p(y | x) of each input, (B,); 0 where its frames are fewer than its labels and the blanks between equal
        ones, so that nothing could be learned."""
        sizes, targets = (labels != IGNORED).sum(1), labels.masked_fill(labels == IGNORED, BLANK)
        # float32, time first; an empty batch of targets needs a column
        logs = logits.float().log_softmax(-1).transpose(0, 1)
        targets = targets if targets.shape[1] else targets.new_zeros(len(targets), 1)
        return F.ctc_loss(logs, targets, mask.sum(1), sizes, BLANK, "none", zero_infinity=True)

    def loss(self, student: Signals, batch: Batch) -> Tensor:
        """Summed over the batch and divided by its real frames, as what is compared frame by frame is."""
        mask = frames(student)
        return self.nll(student.logits, mask, batch.labels).sum() / mask.sum().clamp(min=1)

    def pair(self, student: Signals, teacher: Signals, batch: Batch) -> tuple[Tensor, Tensor]:
        """Of the student's real frames, beside each the teacher's nearest in time. RequestError: of other classes."""
        ours, theirs = student.logits, teacher.logits.detach()
        if ours.shape[-1] != theirs.shape[-1]:
            raise RequestError(f"the teacher tells {theirs.shape[-1]} classes apart and the student {ours.shape[-1]}")
        mask = frames(student)
        return ours[mask.bool()], nearest(theirs, frames(teacher).sum(1), mask)[mask.bool()]

    def decode(self, signals: Signals) -> list[np.ndarray]:
        """Greedy, without a language model: the best class of each frame, collapsed; -1 where logits are not finite."""
        best = signals.logits.argmax(-1).masked_fill(~signals.logits.isfinite().all(-1), -1).cpu().numpy()
        return [collapsed(row[:n]) for row, n in zip(best, frames(signals).sum(1).tolist(), strict=True)]

    def checked(self, outputs: Outputs, inputs: int) -> Outputs:
        if outputs.flat.min(initial=0) < 0:
            raise BenchError(DIVERGED)
        return super().checked(outputs, inputs)

    def blank(self, inputs: int) -> Outputs:
        return Ragged.of([[]] * inputs, np.int64)

    def predictions(self, outputs: Outputs, gold: Any) -> dict[str, Any]:
        """Ragged words of both."""
        return {"prediction": self.words(outputs), "gold": self.words(gold)}

    def words(self, rows: Ragged) -> Ragged:
        """Rows of class numbers -> rows of words."""
        spelt = ("".join(self.classes[int(n)] for n in row) for row in rows)
        return Ragged.of([text.split() for text in spelt], np.str_)


def frames(signals: Signals) -> Tensor:
    """(B, L) 1 on real frames; of pictures of one size, whose stored signals have no mask, on all."""
    if "mask" in signals:
        found: Tensor = signals.mask
        return found
    return torch.ones(signals.logits.shape[:2], dtype=torch.int64, device=signals.logits.device)


def nearest(values: Tensor, lengths: Tensor, mask: Tensor) -> Tensor:
    """(B, L', C) of `lengths` (B,) real frames -> (B, L, C) at the frames of the mask (B, L), by relative time; where
    both are as long it is the same frame."""
    middles = torch.arange(mask.shape[1], device=values.device) + 0.5
    at = (middles * (lengths / mask.sum(1).clamp(min=1))[:, None]).long()
    at = torch.minimum(at, lengths[:, None].long() - 1).clamp(min=0)
    return values.gather(1, at[..., None].expand(-1, -1, values.shape[-1]))


def collapsed(path: np.ndarray) -> np.ndarray:
    """Runs of one class folded, then blanks left out."""
    first = np.append(True, path[1:] != path[:-1])[: len(path)]
    kept: np.ndarray = path[first & (path != BLANK)]
    return kept
