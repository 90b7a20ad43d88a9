"""Continual pre-training: a masked language model goes on learning on a corpus, with no teacher, then is fine-tuned.

    L = L_mlm = CE(y, z_S)                                             over the hidden pieces

Rohanian et al. 2023, Bioinformatics 39(3), arXiv:2209.03182; official code
nlpie-research/Compact-Biomedical-Transformers. Their three models are three starts, `--set bert.init=` a folder or Hub
id: BioDistilBERT of `distilbert/distilbert-base-cased` or `-uncased` (`--student bert:6`), BioTinyBERT of
`huawei-noah/TinyBERT_General_4L_312D` (`bert:4`), BioMobileBERT of `google/mobilebert-uncased` (`bert:24`), each with
`--set continual.corpus_teacher=` the same: it knows the same pieces, and its row shows what going on brings. 200,000
updates of 192 abstracts there. With the start of any other student it is what distilling on the corpus is held against.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import PositiveFloat

from bench.baselines._pretrained import Pretrained
from bench.inputs import Batch
from bench.method import Losses
from bench.signals import Signals


class Continual(Pretrained):
    """Hidden pieces of a corpus, then the task's labels."""

    title = "Continual pre-training (corpus, then fine-tuning)"
    citation = "Rohanian et al. Bioinformatics 39(3), 2023, arXiv:2209.03182"
    kinds = frozenset({"mask", "tag", "classify", "aspects", "regress", "span"})
    decay = 0.01

    @dataclass(frozen=True)
    class Settings(Pretrained.Settings):
        corpus_lr: PositiveFloat = 1e-4  # the paper's, for batches of 192

    def losses(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        return {"hard": self.goal.loss(student, batch)}
