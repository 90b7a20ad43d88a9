"""Prompt tuning: a frozen encoder, of which a prompt and the task's head learn the task from its labels alone.

    L = CE(y, z), or the loss of the task's kind; the encoder's weights stay what they are

The prompt is the student's: vectors before the input (Lester, Al-Rfou, Constant. EMNLP 2021, arXiv:2104.08691), or keys
and values in every layer (Li & Liang 2021, arXiv:2101.00190; Liu et al. P-tuning v2. ACL 2022, arXiv:2110.07602). It is
`finetune` of a student that has one; here under its own name, as the source of prompts that other tasks begin with.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import PositiveFloat

from bench.inputs import Batch
from bench.method import Losses, Method, Stage
from bench.signals import Signals


class PromptTuning(Method):
    """A prompt and a head on a frozen encoder, from labels alone."""

    title = "Prompt tuning"
    citation = "Lester, Al-Rfou, Constant. EMNLP 2021, arXiv:2104.08691; Liu et al. ACL 2022, arXiv:2110.07602"
    wants = frozenset({"prompt", "logits"})

    @dataclass(frozen=True)
    class Settings:
        lr: PositiveFloat | None = None  # none: the student's

    def stages(self) -> Iterable[Stage]:
        yield self.stage("prompt", self.supervised, data="supervised")

    def supervised(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        return {"supervised": self.goal.loss(student, batch)}
