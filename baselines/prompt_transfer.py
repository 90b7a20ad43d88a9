"""Vanilla prompt transfer (PoT, SPoT): prompt tuning that begins with the prompt of another task.

    p_0 = p_source, a new head; then L = CE(y, z), or the loss of the task's kind, of prompt and head

The source's prompt is the student of a `prompt_tuning` run of that task, with a record, shared by all that begin with
it. The head is never taken over: classes of two tasks are not the same, even where there are as many.

Vu et al. SPoT. ACL 2022, arXiv:2110.07904; as PANDA compares with it (Zhong et al., arXiv:2208.10160).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import PositiveFloat

from bench.inputs import Batch
from bench.method import Losses, Method, Stage, Wanted
from bench.signals import Signals


class PromptTransfer(Method):
    """Prompt tuning from the prompt of another task."""

    title = "Vanilla prompt transfer (PoT)"
    citation = "Vu et al. SPoT. ACL 2022, arXiv:2110.07904"
    wants = frozenset({"prompt", "logits"})
    transfers = "prompt_tuning"

    @dataclass(frozen=True)
    class Settings:
        source: str = (
            "glue/sst2"  # the task whose prompt it begins with; on average PANDA's best on BERT-large and -base
        )
        lr: PositiveFloat | None = None  # none: the student's

    @staticmethod
    def wanted(settings: Any) -> Sequence[Wanted]:
        return [Wanted("source", method="prompt_tuning", task=settings.source, use="starts", weights=("prompt",))]

    def stages(self) -> Iterable[Stage]:
        yield self.stage("prompt", self.supervised, data="supervised")

    def supervised(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        return {"supervised": self.goal.loss(student, batch)}
