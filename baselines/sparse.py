"""Sparse Distillation: a large table of n-grams learns the teacher's distribution, then the labels.

    stage 1   L = mean_b KL(softmax(z_T) || softmax(z_S))       on the task's texts and unlabelled ones; no labels
    stage 2   L = CE(y, z_S)                                    on the task's training set

Ye, Khabsa, Lewis, Wang, Ren, Jaech, NAACL 2022, arXiv:2110.08536; official code INK-USC/sparse-distillation. Written
for students such as `dan`, whose tables have sparse gradients; any other works too. Unlabelled text is a file, or a
folder of *.txt files, with a text in each line, or two with a tab between them where the task has pairs; where inputs
are sentences cut into words, white space cuts a line (`--set sparse.corpus=PATH`, and `--set dan.corpus=PATH` for its
n-grams). Of it and the task's texts stage 1 draws as many as it reads, the same ones for every seed, so that the
teacher reads them once; no more is held in memory. The paper has 37 to 418 million of them, and 1,000,000 updates of
2,048 texts; without a corpus stage 1 reads the task's texts alone.

Temperature and weight are 1: the official code's temperature is not in its student's softmax, so that it works at 1
alone. Its weights for rare classes (`--use-focal`) are off there and absent here. A value has the squared error in the
place of both losses. Both stages together make the track's updates, so that the method gets those of every other.
Needs from the teacher: its logits, computed once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt

from bench.data.lines import Lines
from bench.errors import RequestError
from bench.inputs import Batch, Examples, Texts, single, texts
from bench.losses import tail
from bench.method import Losses, Method, Run, Stage
from bench.signals import Signals
from bench.sources import DataError
from bench.task import later

WARMUP = 0.06  # of stage 1: 60,000 of 1,000,000 updates
DRAWN = 4  # seed of the texts of stage 1: one for all runs


class Sparse(Method):
    """Soft targets on unlabelled text, then fine-tuning."""

    title = "Sparse Distillation"
    citation = "Ye, Khabsa, Lewis, Wang, Ren, Jaech. NAACL 2022, arXiv:2110.08536"
    needs = frozenset({"logits"})
    brings = {"corpus": ""}

    @dataclass(frozen=True)
    class Settings:
        corpus: str = ""  # file or folder of unlabelled text; empty: the task's texts alone
        # texts of the corpus beside all of the task's, in multiples of these, which Nityasya et al. 2022
        # (arXiv:2201.00558) compare; none: of both together as many as stage 1 reads
        times: PositiveFloat | None = later(None)
        tune: bool = True  # the paper's KD+FT; false: its KD, one stage
        share: Annotated[float, Field(gt=0, lt=1)] = 0.75  # of the updates in stage 1, where there are two; our choice
        kd_batch: PositiveInt | None = None  # of stage 1; none: the track's; paper 2,048
        lr: PositiveFloat | None = None  # of stage 1; none: the architecture's, of `dan` the paper's 5e-4
        tune_lr: PositiveFloat | None = None  # of stage 2; none: as stage 1; paper 3e-4, 1e-4 or 3e-5 by dev

    def __init__(self, settings: Settings, run: Run) -> None:
        """RequestError: `times` asks for more texts than the corpus has, before any is read."""
        super().__init__(settings, run)
        if settings.times and not settings.corpus:
            raise RequestError("sparse.times counts texts of a corpus: give one with sparse.corpus=PATH")
        if settings.times is None:
            return
        self.more = max(1, round(settings.times * len(run.task.examples("distil").inputs)))
        if self.more > (there := len(Lines(settings.corpus))):
            raise DataError(
                f"{settings.corpus} has {there} texts, and sparse.times={settings.times:g} asks for {self.more}"
            )

    @staticmethod
    def content(settings: Settings) -> str:
        return Lines(settings.corpus).digest if settings.corpus else ""

    def stages(self) -> Iterable[Stage]:
        s, track = self.settings, self.run.track
        first, second = tail(track.updates, s.share) if s.tune else (track.updates, 0)
        size = s.kd_batch or track.batch_size
        data = self.drawn(first * size) if s.corpus else self.run.task.examples("distil")
        slow = self.recipe(schedule="linear", warmup=WARMUP * first * size / len(data))
        stage = self.stage("kd", self.soft, data=data, needs=self.needs, updates=first, optimiser=slow)
        yield replace(stage, batch_size=size)
        if s.tune:
            fast = self.recipe(schedule="linear", lr=s.tune_lr or s.lr)
            yield self.stage("finetune", self.labels, data="supervised", updates=second, optimiser=fast)

    def drawn(self, most: int) -> Examples:
        """The task's texts and those of the corpus, or `most` of both together, or all and `times` as many."""
        own, lines = texts(self.run.task.examples("distil").inputs), Lines(self.settings.corpus)
        rng, there = np.random.default_rng(DRAWN), len(own) + len(lines)
        if self.settings.times is not None:
            ours, theirs = np.arange(len(own)), np.sort(rng.choice(len(lines), self.more, replace=False))
        else:
            rows = np.sort(rng.choice(there, min(most, there), replace=False))
            ours, theirs = rows[rows < len(own)], rows[rows >= len(own)] - len(own)
        return single(own.take(ours) + columns([lines[n] for n in theirs], own, self.settings.corpus))

    def soft(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        return {"soft": self.goal.match(*self.goal.pair(student, teacher, batch))}

    def labels(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        return {"hard": self.goal.loss(student, batch)}


def columns(lines: list[str], like: Texts, place: str) -> Texts:
    """Lines as inputs like these. DataError: one that holds more or fewer texts, with a tab between them."""
    count = len(like.columns)
    rows = [line.split("\t") for line in lines] if count > 1 else [[line] for line in lines]
    wrong = next((line for line, row in zip(lines, rows, strict=True) if len(row) != count), None)
    if wrong is not None:
        raise DataError(f"{place}: inputs are {count} texts with a tab between them, and a line is {wrong[:60]!r}")
    cut = (lambda text: tuple(text.split())) if like.split else str
    return type(like)(*([cut(row[at]) for row in rows] for at in range(count)))
