"""A weighted ensemble of teaching assistants, its weights found by differential evolution on dev. A reconstruction.

    w   = argmax over [0, 1]^K of the dev score of sum_k w_k softmax(z_k), w divided by its sum; among equal scores the
          lower negative log-likelihood, as the score moves in steps of an example
    p_E = sum_k w_k softmax(z_k / tau)
    L   = (1 - lambda) CE(y, z_S) + lambda tau^2 mean_b KL(p_E || softmax(z_S / tau))

Of the paper (Ganta, Das Gupta, Sheng, ICKG 2021, arXiv:2206.12005) only the abstract could be read: several assistants
of intermediate size, weighted by differential evolution, teach the student. Losses, sizes, tau, lambda and the
settings of the search are ours, after TAKD's; no row of this method is the authors'. Each assistant is a `kd` run of
the teacher with a record of its own. Needs from the assistants: logits. Dev, never test, chooses the weights; the time
of the search is not in the run's. One assistant is TAKD.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor

from bench.errors import RequestError
from bench.inputs import Batch
from bench.method import Losses, Method, Run, Stage, Wanted, Weight
from bench.signals import Signals

TIE = 1e-6  # how much the likelihood may move the score: less than one example of dev


class TaEnsemble(Method):
    """KD from a weighted mean of assistants' probabilities: a reconstruction from the paper's abstract."""

    title = "Weighted ensemble of teaching assistants (reconstruction from the abstract)"
    citation = "after Ganta, Das Gupta, Sheng. ICKG 2021, arXiv:2206.12005"
    needs = frozenset({"logits"})
    kinds = frozenset({"classify"})
    version = 2  # ties are broken

    @dataclass(frozen=True)
    class Settings:
        assistants: tuple[str, ...] = ("resnet:14", "plain:6")  # our choice, between resnet:20 and resnet:8
        weight: Weight = 0.5  # lambda; of the Annealing-KD fork of TAKD's code
        temperature: PositiveFloat = 5.0  # the same
        generations: PositiveInt = 1000  # scipy's default; the search ends earlier where it has converged
        lr: PositiveFloat | None = None  # none: the architecture's

        def __post_init__(self) -> None:
            if not self.assistants:
                raise RequestError(
                    'ta_ensemble needs assistants: --set ta_ensemble.assistants=\'["resnet:14","plain:6"]\''
                )

    weights: Tensor  # (K,), summing to 1

    def __init__(self, settings: Settings, run: Run) -> None:
        super().__init__(settings, run)
        self.register_buffer("weights", torch.zeros(len(settings.assistants)))  # 0 until they are chosen

    @staticmethod
    def wanted(settings: Any) -> Sequence[Wanted]:
        return [Wanted(f"assistant {n}", student) for n, student in enumerate(settings.assistants)]

    def stages(self) -> Iterable[Stage]:
        s, names = self.settings, [wanted.name for wanted in self.wanted(self.settings)]
        if not self.weights.any():
            outputs = [probabilities(self.run.dev_outputs(name)) for name in names]
            self.weights.copy_(torch.from_numpy(best_weights(outputs, self.judge, s.generations, self.run.seed)))
        yield self.stage("ensemble", self.soft_targets, needs=self.needs, teacher=names)

    def judge(self, p: np.ndarray) -> float:
        """The dev score of probabilities (N, C), less a trace of their negative log-likelihood."""
        chances = p[np.arange(len(p)), self.run.task.answers()]
        nll = float(-np.log(np.maximum(chances, 1e-30)).mean())
        return self.run.dev_score(p) - TIE * nll / (1 + nll)

    def soft_targets(self, student: Signals, teachers: Sequence[Signals], batch: Batch) -> Losses:
        s, logits = self.settings, [t.logits for t in teachers]
        return {
            "hard": (1 - s.weight) * self.goal.loss(student, batch),
            "soft": s.weight * ensemble_divergence(student.logits, logits, self.weights, s.temperature),
        }


def ensemble_divergence(student: Tensor, teachers: Sequence[Tensor], weights: Tensor, temperature: float) -> Tensor:
    """tau^2 mean_b KL(sum_k w_k softmax(z_k / tau) || softmax(z_S / tau)), (B, C); weights (K,) sum to 1."""
    p = sum(w * (z.detach() / temperature).softmax(-1) for w, z in zip(weights, teachers, strict=True))
    log_q = (student / temperature).log_softmax(-1)
    return temperature**2 * (torch.special.xlogy(p, p) - p * log_q).sum(-1).mean()


def best_weights(outputs: Sequence[np.ndarray], score: Any, generations: int, seed: int) -> np.ndarray:
    """The weights (K,), summing to 1, whose mean of probabilities (N, C) scores highest on dev.

    Single assistants and equal weights are among those tried, so the choice is at least as good as each of them.
    """
    from scipy.optimize import differential_evolution

    k, stacked = len(outputs), np.stack(outputs)
    rng = np.random.default_rng(seed)
    start = np.concatenate([np.full((1, k), 0.5), np.eye(k), rng.random((15 * k, k))])

    def loss(w: np.ndarray) -> float:
        return -float(score(np.tensordot(normal(w), stacked, 1)))

    found = differential_evolution(
        loss, [(0.0, 1.0)] * k, maxiter=generations, tol=1e-7, init=start, rng=rng, polish=False
    )
    return normal(found.x)


def normal(w: np.ndarray) -> np.ndarray:
    """w over its sum; equal weights where all are 0."""
    return w / w.sum() if w.sum() > 0 else np.full(len(w), 1 / len(w))


def probabilities(logits: np.ndarray) -> np.ndarray:
    from scipy.special import softmax

    found: np.ndarray = softmax(np.asarray(logits, np.float64), axis=-1)
    return found
