"""An oracle of translation: `seq2seq` whose encoder reads source and target, the target masked. A reconstruction.

    encoder input [x ; end ; y with a part of it masked],   decoder as ever: p(y_t | y_<t, all that)

Of arXiv:2111.03664 version 1 is known that its teacher of translation reads the target too; how is not. If y_t stood in
what is read, position t would copy it, and nothing of the source could be learned. So with a share p that is masked the
target's places are dealt into round(1 / p) parts, at random in training and in turn once it is taught; the network
reads the input once a part, with that part masked, and each y_t is told from the reading in which it was masked. p = 0
masks nothing, which is the control: it copies.

It teaches, and is no student: what it is told is not there when a sentence is to be translated. Beside it are logged,
on dev, `cross_entropy` of a target piece and `shuffled_cross_entropy`, with another sentence's source (near the first:
the source is not read).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.errors import RequestError
from bench.inputs import IGNORED
from bench.network import Network
from bench.networks.inference import length_batches, to_device
from bench.networks.translators import LONGEST, Paired, Translator
from bench.networks.words import checked
from bench.signals import Signals
from bench.student import Student
from bench.students.seq2seq import HEAD, marian, pieces
from bench.task import Task


class OracleTranslation(Student):
    offers = frozenset({"logits"})
    kinds = frozenset({"generate"})
    told = True
    sizes = "WIDTHxLAYERS[mMASK] (16x1 to 4096x9; WIDTH a multiple of 16, MASK in percent)"
    default = "64x1m50"  # our choice

    @classmethod
    def check(cls, size: str) -> str:
        dims, _, mask = checked(size or cls.default, "[1-9][0-9]{1,3}x[1-9](m([0-9]{1,2}|100))?", cls).partition("m")
        if int(dims.split("x")[0]) % HEAD:
            raise RequestError(f"the width of an oracle is a multiple of {HEAD}, not {dims.split('x')[0]}")
        return f"{dims}m{int(mask or 50)}"

    def build(self, size: str, task: Task, teacher: Network | None) -> OracleTranslator:
        dims, _, mask = self.check(size).partition("m")
        width, layers = map(int, dims.split("x"))
        tokenizer = pieces(task)
        return OracleTranslator(marian(width, layers, tokenizer), tokenizer, int(mask) / 100, task)


class OracleTranslator(Translator):
    """A translator that reads the target too, `parts` times with another part of it masked; told nothing it is one."""

    reads_targets = True

    def __init__(self, model: Any, tokenizer: Any, mask: float, task: Task) -> None:
        super().__init__(model, tokenizer, LONGEST, task.goal)
        self.parts = round(1 / mask) if mask else 0  # 0: nothing is masked

    def forward(self, batch: dict[str, Tensor], want: frozenset[str]) -> Signals:
        if "targets" not in batch:
            return super().forward(batch, want)
        targets, part = batch["targets"], self.dealt(batch["targets"])
        logits: Any = None
        for number in range(max(1, self.parts)):
            told = targets.masked_fill(part == number, self.tokenizer.mask_token_id)
            found = self.model(**self.read(batch, told), decoder_input_ids=self.before(targets)).logits
            logits = found if logits is None else torch.where((part == number)[..., None], found, logits)
        signals = Signals(logits=logits, targets=targets, mask=(targets != IGNORED).long())
        if not self.training:
            best = logits.argmax(-1).masked_fill(targets == IGNORED, self.tokenizer.pad_token_id)
            signals["generated"] = self.spelt(best)
        return signals

    def dealt(self, targets: Tensor) -> Tensor:
        """(B, L) the part of each place; -1 where there is none."""
        if not self.parts:
            return torch.full_like(targets, -1)
        places = torch.arange(targets.shape[1], device=targets.device).expand_as(targets)
        part = torch.randint_like(targets, self.parts) if self.training else places % self.parts
        return part.masked_fill(targets == IGNORED, -1)

    def read(self, batch: dict[str, Tensor], told: Tensor) -> dict[str, Tensor]:
        """Source and target of each row one after the other, without a gap, (B, Lx + Ly)."""
        real, pad = batch["attention_mask"], self.tokenizer.pad_token_id
        both = torch.cat([batch["input_ids"], told.masked_fill(told == IGNORED, pad)], 1)
        source, whole = real.sum(1, keepdim=True), real.sum(1, keepdim=True) + (told != IGNORED).sum(1, keepdim=True)
        at = torch.arange(both.shape[1], device=both.device).expand_as(both)
        places = torch.where(at < source, at, at - source + real.shape[1]).clamp(max=both.shape[1] - 1)
        mask = (at < whole).long()
        return {"input_ids": both.gather(1, places).masked_fill(mask == 0, pad), "attention_mask": mask}

    @torch.no_grad()
    def diagnosis(self, encoded: Any) -> dict[str, float]:
        """Losses of a target piece, in nats."""
        self.eval()
        found = {"cross_entropy": self.mean_loss(encoded), "shuffled_cross_entropy": self.mean_loss(shuffled(encoded))}
        return found

    def mean_loss(self, encoded: Paired) -> float:
        total = 0.0
        for rows in length_batches(encoded.lengths):
            out = self(to_device(encoded.batch(rows), self.device), frozenset({"logits"}))
            total += float(
                F.cross_entropy(
                    out.logits.flatten(0, 1), out.targets.flatten(), ignore_index=IGNORED, reduction="sum"
                )
            )  # fmt: skip
        return total / int(encoded.targets.lengths.sum())


def shuffled(encoded: Paired) -> Paired:
    """Every source beside the target of its neighbour in the order of the targets' lengths."""
    order = np.argsort(encoded.targets.lengths, kind="stable")
    other = np.empty_like(order)
    other[order] = np.roll(order, 1)
    return Paired(encoded.source, encoded.targets[other])
