"""No distillation: the student learns the task's own supervised objective, without a teacher.

    L = CE(y, z) for classification; for sentence embeddings the contrastive loss on NLI triplets, or on pairs that
    differ by dropout where a track has no triplets (Gao et al. 2021, https://arxiv.org/abs/2104.08821); for ranking
    the same over hard negatives and the batch's other candidates (Karpukhin et al. 2020, arXiv:2004.04906)

The zero line of every comparison: same student initialisation, same number of updates, no teacher signal.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import PositiveFloat

from bench.inputs import Batch
from bench.method import Losses, Method, Run, Stage
from bench.optimiser import Optimiser
from bench.signals import Signals


class Finetune(Method):
    """The supervised stage alone."""

    title = "Fine-tuning without a teacher"
    citation = "Gao, Yao, Chen. SimCSE. EMNLP 2021 (for sentence embeddings)"

    recipes = {"embed": Optimiser(lr=5e-5)}  # official code of DisCo, NLI

    @dataclass(frozen=True)
    class Settings:
        lr: PositiveFloat | None = None  # none: the recipe's

    def __init__(self, settings: Settings, run: Run) -> None:
        super().__init__(settings, run)
        self.objective = run.task.objective()

    def stages(self) -> Iterable[Stage]:
        yield self.stage("supervised", self.supervised, data="supervised")

    def supervised(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        return self.objective(student, batch)
