"""A text, piece after piece, each from the input and the pieces before it: sequence to sequence.

    L = mean over target pieces of -log p(y_t | y_<t, x)

Trained on the true pieces before each (teacher forcing); where it is judged a network goes on from its own, greedily.
Sutskever et al. 2014; Vaswani et al. 2017. Plain distillation is token-level: the divergence at every target piece
(Kim & Rush 2016, "Sequence-Level Knowledge Distillation", its word-level form).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from bench.errors import BenchError, RequestError
from bench.inputs import IGNORED, Batch
from bench.kind import DIVERGED, Kind, Outputs
from bench.scoring.scores import Ragged
from bench.signals import Signals


class Generate(Kind):
    """Logits (B, L, C) of each target piece and the end, `targets` (B, L) what they are, and `mask` (B, L).

    Labels and what is generated are UTF-8 bytes, whatever pieces a network cuts texts into: a network that is given no
    answers tells its text as `generated` (B, M), bytes with IGNORED behind. The head is the network's own.
    """

    feature = "logits"
    axes = "B L C"
    loader = "translators"
    pipeline = "translation"
    teacher_forced = True

    @classmethod
    def of(cls, outputs: int, classes: Sequence[str], labels: Callable[[], Any]) -> Generate:
        """The number of pieces is the network's."""
        return cls(0)

    def loss(self, student: Signals, batch: Batch) -> Tensor:
        """Mean cross-entropy over the batch's target pieces and ends."""
        return F.cross_entropy(student.logits.flatten(0, 1), student.targets.flatten(), ignore_index=IGNORED)

    def pair(self, student: Signals, teacher: Signals, batch: Batch) -> tuple[Tensor, Tensor]:
        """At every target piece, (N, C). RequestError: the two cut targets into other pieces."""
        if student.logits.shape != teacher.logits.shape:
            raise RequestError("teacher and student cut texts into other pieces: their outputs cannot be matched")
        real = student.mask.bool()
        return student.logits[real], teacher.logits[real].detach()

    def width(self, embedding: int) -> int:
        """None is compared: pairs are checked as they come."""
        return 0

    def decode(self, signals: Signals) -> list[np.ndarray]:
        """The bytes of each text; -1 where logits are not finite."""
        finite = signals.logits.isfinite().flatten(1).all(1).tolist()
        rows = signals.generated.cpu().numpy()
        return [row[row != IGNORED] if ok else np.array([-1]) for row, ok in zip(rows, finite, strict=True)]

    def checked(self, outputs: Outputs, inputs: int) -> Outputs:
        if outputs.flat.min(initial=0) < 0:
            raise BenchError(DIVERGED)
        return super().checked(outputs, inputs)

    def blank(self, inputs: int) -> Outputs:
        return Ragged.of([[]] * inputs, np.int64)

    def predictions(self, outputs: Outputs, gold: Any) -> dict[str, Any]:
        """Ragged words of both, as spaces part them."""
        return {"prediction": words(outputs), "gold": words(gold)}


def as_bytes(texts: Iterable[str]) -> Ragged:
    """Labels of texts."""
    return Ragged.of([np.frombuffer(text.encode(), np.uint8) for text in texts], np.int64)


def words(rows: Ragged) -> Ragged:
    """Rows of bytes -> rows of words; bytes that are no text, as half a letter, are the sign that stands for such."""
    texts = (bytes(row.astype(np.uint8)).decode(errors="replace") for row in rows)
    return Ragged.of([text.split() for text in texts], np.str_)
