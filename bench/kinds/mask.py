"""Hidden word pieces: which one stood there? The task of masked language models."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.data.masked import MaskedTokens
from bench.errors import RequestError
from bench.inputs import IGNORED, Batch
from bench.kind import Kind, Outputs
from bench.scoring.scores import Ragged
from bench.signals import Signals

if TYPE_CHECKING:
    from bench.network import Network

FEW = 8  # inputs by which two vocabularies are told apart


class Mask(Kind):
    """Logits (B, W, V) over the vocabulary at the W hidden pieces of each text; no others are computed.

    What stood there is a network's own matter, as it cuts texts into its own pieces: so the network's signals say it,
    as `targets` (B, W), beside `words` (B, W), which is 1 on hidden pieces. Texts are read in numbered views, each with
    masks of its own.
    """

    feature = "pieces"
    axes = "B W C"
    auto = "AutoModelForMaskedLM"
    pipeline = "fill-mask"
    early = True
    stored = False  # a text's logits take megabytes

    @classmethod
    def of(cls, outputs: int, classes: Sequence[str], labels: Callable[[], Any]) -> Mask:
        """The vocabulary is the network's."""
        return cls()

    def read(
        self, tokenizer: Any, rules: Callable[[], str], inputs: Any, limit: int, plain: Callable[[], Any]
    ) -> MaskedTokens:
        """RequestError: the tokenizer knows no mask."""
        if tokenizer.mask_token_id is None:
            raise RequestError("this model's tokenizer has no mask token: it reads no hidden pieces")
        return MaskedTokens(plain(), tokenizer.mask_token_id, len(tokenizer), tokenizer.all_special_ids)

    def select(self, tensor: Tensor, batch: Mapping[str, Tensor]) -> Tensor:
        """(B, L, D) -> (B, W, D)"""
        places = batch["words"].clamp(min=0)
        return tensor.gather(1, places[..., None].expand(-1, -1, tensor.shape[-1]))

    def complete(self, body: Signals, head: nn.Module | None, batch: Mapping[str, Tensor]) -> Signals:
        found = super().complete(body, head, batch)
        return Signals(found, words=(batch["words"] >= 0).long(), targets=batch["targets"])

    def loss(self, student: Signals, batch: Batch) -> Tensor:
        """Mean cross-entropy over the hidden pieces."""
        logits, targets = student.logits.flatten(0, 1), student.targets.flatten()
        total = F.cross_entropy(logits, targets, ignore_index=IGNORED, reduction="sum")
        return total / (targets != IGNORED).sum().clamp(min=1)

    def pair(self, student: Signals, teacher: Signals, batch: Batch) -> tuple[Tensor, Tensor]:
        """(N, V) of both at the hidden pieces. RequestError: the two read other pieces, or know another vocabulary."""
        same = student.words.shape == teacher.words.shape and student.logits.shape == teacher.logits.shape
        if not same:
            raise RequestError(
                "teacher and student cut texts into other pieces: what they say of one cannot be matched"
            )
        hidden = student.words.bool()
        return student.logits[hidden], teacher.logits[hidden].detach()

    def incomparable(self, student: Network, teacher: Network, inputs: Callable[[], Any]) -> str:
        """Of the first inputs other pieces are hidden."""
        some = list(inputs()[:FEW])
        read = [network.encode(some) for network in (student, teacher)]
        ours, theirs = (encoded.batch(np.arange(len(some)))["targets"] for encoded in read)
        return "" if torch.equal(ours, theirs) else "cut texts into other pieces, of which other ones are hidden"

    def decode(self, signals: Signals) -> list[np.ndarray]:
        """Of each hidden piece (W, 3): the likeliest, the log-probability of the true one, and the true one."""
        logs = signals.logits.float().log_softmax(-1)
        truth = signals.targets.clamp(min=0)
        columns = (logs.argmax(-1), logs.gather(-1, truth[..., None])[..., 0], truth)
        found = np.stack([column.float().cpu().numpy() for column in columns], -1)
        return [row[:count] for row, count in zip(found, signals.words.sum(1).tolist(), strict=True)]

    def blank(self, inputs: int) -> None:
        """What was hidden is told by its number in the network's vocabulary."""

    def predictions(self, outputs: Outputs, gold: Any) -> dict[str, Any]:
        """The likeliest piece and the log-probability of the true one (M, 2), beside the true one, by its number in
        the network's vocabulary."""
        return {
            "prediction": Ragged(outputs.flat[:, :2], outputs.lengths),
            "gold": Ragged(outputs.flat[:, 2].astype(np.int64), outputs.lengths),
        }
