"""GRAIN: rows of attention projections and feed-forward neurons are taken away while the student learns.

    L_soft   mean_b -softmax(z_T / tau) . log softmax(z_S / tau), no tau^2; squared error of values and vectors
    L_hid    sum_l sum_bt m_bt ||W_l h_S^l + b_l - h_T^g(l)||^2 / (D sum m),   l = 0, 2 ... S,   g(l) = floor(l T / S)

A unit has an importance, the modulus of the sum of gradient times weight, of L_soft alone, over these weights:

    neuron      a column of the feed-forward layer's second map         goes with 2 d + 1 parameters
    query row   a row of the query projection and its bias              with 2 d + 2, the key's row among them
    value row   a column of the output projection                       with 2 d + 1; times tanh(D_h / alpha)

D_h is the share of its head's value rows that are left (structure regularisation: nearly empty heads go first). Over
updates I <- beta I + (1 - beta) I_batch, from the first one on. The least important units of all layers go until the
share s(t) of all units' parameters is left, t the share of updates done, and never come back:

    s(t) = density + (1 - density) (1 - (t - start) / (end - start))^3,   1 before `start`, density after `end`

Queries of a head without values go too. In the end all that is gone is cut out, and the smaller network is what is
scored, timed, kept and exported. First of all the token table is factorised (its `rank` largest singular values; both
factors learn). W_l start as the identity and are thrown away. No labels.

    bench run --task glue/sst2 --method grain --student bert:12 --set density=0.05

Yang, Cui, Yao, Wang, ACL 2023, arXiv:2212.07634; official code airaria/GRAIN. Any student with BERT's layers can be
pruned. The paper's has the teacher's own shape: `bert:12` for a teacher of 12 layers, of which it is a copy here; the
paper's starts from BERT before fine-tuning, `--set bert.init=FOLDER`. Deviations: the rate and its warm-up are the
protocol's; masks are applied after an update and not before it, up to the one that reaches `end`, where the code stops
one earlier; they cover all weights of a unit, so that none counts where gradients are clipped. Of the code but not
here: a constant rate without clipping for the projections, and the regularisation of whole layers (alpha 1e-4), which
acts on empty ones alone. The last state is kept: the best on dev would have its units still. It runs in one process,
as scores are gradients of the whole batch. Needs from the teacher: its output and hidden states.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat
from torch import Tensor, nn

from bench.errors import RequestError
from bench.inputs import Batch
from bench.losses import aligned
from bench.method import Losses, Method, Part, Role, Run, Stage, Step, learning
from bench.network import Network
from bench.networks.pruned import Kept, Layer, cut, factorise, layers
from bench.signals import Signals

Share = Annotated[float, Field(ge=0, le=1)]


class Grain(Method):
    """Pruning inside heads by gradients of the soft loss, beside hidden states of the teacher."""

    title = "GRAIN (gradient-based intra-attention pruning)"
    citation = "Yang, Cui, Yao, Wang. ACL 2023, arXiv:2212.07634"
    needs = frozenset({"output", "hidden"})
    prunes = True
    importance: Tensor  # (layers, units): neurons, query rows, value rows
    kept: Tensor  # the same, bool
    costs: Tensor  # (units,) parameters

    @dataclass(frozen=True)
    class Settings:
        density: Annotated[float, Field(gt=0, le=1)] = 0.1  # of the units' parameters; paper 0.2, 0.1, 0.05, 0.03
        temperature: PositiveFloat = 8.0
        alpha: NonNegativeFloat = 0.3  # of the structure regularisation; 0: none
        beta: Annotated[float, Field(ge=0, lt=1)] = 0.998
        start: Share = 0.2  # share of the updates after which pruning starts, and ends
        end: Share = 0.4
        rank: NonNegativeInt | None = None  # of the token table; none: a quarter of its width (192 of 768); 0: whole
        lr: PositiveFloat | None = None  # none: the architecture's; paper 3e-5

    def __init__(self, settings: Settings, run: Run) -> None:
        super().__init__(settings, run)
        if not settings.start < settings.end:
            raise RequestError(
                f"pruning starts before it ends: start {settings.start} and end {settings.end} do not fit"
            )
        self.layers: list[Layer] = layers(run.student)
        self.pairs = matched(run.student_shape.layers, run.teacher_shape.layers)
        self._factorise(run.student)
        self.project = nn.ModuleList(identity(run, ours, theirs) for ours, theirs in self.pairs)
        widths = self.goal.width(run.student_width), self.goal.width(run.teacher_width)
        self.output = nn.Identity() if widths[0] == widths[1] else nn.Linear(*widths)
        self.sizes = [m.out_features for m in (self.layers[0].inner, self.layers[0].query, self.layers[0].value)]
        self.register_buffer("importance", torch.zeros(len(self.layers), sum(self.sizes)))
        self.register_buffer("kept", torch.ones_like(self.importance, dtype=torch.bool))
        each = costs(self.sizes, self.layers[0].query.in_features)
        self.register_buffer("costs", each, persistent=False)
        self.total = len(self.layers) * int(each.sum())
        self.measured = Step(self.soft, moves=())

    def _factorise(self, student: Any) -> None:
        rank, width = self.settings.rank, student.word_embeddings.embedding_dim
        if rank != 0:
            factorise(student, max(1, width // 4) if rank is None else rank)

    def stages(self) -> Iterable[Stage]:
        yield Stage(
            name="prune", data="distil", updates=self.run.track.updates, batch_size=self.run.track.batch_size,
            roles={"student": Role("student", self.needs, trains=True), "teacher": Role("teacher", self.needs)},
            steps=[self.measured, Step(self.hidden)],
            parts={"all": Part(learning, self.recipe(schedule="linear"))}, keep="last",
        )  # fmt: skip

    def soft(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        ours, theirs = self.goal.pair(student, teacher, batch)
        if self.goal.distributions:
            tau = self.settings.temperature
            return {"soft": F.cross_entropy(ours / tau, (theirs / tau).softmax(-1))}
        return {"soft": self.goal.match(self.output(ours), theirs)}

    def hidden(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        mask = aligned(student, teacher)
        pairs = zip(self.project, self.pairs, strict=True)
        terms = [apart(p(student.hidden[s]), teacher.hidden[t], mask) for p, (s, t) in pairs]
        return {"hidden": torch.stack(terms).sum()}

    @torch.no_grad()
    def after_backward(self, step: Step) -> None:
        """Gradients of the soft loss are there, and no others."""
        if step is self.measured:
            new = torch.stack([taylor(layer) for layer in self.layers])
            if self.settings.alpha:
                self._split(new).values.mul_(self._fullness())
            self.importance.mul_(self.settings.beta).add_(new, alpha=1 - self.settings.beta)

    @torch.no_grad()
    def after_update(self, progress: float) -> None:
        s = self.settings
        if progress >= s.start:
            self.kept.copy_(self._chosen(density(progress, s.density, s.start, s.end)))
            for layer, mask in zip(self.layers, self.kept, strict=True):
                mute(layer, *mask.split(self.sizes))

    def finish(self, student: Network, teacher: Network) -> Network:
        cut(student, self._split(self.kept))
        return student

    def _split(self, units: Tensor) -> Kept:
        """Views of (layers, units)."""
        return Kept(*units.split(self.sizes, 1))

    def _heads(self, units: Tensor) -> Tensor:
        """(layers, D) as (layers, heads, D / heads)."""
        return units.reshape(len(units), self.run.student_shape.heads, -1)

    def _fullness(self) -> Tensor:
        """(layers, D) what the scores of value rows are multiplied with."""
        heads = self._heads(self._split(self.kept).values).float()
        return (heads.mean(-1, keepdim=True) / self.settings.alpha).tanh().expand_as(heads).flatten(1)

    def _chosen(self, share: float) -> Tensor:
        """(layers, units) what stays: the most important units of this share of the parameters, or just below it."""
        order = self.importance.masked_fill(~self.kept, -torch.inf).flatten().argsort(stable=True)
        each = self.costs.expand_as(self.kept).flatten()[order]
        stays = each.cumsum(0) - each >= math.ceil((1 - share) * self.total)
        kept = torch.empty_like(stays).scatter_(0, order, stays).view_as(self.kept) & self.kept
        units = self._split(kept)
        heads = self._heads(units.values)
        units.queries.logical_and_(heads.any(-1, keepdim=True).expand_as(heads).flatten(1))
        return kept


def matched(ours: int, theirs: int) -> list[tuple[int, int]]:
    """Which hidden states are compared, of student and teacher: every other one, and the last."""
    if not ours or ours > theirs:
        raise RequestError(f"grain matches layers: the teacher has {theirs} and the student {ours}, at most as many")
    return [(layer, layer * theirs // ours) for layer in sorted({*range(0, ours + 1, 2), ours})]


def identity(run: Run, ours: int, theirs: int) -> nn.Linear:
    """A projection that changes nothing at first, where the widths are equal."""
    linear = nn.Linear(run.student_shape.hidden[ours], run.teacher_shape.hidden[theirs])
    nn.init.eye_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


def apart(ours: Tensor, theirs: Tensor, mask: Tensor) -> Tensor:
    """Mean squared difference over real tokens, (B, L, D) and mask (B, L)."""
    return ((ours - theirs.detach()).square().mean(-1) * mask).sum() / mask.sum()


def costs(sizes: list[int], width: int) -> Tensor:
    """(units,) how many parameters go with each."""
    each = (2 * width + 1, 2 * width + 2, 2 * width + 1)
    return torch.cat([torch.full((n,), cost) for n, cost in zip(sizes, each, strict=True)])


def density(progress: float, final: float, start: float, end: float) -> float:
    """The share of the units' parameters that is left after this share of the updates."""
    done = min(max((progress - start) / (end - start), 0.0), 1.0)
    return final + (1 - final) * (1 - done) ** 3


def taylor(layer: Layer) -> Tensor:
    """(units,) how much the loss would change without a unit, to first order, of a layer with gradients."""
    neurons, values = product(layer.outer.weight).sum(0), product(layer.output.weight).sum(0)
    queries = product(layer.query.weight).sum(1) + product(layer.query.bias)
    return torch.cat([neurons, queries, values]).abs()


def product(parameter: Tensor) -> Tensor:
    return parameter.grad * parameter


def mute(layer: Layer, neurons: Tensor, queries: Tensor, values: Tensor) -> None:
    """Set all weights of units that are gone to 0: neither they nor their gradients do anything then."""
    rows = (layer.inner, neurons), (layer.query, queries), (layer.key, queries), (layer.value, values)
    for linear, mask in rows:
        linear.weight.mul_(mask[:, None])
        linear.bias.mul_(mask)
    for linear, mask in ((layer.outer, neurons), (layer.output, values)):
        linear.weight.mul_(mask)
