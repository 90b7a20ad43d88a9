"""A CTC network that is told the text beside the input, some of it masked: Oracle Teacher, a reconstruction.

    h = source encoder(x)                                 (B, L, d), the student's frame rate
    t = Embed([start ; y]) + positions                    each of y is the mask with probability p in training
    a layer:  h = LN(h + SelfAttn(h));  h = LN(h + CrossAttn(h, t));  h = LN(h + FFN(h))
    p = softmax(W h)        L = CTC(p, y), which lays y out over the frames: many paths are one text

Yoon et al., "Oracle Teacher: Leveraging Target Information for Better Knowledge Distillation of CTC Models",
arXiv:2111.03664. That the teacher reads both, attends to the text and learns by CTC is of the abstract. Depth,
positions and the masking (p 0.5 in training, none once it is taught) are ours: how the paper keeps it from copying is
not known. An oracle that copies has a low loss all the same, so two numbers are logged with it, on dev: `emit_rate`,
the share of frames that are no blank (near 1: the text is stretched over the sound), and `shuffled_ctc`, its loss with
the sound of another input (near `ctc`: the sound is not listened to).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.errors import RequestError
from bench.inputs import IGNORED, flat, padded
from bench.kinds.ctc import BLANK
from bench.network import Encoded, Network
from bench.networks.inference import length_batches, to_device
from bench.networks.words import checked
from bench.scoring.scores import Ragged
from bench.signals import Signals
from bench.student import Student

HEADS, DROPOUT = 4, 0.1


class WithText:
    """What the source encoder reads, and `answers` (B, M): the text that each input is told to hold."""

    def __init__(self, source: Encoded, answers: Ragged) -> None:
        self.source, self.answers = source, answers
        self.lengths, self.axes = source.lengths, source.axes

    def batch(self, rows: np.ndarray) -> dict[str, Tensor]:
        return self.source.batch(rows) | {"answers": torch.from_numpy(padded(self.answers[flat(rows)], IGNORED))}

    def shuffled(self) -> WithText:
        """Every input beside the text of its neighbour in the order of the texts' lengths, the last beside the
        first's: what is said is another thing, and about as long."""
        order = np.argsort(self.answers.lengths, kind="stable")
        other = np.empty_like(order)
        other[order] = np.roll(order, 1)
        return WithText(self.source, self.answers[other])


class OracleNetwork(Network):
    """Around a network that makes states of the input alone. Told nothing, as for timing, it reads the start alone."""

    offers = frozenset({"states", "logits"})
    reads_targets = True

    def __init__(self, source: Any, layers: int, mask: float) -> None:
        super().__init__()
        self.source, self.goal, self.width, self.mask = source, source.goal, source.width, mask
        self.optimiser = source.optimiser
        self.start, self.masked = self.goal.outputs, self.goal.outputs + 1
        self.table = nn.Embedding(self.goal.outputs + 2, self.width)
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(self.width, HEADS, 2 * self.width, DROPOUT, batch_first=True)
            for _ in range(layers)
        )
        self.head = self.goal.head(self.width)

    def encode(self, inputs: Sequence[Any], max_length: int | None = None) -> Encoded:
        found: Encoded = self.source.encode(inputs, max_length)
        return found

    def encode_told(self, inputs: Sequence[Any], answers: Any, max_length: int | None = None) -> Encoded:
        return WithText(self.encode(inputs, max_length), answers)

    def forward(self, batch: dict[str, Tensor], want: frozenset[str]) -> Signals:
        h, real = self.source.states(batch)
        h = h + positions(h)
        text, padding = self.text(batch.get("answers", torch.empty(len(h), 0, dtype=torch.int64, device=h.device)))
        for layer in self.layers:
            h = layer(h, text, tgt_key_padding_mask=~real, memory_key_padding_mask=padding)
        return self.goal.complete(Signals(states=h, mask=real.long()), self.head, batch)

    def text(self, answers: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors (B, 1 + M, d), and where there is none, bool."""
        padding = nn.functional.pad(answers == IGNORED, (1, 0))
        tokens = answers.masked_fill(answers == IGNORED, BLANK)
        if self.training and self.mask:
            tokens = torch.where(torch.rand(tokens.shape, device=tokens.device) < self.mask, self.masked, tokens)
        found = self.table(nn.functional.pad(tokens, (1, 0), value=self.start))
        return found + positions(found), padding

    @torch.no_grad()
    def diagnosis(self, encoded: Any) -> dict[str, float]:
        """`emit_rate`, and `ctc` and `shuffled_ctc`: losses of an input, in nats."""
        self.eval()
        emitted, frames, losses = 0, 0, {"ctc": 0.0, "shuffled_ctc": 0.0}
        for name, read in (("ctc", encoded), ("shuffled_ctc", encoded.shuffled())):
            for rows in length_batches(read.lengths):
                batch = to_device(read.batch(rows), self.device)
                found = self(batch, frozenset({"logits"}))
                losses[name] += float(self.goal.nll(found.logits, found.mask, batch["answers"]).sum())
                if name == "ctc":
                    emitted += int(((found.logits.argmax(-1) != BLANK) * found.mask).sum())
                    frames += int(found.mask.sum())
        return {"emit_rate": emitted / frames} | {name: loss / len(encoded.lengths) for name, loss in losses.items()}


def positions(x: Tensor) -> Tensor:
    """Sinusoids (L, D) for (B, L, D), D even: Vaswani et al. 2017."""
    half = torch.arange(0, x.shape[2], 2, device=x.device)
    angles = torch.arange(x.shape[1], device=x.device)[:, None] * torch.exp(half * (-math.log(10_000.0) / x.shape[2]))
    return torch.stack([angles.sin(), angles.cos()], 2).flatten(1).to(x.dtype)


def shape(size: str, family: type[Student]) -> tuple[int, int, float]:
    """(width, layers, share that is masked) of `64x1m50`."""
    dims, _, mask = checked(size, "[1-9][0-9]{0,3}x[1-9](m([0-9]{1,2}|100))?", family).partition("m")
    width, layers = map(int, dims.split("x"))
    if width % HEADS:
        raise RequestError(f"the width of an oracle is a multiple of its {HEADS} heads, not {width}")
    return width, layers, int(mask or 50) / 100
