"""What methods share that distil a masked language model on a corpus first, and fine-tune what comes out on the task.

The first is a run of its own on the task that `corpus` names, with its record, its own teacher and the same method; all
seeds of the second start from that one run, as papers fine-tune one published checkpoint, and its cost is part of
theirs. Whatever both networks have in common is taken over: embeddings and layers, not the head.

With `corpus=` (nothing) the method's losses are taken on the task at hand, which is how the first run is made.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from pydantic import PositiveFloat, PositiveInt

from bench.errors import RequestError
from bench.inputs import Batch
from bench.method import Losses, Method, Names, Run, Stage, Wanted
from bench.signals import Signals

OWN = ("corpus", "corpus_teacher", "corpus_updates", "lr")  # settings of the second run alone


class Pretrained(Method):
    """On the corpus `losses`; on the task its own objective, without a teacher."""

    warmup = 0.05  # a share of the stage on the corpus
    decay = 0.0  # of weights there
    reads_padding = False  # whether `losses` read tokens at padding

    @dataclass(frozen=True)
    class Settings:
        corpus: str = "mlm/biomed"  # the task of the run that comes first; empty: the losses are taken on this one
        corpus_teacher: str = ""  # its teacher; empty: the task's default. BioBERT v1.2 in the paper
        corpus_updates: PositiveInt | None = None  # in it; none: as its track says. 100,000 in the paper
        replicate: bool = False  # the official code's teacher, whose dropout is on
        corpus_lr: PositiveFloat = 5e-4  # the paper's, for batches of 192
        lr: PositiveFloat | None = None  # of fine-tuning; none: the architecture's; paper 5e-5

    @staticmethod
    def needed(settings: Any, names: Names) -> Names:
        """Fine-tuning asks no teacher."""
        return frozenset() if settings.corpus else names

    @classmethod
    def wanted(cls, settings: Any) -> Sequence[Wanted]:
        if not settings.corpus:
            return ()
        same = {f.name: getattr(settings, f.name) for f in fields(settings) if f.name not in OWN}
        name = cls.__module__.rpartition(".")[2]
        track = {"updates": settings.corpus_updates} if settings.corpus_updates else {}
        return [
            Wanted(
                "corpus", method=name, task=settings.corpus, settings={"corpus": "", **same}, use="starts", seed=0,
                model=settings.corpus_teacher, track=track,
            )
        ]  # fmt: skip

    def __init__(self, settings: Any, run: Run) -> None:
        super().__init__(settings, run)
        if settings.corpus:
            self.objective = run.task.objective()
        else:
            self.begin(run)

    def begin(self, run: Run) -> None:
        """Parts of the losses. RequestError: teacher and student do not fit."""

    @abstractmethod
    def losses(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        """Of a masked language model, or of whatever the task asks."""

    def stages(self) -> Iterable[Stage]:
        s = self.settings
        if s.corpus:
            yield self.stage("supervised", self.supervised, data="supervised")
            return
        recipe = self.recipe(lr=s.corpus_lr, warmup=self.warmup, weight_decay=self.decay, schedule="linear")
        wants = {"output", "hidden", "attention_scores"} & (self.needs | {"output"} | {"hidden"})
        yield self.stage(
            "distil", self.losses, needs=self.needs, wants=wants, optimiser=recipe, noisy=s.replicate,
            reads_padding=self.reads_padding,
        )  # fmt: skip

    def supervised(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        found: Losses = self.objective(student, batch)
        return found


def alike(run: Run, method: str, width: bool, heads: bool) -> None:
    """RequestError: teacher and student have other widths or numbers of heads, or the student has more layers."""
    s, t = run.student_shape, run.teacher_shape
    if (width and s.hidden[-1:] != t.hidden[-1:]) or (heads and s.heads != t.heads) or not 0 < s.layers <= t.layers:
        asked = " and ".join([*(["as wide"] if width else []), *(["with as many heads"] if heads else [])])
        raise RequestError(
            f"{method} matches layers: the student has to be {asked or 'no deeper'} as the teacher; teacher "
            f"{t.layers} layers, width {t.hidden[-1:]}, {t.heads} heads; student {s.layers}, {s.hidden[-1:]}, {s.heads}"
        )
