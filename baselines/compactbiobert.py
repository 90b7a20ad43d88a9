"""CompactBioBERT: DistilBERT's and TinyBERT's losses together on biomedical text, then fine-tuned.

    L = 1 L_mlm + 3 (L_att + L_hid) + 5 L_out                          tau = 1
    L_att = sum_l mean P_T log(P_T / P_S), P + 1e-12                   l = 1..S, rows of real queries, (N H, L)
    L_hid = sum_l mean (1 - cos(h_S^l, h_T^{g(l)}))                    l = 1..S, over real tokens
    L_out = mean KL(softmax(z_T) || softmax(z_S))                      over the hidden pieces
    L_mlm = CE(y, z_S)                                                 over the hidden pieces

g(l) = floor(l T / S): of 6 and 12 layers every second. The mean of L_att is over all N H L entries, keys among them, as
in the official code, so that term is small.

Rohanian et al. 2023, Bioinformatics 39(3), arXiv:2209.03182; official code
nlpie-research/Compact-Biomedical-Transformers. There the teacher's dropout is on, and both attentions are read behind
their dropout, where log(1e-12) stands for what was dropped (`replicate=true`, with draws of our own). The student
starts from the teacher's layers 1, 3 ... 11 of 12, as `bert` students do. Needs the teacher's width and heads.

Their own weights are a start like any other: `--method finetune --student bert:6 --set
bert.init=nlpie/compact-biobert` (the name is unverified).
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor

from bench.baselines._pretrained import Pretrained, alike
from bench.baselines.distilbert import direction
from bench.baselines.tinybiobert import attention, total
from bench.inputs import Batch
from bench.losses import aligned
from bench.method import Losses, Run
from bench.signals import Signals

TINY = 1e-12  # under the logarithm


class Compactbiobert(Pretrained):
    """Labels, attention, hidden states and soft guesses on a corpus, then the task's labels."""

    title = "CompactBioBERT (corpus, then fine-tuning)"
    citation = "Rohanian et al. Bioinformatics 39(3), 2023, arXiv:2209.03182"
    needs = frozenset({"logits", "hidden", "attention_scores"})
    kinds = frozenset({"mask", "tag", "classify", "aspects", "regress", "span"})
    decay = 1e-4

    @dataclass(frozen=True)
    class Settings(Pretrained.Settings):
        hard: NonNegativeFloat = 1.0
        layers: NonNegativeFloat = 3.0
        soft: NonNegativeFloat = 5.0
        temperature: PositiveFloat = 1.0

    def begin(self, run: Run) -> None:
        alike(run, "compactbiobert", width=True, heads=True)

    def losses(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        s, mask = self.settings, aligned(student, teacher)
        ours, theirs = (attention(side, s.replicate) for side in (student, teacher))
        few, all_ = len(ours), len(theirs)
        above = [(m + 1) * all_ // few for m in range(few)]  # layers of the teacher, from 1 on
        return {
            "hard": s.hard * self.goal.loss(student, batch),
            "attention": s.layers * total(divergence(p, theirs[t - 1], mask) for p, t in zip(ours, above, strict=True)),
            "hidden": s.layers
            * total(direction(h, teacher.hidden[t], mask) for h, t in zip(student.hidden[1:], above, strict=True)),
            "soft": s.soft * self.goal.match(*self.goal.pair(student, teacher, batch), s.temperature),
        }


def divergence(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """Of attention (B, H, L, L), over all entries of the rows of real queries, mask (B, L)."""
    rows = mask.bool()
    ours, theirs = (p.transpose(1, 2)[rows] + TINY for p in (student, teacher))  # (N, H, L)
    return (theirs * (theirs.log() - ours.log())).mean()
