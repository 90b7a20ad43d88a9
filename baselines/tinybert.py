"""TinyBERT's task distillation: first what the layers compute, then what the teacher gives out.

    stage 1   L = sum_{m=0..S} mse(W h_S^m, h_T^{g(m)}) + sum_{m=1..S} mse(a_S^m, a_T^{g(m)})      g(m) = floor(m T / S)
    stage 2   L = mean over B and C of -softmax(z_T) log softmax(z_S)          (squared error of a regression)

h^0 is the embedding output, a are attention scores before the softmax (B, H, L, L), 0 where the key is padding; means
are over all entries, padding among them, as in the official code. That pads to the maximal length, where more of the
attention's entries are 0, so attention weighs 2 to 5 times less there beside the hidden states than over a batch that
is padded to its longest text; `replicate=true` gives it the official weight. W: one Linear for the embedding and all
layers, thrown away. Both stages use no labels.

Jiao et al., Findings of EMNLP 2020, arXiv:1909.10351; official code huawei-noah/Pretrained-Language-Model, TinyBERT.
The paper starts from a student distilled on general text (`--set bert.init=FOLDER`, as of
huawei-noah/TinyBERT_General_4L_312D) and trains on augmented data (`--set augment=FOLDER` of a masked language model,
see _augmentation.py); without them this is its task distillation alone, which the paper's ablation puts 3 and 7 points
lower. Deviations: the official code never switches the teacher's dropout off (`replicate=true` leaves it
on); it regresses STS-B to the gold label where its authors say the paper used the teacher's, as here. Needs from the
teacher: hidden states and attention scores in every step, and as many heads as the student.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch.nn.functional as F
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from bench.errors import RequestError
from bench.inputs import Batch, Examples
from bench.losses import aligned, tail
from bench.method import Losses, Method, Run, Stage
from bench.networks import places
from bench.signals import Signals


class Tinybert(Method):
    """Embedding, hidden states and attention of all layers, then soft targets."""

    title = "TinyBERT (task distillation)"
    citation = "Jiao et al. Findings of EMNLP 2020, arXiv:1909.10351"
    needs = frozenset({"logits", "hidden", "attention_scores"})

    @dataclass(frozen=True)
    class Settings:
        share: PositiveFloat = 0.75  # of the updates in stage 1; 10 to 20 of 13 to 23 epochs in the paper
        temperature: PositiveFloat = 1.0
        augment: str = ""  # folder of a masked language model that makes more text; empty: the task's own alone
        copies: PositiveInt = 20  # variants of a text, N_a in the paper
        replicate: bool = False  # the official code's teacher, whose dropout is on, and weight of attention
        lr: PositiveFloat | None = None  # stage 1, constant; none: the architecture's; paper 5e-5
        prediction_lr: PositiveFloat | None = None  # stage 2; none: as stage 1; paper 1e-5 to 3e-5

    @staticmethod
    def content(settings: Settings) -> str:
        if not settings.augment:
            return ""
        places.check(Path(settings.augment))
        return places.content_key(Path(settings.augment))

    def __init__(self, settings: Settings, run: Run) -> None:
        super().__init__(settings, run)
        s, t = run.student_shape, run.teacher_shape
        if s.heads != t.heads or not s.layers or s.layers > t.layers:
            raise RequestError(
                f"tinybert matches heads and layers: the teacher has {t.layers} layers of {t.heads} heads, the student "
                f"{s.layers} of {s.heads}; take as many heads, as in bert:4x312x{t.heads}"
            )
        self.project = nn.Linear(s.hidden[-1], t.hidden[-1])

    def stages(self) -> Iterable[Stage]:
        s = self.settings
        data = self.augmented() if s.augment else "distil"
        inner, outer = self.recipe(schedule="constant"), self.recipe(schedule="linear", lr=s.prediction_lr or s.lr)
        first, second = tail(self.run.track.updates, s.share)
        layers = {"hidden", "attention_scores"}
        yield self.stage(
            "intermediate", self.layers, data=data, needs=layers, wants=layers, updates=first, optimiser=inner,
            noisy=s.replicate, keep="last", reads_padding=True,
        )  # fmt: skip
        yield self.stage(
            "prediction",
            self.prediction,
            data=data,
            needs={"logits"},
            updates=second,
            optimiser=outer,
            noisy=s.replicate,
        )

    def augmented(self) -> Examples:
        from bench.baselines._augmentation import augment

        return augment(self.run.task.examples("distil"), self.settings.augment, self.settings.copies, self.run.seed)

    def layers(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        aligned(student, teacher)
        mine, all_ = len(student.attention_scores), len(teacher.attention_scores)
        length = student.attention_scores[0].shape[-1]
        weight = length / self.run.track.max_length if self.settings.replicate else 1.0  # further columns hold 0 alone
        hidden = [F.mse_loss(self.project(h), teacher.hidden[m * all_ // mine]) for m, h in enumerate(student.hidden)]
        attention = [
            F.mse_loss(a, teacher.attention_scores[(m + 1) * all_ // mine - 1])
            for m, a in enumerate(student.attention_scores)
        ]
        return {"hidden": sum(hidden, start=zero(hidden)), "attention": weight * sum(attention, start=zero(attention))}

    def prediction(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        ours, theirs = self.goal.pair(student, teacher, batch)
        if self.goal.distributions:
            return {"soft": soft_cross_entropy(ours, theirs, self.settings.temperature)}
        return {"soft": self.goal.match(ours, theirs)}


def zero(losses: list[Tensor]) -> Tensor:
    return losses[0].new_zeros(())


def soft_cross_entropy(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """mean over B and C of -softmax(z_T / t) log softmax(z_S / t): 1/C of the usual."""
    target = (teacher / temperature).softmax(-1)
    return -(target * (student / temperature).log_softmax(-1)).mean()
