"""TinyBioBERT: a small masked language model that copies layers, attention and guesses at once, then fine-tuned.

    L = sum_l L_att + sum_l L_hid + L_out
    L_att = mse(P_S^l, P_T^{g(l)})          l = 1..S     attention after the softmax, (B, H, L, L), over all entries
    L_hid = mse(W h_S^l + b, h_T^{g(l)})    l = 0..S     0: embedding output; one W for all layers, thrown away
    L_out = mean -softmax(z_T) log softmax(z_S)          over the hidden pieces

g(l) = floor(l T / S): of 4 and 12 layers attention of 3, 6, 9 and 12. One stage, no labels; means are over padding too,
as in the official code. `tinybert`, the task method, matches scores before the softmax instead, in two stages.

Rohanian et al. 2023, Bioinformatics 39(3), arXiv:2209.03182; official code
nlpie-research/Compact-Biomedical-Transformers, in whose training the teacher's dropout is on, and both attentions are
read behind their dropout (`replicate=true`, with draws of our own). The student starts at random there, with 4 layers,
312 wide: `--student bert:4x312x12x1200`; one of the teacher's width starts from its layers unless
`--set bert.init=random`. Needs as many heads as the teacher. Their own weights are a start like any other:
`--method finetune --student bert:4 --set bert.init=nlpie/tiny-biobert` (the name is unverified).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.baselines._pretrained import Pretrained, alike
from bench.inputs import Batch
from bench.losses import aligned, real
from bench.method import Losses, Run
from bench.signals import Signals

DROPPED = 0.1  # of attention, in BERT's and the official student's configuration


class Tinybiobert(Pretrained):
    """Attention, hidden states and soft guesses on a corpus, then the task's labels."""

    title = "TinyBioBERT (corpus, then fine-tuning)"
    citation = "Rohanian et al. Bioinformatics 39(3), 2023, arXiv:2209.03182"
    needs = frozenset({"logits", "hidden", "attention_scores"})
    kinds = frozenset({"mask", "tag", "classify", "aspects", "regress", "span"})
    warmup, decay, reads_padding = 0.1, 1e-4, True

    def begin(self, run: Run) -> None:
        alike(run, "tinybiobert", width=False, heads=True)
        self.project = nn.Linear(run.student_shape.hidden[-1], run.teacher_shape.hidden[-1])

    def losses(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        aligned(student, teacher)
        ours, theirs = (attention(side, self.settings.replicate) for side in (student, teacher))
        few, all_ = len(ours), len(theirs)
        return {
            "attention": total(F.mse_loss(p, theirs[(m + 1) * all_ // few - 1]) for m, p in enumerate(ours)),
            "hidden": total(
                F.mse_loss(self.project(h), teacher.hidden[m * all_ // few]) for m, h in enumerate(student.hidden)
            ),
            "soft": guesses(*self.goal.pair(student, teacher, batch))
            if self.goal.distributions
            else self.values(student, teacher, batch),
        }

    def values(self, student: Signals, teacher: Signals, batch: Batch) -> Tensor:
        """Of a regression, which has no distribution."""
        return self.goal.match(*self.goal.pair(student, teacher, batch))


def total(losses: object) -> Tensor:
    return torch.stack(list(losses)).sum()  # type: ignore[call-overload]


def attention(side: Signals, dropped: bool = False) -> list[Tensor]:
    """(B, H, L, L) a layer: the softmax over real keys."""
    padding = real(side)[:, None, None, :] == 0
    found = [scores.masked_fill(padding, -torch.inf).softmax(-1) for scores in side.attention_scores]
    return [F.dropout(p, DROPPED) for p in found] if dropped else found


def guesses(student: Tensor, teacher: Tensor) -> Tensor:
    """mean over places of -sum softmax(z_T) log softmax(z_S), (N, C) both."""
    return -(teacher.softmax(-1) * student.log_softmax(-1)).sum(-1).mean()
