"""Knowledge distillation of language models revisited: any knowledge, from any layers, beside soft targets and labels.

    L = w_kd kd(z_S / T, z_T / T) + w_hl CE(y, z_S) + sum over matches m of m(W_m F_S^i, sg F_T^t)

`--set match=gap:hidden_mse,last1:attention_mse_sum` names the matches, each `layers:knowledge`. Layers (t of T teacher,
i of S student, from 0): first (i, i); last (i + T - S, i); gap (floor((i + 1) T / S) - 1, i); first2 and last2, only
that many. Knowledge, each a mean over real tokens alone, A = softmax of attention scores, H hidden states:

    hidden_mse          (H_S - H_T)^2, and once of the embeddings          cos   1 - cos(H_S, H_T), token by token
    attention_mse       (A_S - A_T)^2, head by head       attention_mse_sum      the same of the sums over heads
    attention_ce        -A_T log A_S, head by head        attention_ce_mean      the same of the means over heads
    query_relation, key_relation, value_relation   KL of softmax(X X^T / sqrt(d)) as in MiniLM; heads are joined where
                        their numbers differ              qkv_relation           all three
    pkd                 |h_S / |h_S| - h_T / |h_T||^2 of the first token, mean over texts
    gram                (H^T H / L)^2 difference, (D, D)  mmd                    (H H^T / D)^2 difference, (L, L)

W_m: a Linear of its own for each match where widths differ, from N(0, 0.02); attention, relations and mmd need none.
kd: ce, -softmax(z_T / T) . log softmax(z_S / T); kl, less its entropy; mse; none of them times T^2.

Lu et al., arXiv:2206.14366; released code OFA-Sys/OFA-Compress, whose settings are for a vision-language model. The
grids of the paper's BERT runs are not published, so this is its space of choices and no reproduction. Deviations: the
code's last{k} has its layers in reverse order, its gap drops layers where S does not divide T, its attention_ce takes
a softmax of probabilities and its relations cannot be chosen; the gradient norm is taken over projections too.
Needs from the teacher: its output, and the signals that the matches name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

from bench.errors import RequestError, unknown
from bench.inputs import Batch
from bench.losses import aligned, mean_square, unit
from bench.method import Losses, Method, Names, Run, Stage
from bench.signals import Signals

LAYERS = re.compile("(first|last|gap)([1-9][0-9]?)?")


class Knowledge(NamedTuple):
    """What is matched: its signals, the loss of two (B, ...) tensors with the mask (B, L), and whether widths count."""

    signals: Sequence[str]
    loss: Callable[[Tensor, Tensor, Tensor], Tensor]
    wide: bool = False


def per_token(values: Tensor, mask: Tensor) -> Tensor:
    """The mean over real tokens of values (B, L, ...)."""
    return (values.flatten(2).mean(-1) * mask).sum() / mask.sum()


def square(mask: Tensor) -> Tensor:
    """(B, 1, L, L): 1 where row and column are real."""
    return (mask[:, None, :] * mask[:, :, None])[:, None]


def maps(scores: Tensor, mask: Tensor) -> Tensor:
    """Attention of each token over real ones, from scores before the softmax, (B, H, L, L)."""
    return scores.masked_fill(mask[:, None, None, :] == 0, -torch.inf).softmax(-1)


def map_mse(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """Of maps (B, H, L, L): the mean over heads and pairs of real tokens."""
    real = square(mask)
    return ((student - teacher).square() * real).sum() / (real.sum() * student.shape[1])


def map_ce(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """Of maps (B, H, L, L): the mean over heads and real rows of the cross-entropy."""
    crossed = -(teacher * student.clamp(min=torch.finfo(student.dtype).tiny).log()).sum(-1)
    return (crossed * mask[:, None, :]).sum() / (mask.sum() * student.shape[1])


def attention(merge: str, loss: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Knowledge:
    """Maps, head by head (empty), or their `sum` or `mean` over heads."""

    def matched(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
        if not merge and student.shape[1] != teacher.shape[1]:
            raise RequestError("attention is matched head by head, and the numbers differ: take attention_mse_sum")
        ours, theirs = (maps(scores, mask) for scores in (student, teacher))
        if merge:
            ours, theirs = (getattr(both, merge)(1, keepdim=True) for both in (ours, theirs))
        return loss(ours, theirs, mask)

    return Knowledge(("attention_scores",), matched)


def relation(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    """KL of relations of X (B, H, L, d): the mean over heads and real rows."""
    if student.shape[1] != teacher.shape[1]:
        student, teacher = (x.transpose(1, 2).flatten(2)[:, None] for x in (student, teacher))
    p, q = (maps(x @ x.transpose(-1, -2) / x.shape[-1] ** 0.5, mask) for x in (teacher, student))
    return map_ce(q, p, mask) - map_ce(p, p, mask)


def gram(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    ours, theirs = ((h * mask[..., None]).transpose(1, 2) @ h / mask.sum(1)[:, None, None] for h in (student, teacher))
    return F.mse_loss(ours, theirs)


def mmd(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    ours, theirs = ((h @ h.transpose(1, 2) / h.shape[-1])[:, None] for h in (student, teacher))
    return map_mse(ours, theirs, mask)


def first_token(student: Tensor, teacher: Tensor, mask: Tensor) -> Tensor:
    return (unit(student[:, 0]) - unit(teacher[:, 0])).square().sum(-1).mean()


KNOWLEDGE = {
    "hidden_mse": Knowledge(("hidden",), lambda s, t, mask: per_token((s - t).square(), mask), wide=True),
    "cos": Knowledge(("hidden",), lambda s, t, mask: per_token(1 - (unit(s) * unit(t)).sum(-1, True), mask), wide=True),
    "pkd": Knowledge(("hidden",), first_token, wide=True),
    "gram": Knowledge(("hidden",), gram, wide=True),
    "mmd": Knowledge(("hidden",), mmd),
    "attention_mse": attention("", map_mse),
    "attention_mse_sum": attention("sum", map_mse),
    "attention_ce": attention("", map_ce),
    "attention_ce_mean": attention("mean", map_ce),
    "query_relation": Knowledge(("queries",), relation),
    "key_relation": Knowledge(("keys",), relation),
    "value_relation": Knowledge(("values",), relation),
    "qkv_relation": Knowledge(("queries", "keys", "values"), relation),
}


class Match(NamedTuple):
    """One knowledge of one pair of layers."""

    name: str
    teacher: int
    student: int


def pairs(layers: str, student: int, teacher: int) -> list[tuple[int, int]]:
    """(teacher layer, student layer) of a strategy, from 0. RequestError: it is none, or asks for more layers."""
    found = LAYERS.fullmatch(layers)
    if not found or (found[1] == "gap" and found[2]):
        raise unknown("strategy", layers, ("first", "last", "gap", "first1", "last1", "..."))
    count = int(found[2] or student)
    if count > student or student > teacher:
        raise RequestError(f"match={layers} takes {count} layers of {student}, and the teacher has {teacher}")
    if found[1] == "gap":
        return [((i + 1) * teacher // student - 1, i) for i in range(student)]
    ahead, own = (teacher - count, student - count) if found[1] == "last" else (0, 0)
    return [(ahead + i, own + i) for i in range(count)]


def parse(text: str) -> list[tuple[str, str]]:
    """(layers, knowledge) of each match named. RequestError: an unknown knowledge, or no colon."""
    found = []
    for part in filter(None, (word.strip() for word in text.split(","))):
        layers, _, knowledge = part.partition(":")
        if knowledge not in KNOWLEDGE:
            raise unknown("knowledge", knowledge or part, KNOWLEDGE)
        found.append((layers, knowledge))
    return found


class Revisited(Method):
    """Matches of layers beside soft targets and labels."""

    title = "KD of language models revisited"
    citation = "Lu et al. arXiv:2206.14366"
    needs = frozenset({"output", "hidden", "attention_scores", "queries", "keys", "values"})
    axes = {"match": ("layers", "knowledge")}

    @dataclass(frozen=True)
    class Settings:
        match: str = "gap:hidden_mse"  # our choice; empty: soft targets and labels alone
        kd: Literal["ce", "kl", "mse"] = "ce"  # released default
        kd_weight: NonNegativeFloat = 1.0  # released default
        label_weight: NonNegativeFloat = 1.0  # released default
        match_weight: NonNegativeFloat = 1.0  # of each match; released: 1
        temperature: PositiveFloat = 1.0  # released default
        lr: PositiveFloat | None = None  # none: the architecture's

    @staticmethod
    def needed(settings: Settings, names: Names) -> Names:
        return {"output"} | {
            signal for _, knowledge in parse(settings.match) for signal in KNOWLEDGE[knowledge].signals
        }

    def __init__(self, settings: Settings, run: Run) -> None:
        super().__init__(settings, run)
        s, t = run.student_shape, run.teacher_shape
        named = parse(settings.match)
        self.matches = [Match(k, *pair) for layers, k in named for pair in pairs(layers, s.layers, t.layers)]
        if "hidden_mse" in {m.name for m in self.matches}:
            self.matches.append(Match("hidden_mse", -1, -1))  # the embeddings, before the first layer
        wide = [KNOWLEDGE[m.name].wide and s.hidden[-1] != t.hidden[-1] for m in self.matches]
        self.project = nn.ModuleList(drawn(s.hidden[-1], t.hidden[-1]) if w else nn.Identity() for w in wide)

    def stages(self) -> Iterable[Stage]:
        needs = self.needed(self.settings, self.needs)
        yield self.stage("revisited", self.combined, needs=needs, wants=needs)

    def combined(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        s = self.settings
        losses = {"soft": s.kd_weight * self.soft(*self.goal.pair(student, teacher, batch))}
        if batch.labels is not None and s.label_weight:
            losses["hard"] = s.label_weight * self.goal.loss(student, batch)
        mask = aligned(student, teacher) if self.matches else None
        for match, project in zip(self.matches, self.project, strict=True):
            found = s.match_weight * matched(match, student, teacher, mask, project)
            losses[match.name] = losses[match.name] + found if match.name in losses else found
        return losses

    def soft(self, ours: Tensor, theirs: Tensor) -> Tensor:
        """Of outputs (N, C)."""
        t, form = self.settings.temperature, self.settings.kd
        if form == "mse" or not self.goal.distributions:
            return mean_square(ours / t, theirs / t, self.goal.real(theirs))
        p = (theirs / t).softmax(-1)
        if form == "kl":
            return F.kl_div((ours / t).log_softmax(-1), p, reduction="batchmean")
        return F.cross_entropy(ours / t, p)


def drawn(width: int, other: int) -> nn.Linear:
    """A projection with the released code's first weights."""
    layer = nn.Linear(width, other)
    nn.init.normal_(layer.weight, std=0.02)
    nn.init.zeros_(layer.bias)
    return layer


def matched(match: Match, student: Signals, teacher: Signals, mask: Tensor, project: nn.Module) -> Tensor:
    """The loss of one match. Hidden states begin with the embeddings, so a layer's own are one further."""
    knowledge, found = KNOWLEDGE[match.name], []
    for signal in knowledge.signals:
        further = 1 if signal == "hidden" else 0
        ours, theirs = student[signal][match.student + further], teacher[signal][match.teacher + further].detach()
        found.append(knowledge.loss(project(ours), theirs, mask))
    return torch.stack(found).sum()
