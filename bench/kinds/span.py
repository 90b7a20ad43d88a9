"""Where in a text the answer to a question stands: its first and its last token, over windows of the text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.data.windows import OUTSIDE, Windows, windows
from bench.errors import RequestError
from bench.inputs import Batch
from bench.kind import Kind, Outputs
from bench.scoring.scores import Ragged
from bench.signals import Signals

BEST, LONGEST = 20, 30  # answers that are kept, and starts and ends that are looked at; tokens of an answer
NEVER = -1e9  # the logit of padding: e to it is 0
NULL = 0  # the token that stands for no answer in a window, [CLS]


class Span(Kind):
    """Logits (M, L, 2), of start and end, over the M windows of B pairs of a question and a text.

    Labels (B, 2) are characters, the first one of the answer and the one behind its last; -1 where there is none. In a
    window that does not hold the answer whole, both places are [CLS], as in BERT's code. Beside the logits stand
    `starts` and `ends` (M, L), the characters of each token, and `owner` (M,), the pair of each window.
    """

    feature = "windows"
    axes = "B L C"
    auto = "AutoModelForQuestionAnswering"
    pipeline = "question-answering"
    stored = False  # a pair has several windows
    version = 2

    @classmethod
    def of(cls, outputs: int, classes: Sequence[str], labels: Callable[[], Any]) -> Span:
        return cls(2)

    def read(
        self, tokenizer: Any, rules: Callable[[], str], inputs: Any, limit: int, plain: Callable[[], Any]
    ) -> Windows:
        return windows(tokenizer, rules, inputs, limit)

    def logits(self, out: Any) -> Tensor:
        return torch.stack([out.start_logits, out.end_logits], -1)

    def complete(self, body: Signals, head: nn.Module | None, batch: Mapping[str, Tensor]) -> Signals:
        places = {name: batch[name] for name in ("starts", "ends", "owner")}
        return Signals(super().complete(body, head, batch), mask=batch["attention_mask"], **places)

    def sides(self, signals: Signals) -> Tensor:
        """(2 M, L): the logits of all starts, then of all ends; padding never is one."""
        real = signals.mask[..., None].bool()
        return signals.logits.masked_fill(~real, NEVER).movedim(-1, 0).flatten(0, 1)

    def loss(self, student: Signals, batch: Batch) -> Tensor:
        """Mean cross-entropy over windows and sides."""
        return F.cross_entropy(self.sides(student), self.places(student, batch.labels).T.flatten())

    def places(self, signals: Signals, labels: Tensor) -> Tensor:
        """(M, 2) the tokens of the answer in each window."""
        first, behind = labels[signals.owner].unbind(-1)
        starts, ends = signals.starts, signals.ends
        hits = (
            (starts <= first[:, None]) & (ends > first[:, None]) & (starts != OUTSIDE),
            (starts < behind[:, None]) & (ends >= behind[:, None]) & (starts != OUTSIDE),
        )
        whole = hits[0].any(1) & hits[1].any(1) & (first >= 0)
        found = torch.stack([hit.int().argmax(1) for hit in hits], -1)
        return found.masked_fill(~whole[:, None], NULL)

    def pair(self, student: Signals, teacher: Signals, batch: Batch) -> tuple[Tensor, Tensor]:
        """(2 M, L) of both. RequestError: they cut texts into other tokens."""
        ours, theirs = self.sides(student), self.sides(teacher)
        if ours.shape != theirs.shape:
            raise RequestError("teacher and student cut texts into other tokens: their places cannot be matched")
        return ours, theirs.detach()

    def real(self, outputs: Tensor) -> Tensor:
        """Not at padding, whose logits are NEVER."""
        return outputs > NEVER / 2

    def decode(self, signals: Signals) -> list[np.ndarray]:
        """Of each pair (1 + n, 3) the best answers of all windows: first and last + 1 character, and the sum of both
        logits. The first row is no answer, which is as likely as in the window in which it is least so."""
        logits = self.sides(signals).float().cpu().numpy().reshape(2, *signals.starts.shape)
        starts, ends, owner = (signals[name].cpu().numpy() for name in ("starts", "ends", "owner"))
        found = [answers(logits[:, m], starts[m], ends[m]) for m in range(len(owner))]
        null = logits[:, :, NULL].sum(0)
        return [merged([found[m] for m in rows], null[rows].min()) for rows in grouped(owner)]

    def blank(self, inputs: int) -> Outputs:
        """No answer to each."""
        return Ragged.of([[(OUTSIDE, OUTSIDE, 0.0)]] * inputs, np.float32)


def grouped(owner: np.ndarray) -> list[np.ndarray]:
    """Numbers of the windows of each pair."""
    return np.split(np.arange(len(owner)), np.flatnonzero(np.diff(owner)) + 1) if len(owner) else []


def answers(logits: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """(n, 3) the answers of one window among its BEST starts and BEST ends; logits (2, L)."""
    inside = np.flatnonzero(starts != OUTSIDE)
    first, last = (inside[np.argsort(-side[inside], kind="stable")[:BEST]] for side in logits)
    a, b = (x.ravel() for x in np.meshgrid(first, last, indexing="ij"))
    kept = (a <= b) & (b - a < LONGEST)
    a, b = a[kept], b[kept]
    return np.stack([starts[a], ends[b], logits[0, a] + logits[1, b]], 1).astype(np.float64)


def merged(parts: Sequence[np.ndarray], null: float) -> np.ndarray:
    """The BEST answers of all windows behind the row of no answer; one that stands in two windows counts once."""
    found = np.concatenate(parts)
    found = found[np.argsort(-found[:, 2], kind="stable")]
    _, first = np.unique(found[:, :2], axis=0, return_index=True)
    best = found[np.sort(first)[:BEST]]
    return np.concatenate([[[OUTSIDE, OUTSIDE, null]], best]).astype(np.float32)
