"""HIRE, a reconstruction: soft targets of nodes, and relations between the types of nodes of a heterogeneous graph.

    L = CE(y, z_S) + node tau^2 mean_v KL(softmax(z_T / tau) || softmax(z_S / tau)) + relation L_R

    types   m_a = mean of the embeddings of type a's nodes      R_ab = cos(m_a, m_b)     L_R = mean_{a<b} (R^S - R^T)^2
    edges   of each relation, drawn edges (u, v) and for each drawn nodes w of v's type that stand in for v:
            s_uv = cos(h_u, h_v) / t      L_R = mean over relations and edges of KL(softmax(s^T) || softmax(s^S))

Only the abstract of the paper was at hand: first-order knowledge of a node by its logits, second-order knowledge by the
relations of embeddings of different types. What these relations are, how types are pooled, how large weights are, and
which rows the paper has are unknown: all of it is our design, and no score here is HIRE's own. Cosines need no
projection where widths differ. v runs over all nodes of the target type, or those with labels (`nodes=train`); where a
node may have several labels the softmax is over yes and no of each.

A network that embeds one type alone (HAN) or a graph that has one (acm-han) has no such relations: not applicable.

Liu, Zheng, Hao, "HIRE: Distilling high-order relational knowledge from heterogeneous graph neural networks",
Neurocomputing 507 (2022), arXiv:2207.11887. Needs from the teacher: logits and all nodes' embeddings, computed once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from bench.base.seeds import derived_seed
from bench.data.graphs import graph_of
from bench.errors import RequestError
from bench.inputs import Batch
from bench.losses import soft_divergence, unit
from bench.method import Losses, Method, Run, Stage
from bench.signals import Signals


class Hire(Method):
    """Soft targets, and relations of types."""

    title = "HIRE (reconstruction from its abstract)"
    citation = "Liu, Zheng, Hao. Neurocomputing 507 (2022), arXiv:2207.11887; only the abstract was at hand"
    needs = frozenset({"logits", "nodes"})

    @dataclass(frozen=True)
    class Settings:
        rel: Literal["types", "edges"] = "types"  # what relations are between
        nodes: Literal["all", "train"] = "all"  # of which soft targets are learned: all is transductive
        temperature: PositiveFloat = 2.0  # our choice, and so are all below
        node: NonNegativeFloat = 1.0  # weight of soft targets
        relation: NonNegativeFloat = 1.0  # weight of relations
        edges: PositiveInt = 512  # at most, of each relation in an update
        negatives: PositiveInt = 8  # nodes that stand in for an edge's end
        sharpness: PositiveFloat = 0.1  # t, by which cosines are divided
        lr: PositiveFloat | None = None  # none: the architecture's

    def __init__(self, settings: Settings, run: Run) -> None:
        super().__init__(settings, run)
        types = list(graph_of(run.task).features)
        if len(types) < 2:
            raise RequestError(
                f"hire is not applicable: it compares types of nodes, and all are {', '.join(types)} here"
            )

    def stages(self) -> Iterable[Stage]:
        wants = {"output", "nodes"}
        data = "distil" if self.settings.nodes == "all" else "supervised"
        yield self.stage("hire", self.relations, data=data, needs=self.needs, wants=wants)

    def relations(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        s, graph = self.settings, batch.inputs["student"]["graph"]
        soft = self.goal.match(*self.goal.pair(student, teacher, batch), s.temperature)
        ours, theirs = (by_type(signals.nodes, graph) for signals in (student, teacher.detach()))
        between = type_gap(ours, theirs) if s.rel == "types" else self.edge_gap(ours, theirs, graph, batch)
        return {"hard": self.goal.loss(student, batch), "soft": s.node * soft, "relation": s.relation * between}

    def edge_gap(self, ours: dict[str, Tensor], theirs: dict[str, Tensor], graph: Any, batch: Batch) -> Tensor:
        """The mean over relations, each of its drawn edges."""
        update = round(batch.progress * self.run.track.updates)
        random = torch.Generator().manual_seed(derived_seed(self.run.seed, "hire", update))
        gaps = []
        for r in (r for r in graph.relations.values() if len(r.pattern.rows)):
            drawn = self.draw(len(r.pattern.rows), graph.counts[r.source], random, r.pattern.rows.device)
            ends, sources = r.pattern.rows[drawn[0]], torch.cat([r.pattern.columns[drawn[0]][:, None], drawn[1]], 1)
            scores = [cosines(h[r.end], h[r.source], ends, sources) / self.settings.sharpness for h in (ours, theirs)]
            gaps.append(soft_divergence(scores[0], scores[1]))
        return torch.stack(gaps).mean()

    def draw(self, edges: int, nodes: int, random: torch.Generator, device: torch.device) -> Sequence[Tensor]:
        """Which edges (E,), and the nodes that stand in for the source of each (E, K)."""
        count = min(self.settings.edges, edges)
        chosen = torch.randint(edges, (count,), generator=random)
        others = torch.randint(nodes, (count, self.settings.negatives), generator=random)
        return [x.to(device, non_blocking=True) for x in (chosen, others)]


def by_type(nodes: Tensor, graph: Any) -> dict[str, Tensor]:
    """All nodes (N, D) -> those of each type."""
    return dict(zip(graph.counts, nodes.split(list(graph.counts.values())), strict=True))


def type_relations(embeddings: dict[str, Tensor]) -> Tensor:
    """R (A, A): cosines of the types' mean embeddings."""
    means = unit(torch.stack([h.mean(0) for h in embeddings.values()]))
    return means @ means.T


def type_gap(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> Tensor:
    """mean_{a<b} (R^S_ab - R^T_ab)^2"""
    upper = torch.triu_indices(len(ours), len(ours), 1, device=next(iter(ours.values())).device)
    return (type_relations(ours) - type_relations(theirs))[upper[0], upper[1]].square().mean()


def cosines(ends: Tensor, sources: Tensor, chosen: Tensor, others: Tensor) -> Tensor:
    """Of node chosen (E,) of `ends` and each of others (E, K) of `sources`: (E, K)."""
    return (unit(ends[chosen])[:, None] * unit(sources[others])).sum(2)
