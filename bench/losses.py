"""Losses that more than one plug-in uses. Each returns named scalars."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.errors import RequestError
from bench.inputs import Batch
from bench.signals import MASKS, Signals


def unit(x: Tensor) -> Tensor:
    """Rows divided by their length; a zero row stays zero."""
    return F.normalize(x, dim=-1, eps=1e-8)


class Contrast(nn.Module):
    """Supervised contrastive loss over pairs or triplets (Gao et al. 2021, SimCSE; stage 2 of DisCo).

    logits_ij = beta * cos(h_i, c_j), c = [positives ; hard negatives], target j = i, loss = CE. `beta` is learnable
    from 20 and enters linearly, not as an exponent (as in the official code of DisCo). Pairs made of the same text
    twice differ by dropout alone: the unsupervised form.
    """

    def __init__(self, scale: float = 20.0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, student: Signals, batch: Batch) -> dict[str, Tensor]:
        """Named loss of embeddings (K*B, D), K = 2 (anchor, positive) or 3 (and negative)."""
        anchors, *candidates = batch.split(student.embedding)
        logits = self.scale * unit(anchors) @ unit(torch.cat(candidates)).T
        return {"contrastive": F.cross_entropy(logits, torch.arange(len(anchors), device=logits.device))}


def soft_divergence(student: Tensor, teacher: Tensor, temperature: float = 1.0) -> Tensor:
    """tau^2 mean_b KL(softmax(z_T / tau) || softmax(z_S / tau)), logits (B, C): Hinton et al. 2015, batch mean."""
    p = F.log_softmax(teacher.detach() / temperature, -1)
    q = F.log_softmax(student / temperature, -1)
    return temperature**2 * F.kl_div(q, p, reduction="batchmean", log_target=True)


def mean_square(student: Tensor, teacher: Tensor, real: Tensor | None = None) -> Tensor:
    """mean (z_S - z_T)^2 over all entries, (N, C) each, or over those that are `real`."""
    if real is None:
        return F.mse_loss(student, teacher)
    return (student - teacher).square().masked_fill(~real, 0).sum() / real.sum().clamp(min=1)


def aligned(student: Signals, teacher: Signals) -> Tensor:
    """(B, L) float mask of the tokens that both read. RequestError: the two read an input as different tokens."""
    ours, theirs = real(student), real(teacher)
    if ours.shape != theirs.shape:
        raise RequestError("teacher and student cut texts into different tokens: their token vectors cannot be matched")
    return ours.to(torch.float32)


def real(signals: Signals) -> Tensor:
    """(B, L) 1 on real tokens; of an image, which has no mask, on all its patches."""
    if MASKS["L"] in signals:
        found: Tensor = signals[MASKS["L"]]
        return found
    name = next(n for n in ("hidden", "queries", "attention_scores") if n in signals)
    tokens = signals[name][-1] if name == "hidden" else signals[name][-1][:, 0]
    return torch.ones(tokens.shape[:2], device=tokens.device)


def tail(updates: int, share: float) -> tuple[int, int]:
    """(first, second) stage of a method that spends this share of its updates in the first; each has one at least."""
    first = min(max(1, round(updates * share)), max(1, updates - 1))
    return first, max(1, updates - first)


def annealed(progress: float, t_max: int) -> float:
    """phi(T) = 1 - (T - 1) / T_max as T falls from T_max to 1 in equal parts of a stage: 1 / T_max, 2 / T_max ... 1.

    Annealing-KD (arXiv:2104.07163) and Continuation-KD (arXiv:2212.05998); `progress` is the share that is done.
    """
    temperature = t_max - min(t_max - 1, int(progress * t_max + 1e-9))  # 0.3 x 10 is a little less than 3
    return 1 - (temperature - 1) / t_max
