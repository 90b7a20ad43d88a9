"""PANDA: a prompt that starts at random learns from the prompt of another task, which was adapted to this one.

    L = CE(y, z_S) + weight beta mean over B and C of (z_S - sg(z_T))^2

The teacher is the `prompt_transfer` run of the source on this task, its head included, on the same frozen encoder. beta
is the predicted transferability: the cosine of the two tasks' embeddings, at least 0 (`baselines/_transferability.py`),
or a number of your own. beta = 0 is prompt tuning from a random start. Each record notes both cosines where it needed
them. A PANDA run needs three others: the source's and the target's own prompt tuning, and the transfer.

Zhong, Ding, Liu, Du, Tao. IEEE TKDE 2024, arXiv:2208.10160. Official code, WHU-ZQH/PANDA (5efc6dc): `weight` is its
0.1; beta is a number there, 0.1, the mean is divided by B once more, and the teacher's dropout is on: `replicate` does
these three.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import NonNegativeFloat, PositiveFloat

from bench.baselines._transferability import transferability
from bench.inputs import Batch
from bench.method import Losses, Method, Run, Stage, Wanted
from bench.signals import Signals

OFFICIAL = 0.1  # beta of the official code


class Panda(Method):
    """Distillation from a transferred prompt, as strong as the transfer is promising."""

    title = "PANDA, prompt transfer with distillation"
    citation = "Zhong et al. IEEE TKDE 2024, arXiv:2208.10160"
    needs = frozenset({"logits"})
    wants = frozenset({"prompt"})
    transfers = "prompt_tuning"
    sources = {  # of its 21; spans (SQuAD) and tags (CoNLL03 to 12, OntoNotes) are not among them
        "BoolQ": "superglue/boolq", "CB": "superglue/cb", "RTE": "superglue/rte", "WiC": "superglue/wic",
        "WSC": "superglue/wsc", "COPA": "superglue/copa", "MultiRC": "superglue/multirc", "ReCoRD": "superglue/record",
        "MNLI": "glue/mnli", "CoLA": "glue/cola", "SST-2": "glue/sst2", "QNLI": "glue/qnli", "MRPC": "glue/mrpc",
        "STS-B": "glue/stsb", "QQP": "glue/qqp",
    }  # fmt: skip
    targets = ("CB", "COPA", "WSC", "RTE", "WiC", "CoLA", "MRPC", "STS-B")  # of its 9, without CoNLL04

    @dataclass(frozen=True)
    class Settings:
        source: str = "glue/sst2"  # as of prompt_transfer
        beta: NonNegativeFloat | None = None  # none: the predicted transferability
        predicted: Literal["task", "mean"] = "task"  # by task embeddings, or by mean prompts (E_avg)
        weight: NonNegativeFloat = 0.1  # of the official code
        replicate: bool = False  # its beta, division and dropout
        lr: PositiveFloat | None = None  # none: the student's, 1e-2; the paper has 7e-3 here in its example

        @property
        def predicts(self) -> bool:
            return self.beta is None and not self.replicate

    def __init__(self, settings: Settings, run: Run) -> None:
        super().__init__(settings, run)
        self.beta = OFFICIAL if settings.beta is None else settings.beta
        if settings.predicts:
            assert run.opened is not None  # the protocol gives it
            found = transferability(run, run.opened("source"), run.opened("target"))
            self.notes = {f"transferability, {name}": value for name, value in found.items()}
            self.beta = min(1.0, max(0.0, found[settings.predicted]))

    @staticmethod
    def wanted(settings: Any) -> Sequence[Wanted]:
        taught = Wanted("transferred", method="prompt_transfer", settings={"source": settings.source})
        if not settings.predicts:
            return [taught]
        source = Wanted("source", method="prompt_tuning", task=settings.source)
        return [source, Wanted("target", method="prompt_tuning"), taught]

    def stages(self) -> Iterable[Stage]:
        noisy = self.settings.replicate
        yield self.stage(
            "panda", self.loss, data="supervised", needs=self.needs, teacher="transferred", noisy=noisy
        )  # fmt: skip

    def loss(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        ours, theirs = self.goal.pair(student, teacher, batch)
        weight = self.settings.weight * self.beta / (len(ours) if self.settings.replicate else 1)
        soft = (ours - theirs).square().mean()
        return {"hard": self.goal.loss(student, batch), "soft": weight * soft}
