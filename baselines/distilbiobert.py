"""DistilBioBERT: a masked language model distilled with DistilBERT's losses on biomedical text, then fine-tuned.

    L = 2 L_mlm + 5 L_ce + 1 L_cos                                     tau = 2
    L_mlm = CE(y, z_S)                                                 over the hidden pieces
    L_ce  = tau^2 mean KL(softmax(z_T / tau) || softmax(z_S / tau))    over the hidden pieces
    L_cos = mean (1 - cos(h_S, h_T))                                   over real tokens, last hidden states

Rohanian et al. 2023, "On the effectiveness of compact biomedical transformers", Bioinformatics 39(3), arXiv:2209.03182;
official code nlpie-research/Compact-Biomedical-Transformers. There the student starts from the teacher's layers 0, 2, 4
... 10 of 12 (`--set bert.init=even`; ours starts as any student does), with a new head over the vocabulary where ours
copies the teacher's, and the teacher's dropout is on, which nobody switched off (`replicate=true`). 100,000 updates of
192 abstracts there; what was done here is in the record of the run that comes first. Their own weights are a start like
any other: `--method finetune --student bert:6 --set bert.init=nlpie/distil-biobert` (the name is unverified).
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import NonNegativeFloat, PositiveFloat

from bench.baselines._pretrained import Pretrained, alike
from bench.baselines.distilbert import direction
from bench.inputs import Batch
from bench.losses import aligned
from bench.method import Losses, Run
from bench.signals import Signals


class Distilbiobert(Pretrained):
    """DistilBERT's three losses on a corpus, then the task's labels."""

    title = "DistilBioBERT (corpus, then fine-tuning)"
    citation = "Rohanian et al. Bioinformatics 39(3), 2023, arXiv:2209.03182"
    needs = frozenset({"logits", "hidden"})
    kinds = frozenset({"mask", "tag", "classify", "aspects", "regress", "span"})

    @dataclass(frozen=True)
    class Settings(Pretrained.Settings):
        soft: NonNegativeFloat = 5.0
        hard: NonNegativeFloat = 2.0
        cosine: NonNegativeFloat = 1.0
        temperature: PositiveFloat = 2.0

    def begin(self, run: Run) -> None:
        alike(run, "distilbiobert", width=True, heads=False)

    def losses(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        s = self.settings
        return {
            "soft": s.soft * self.goal.match(*self.goal.pair(student, teacher, batch), s.temperature),
            "hard": s.hard * self.goal.loss(student, batch),
            "cosine": s.cosine * direction(student.hidden[-1], teacher.hidden[-1], aligned(student, teacher)),
        }
