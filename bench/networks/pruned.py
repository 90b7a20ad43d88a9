"""Encoders with BERT's layers from which units were taken: heads of unequal sizes, narrow feed-forwards, a thin table.

A unit is a row of a head's query and key projections; a row of its value projection with the column of the output
projection that reads it; or a feed-forward neuron with its weights in and out. Without its units a network computes
what it computed while all their weights were 0. The library has no configuration of such shapes: a network keeps its
`plan`, from which they are made again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.errors import RequestError
from bench.networks.attention import WANTED

BERTS = ("bert", "camembert", "electra", "roberta", "xlm-roberta")  # model types whose layers are BERT's
LAYERS, RANK = "layers", "rank"  # keys of a plan


class Layer(NamedTuple):
    """The linear maps of an encoder layer, width D, H heads of D / H, F neurons."""

    query: nn.Linear  # D -> D, as are key, value and output
    key: nn.Linear
    value: nn.Linear
    output: nn.Linear
    inner: nn.Linear  # D -> F
    outer: nn.Linear  # F -> D


@dataclass(frozen=True)
class Kept:
    """The units that are left, bool, one row a layer."""

    neurons: Tensor  # (layers, F)
    queries: Tensor  # (layers, D), rows of the query and key projections, head after head
    values: Tensor  # (layers, D)


def layers(network: Any) -> list[Layer]:
    """Of a network whose units can be taken away. RequestError: it has other layers."""
    found = []
    for block in blocks(network):
        own = block.attention.self
        projections = own.query, own.key, own.value, block.attention.output.dense
        found.append(Layer(*projections, block.intermediate.dense, block.output.dense))
    return found


def blocks(network: Any) -> Sequence[Any]:
    """The encoder's layers as the library has them. RequestError: none of BERT's, or units are gone already."""
    config = getattr(getattr(network, "backbone", None), "config", None)
    kind = getattr(config, "model_type", type(network).__name__)
    if kind not in BERTS:
        raise RequestError(f"units of encoders with BERT's layers can be pruned ({', '.join(BERTS)}); this is a {kind}")
    if LAYERS in network.plan:
        raise RequestError("this encoder was pruned already, and units of a whole one can be pruned")
    return list(network.backbone.encoder.layer)


def cut(network: Any, kept: Kept) -> None:
    """Take the other units away, in place. A layer that has none left in a half adds that half's bias alone."""
    made = []
    masks = zip(kept.neurons, kept.queries, kept.values, strict=True)
    for block, (neurons, queries, values) in zip(blocks(network), masks, strict=True):
        heads = block.attention.self.num_attention_heads
        sizes = [units.view(heads, -1).sum(1).tolist() for units in (queries, values)]
        _cut_attention(block.attention, queries, values, *sizes)
        _cut_neurons(block, neurons)
        made.append({"neurons": int(neurons.sum()), "queries": sizes[0], "values": sizes[1]})
    network.plan = {**network.plan, LAYERS: made}
    network.shape = replace(network.shape, heads=0)  # no number of heads that all layers have
    network.offers = network.offers - WANTED
    network.train(network.training)  # what is new, too


def _cut_attention(attention: Any, queries: Tensor, values: Tensor, query_sizes: Any, value_sizes: Any) -> None:
    own, output = attention.self, attention.output
    if not any(value_sizes):
        attention.self, output.dense = NoHeads(), Constant(output.dense.bias)
        return
    for projection, rows in ((own.query, queries), (own.key, queries), (own.value, values)):
        _keep(projection, rows=rows)
    _keep(output.dense, columns=values)
    attention.self = UnequalHeads(own, query_sizes, value_sizes)


def _cut_neurons(block: Any, neurons: Tensor) -> None:
    if neurons.any():
        _keep(block.intermediate.dense, rows=neurons)
        _keep(block.output.dense, columns=neurons)
    else:
        block.intermediate, block.output.dense = nn.Identity(), Constant(block.output.dense.bias)


def _keep(linear: nn.Linear, rows: Tensor | None = None, columns: Tensor | None = None) -> None:
    """Only these outputs, or inputs."""
    weight = linear.weight.detach()
    if rows is not None:
        weight, linear.bias = weight[rows], nn.Parameter(linear.bias.detach()[rows])
    if columns is not None:
        weight = weight[:, columns]
    linear.weight = nn.Parameter(weight.contiguous())
    linear.out_features, linear.in_features = weight.shape


@torch.no_grad()
def factorise(network: Any, rank: int) -> None:
    """Put two factors in the place of the token table E (V, D), in place: E P (V, rank), and P^T (rank, D) after it.

    P are the right singular vectors of the `rank` largest singular values, so the product is the nearest of its rank.
    RequestError: the rank saves nothing.
    """
    table = network.backbone.get_input_embeddings()
    if not 0 < rank < table.embedding_dim:
        raise RequestError(f"a rank of {rank} does not factorise word vectors of width {table.embedding_dim}")
    exact = table.weight.cpu().double()
    first = torch.linalg.eigh(exact.T @ exact).eigenvectors[:, -rank:].to(table.weight)
    thin = nn.Embedding.from_pretrained(table.weight @ first, freeze=False, padding_idx=table.padding_idx)
    wide = nn.utils.skip_init(nn.Linear, rank, len(first), bias=False, device=first.device)
    wide.weight.copy_(first)
    network.backbone.set_input_embeddings(nn.Sequential(thin, wide))
    network.plan = {**network.plan, RANK: rank}


def remade(network: Any, plan: Mapping[str, Any]) -> Any:
    """A whole network, now of the shapes of a plan; which units it has is up to the weights that are loaded next.

    RequestError: no plan of ours.
    """
    if set(plan) - {LAYERS, RANK}:
        raise RequestError(f"no plan of a pruned encoder: {', '.join(plan)}")
    if RANK in plan:
        factorise(network, plan[RANK])
    if LAYERS in plan:
        cut(network, _any(network, plan[LAYERS]))
    return network


def _any(network: Any, made: Sequence[Mapping[str, Any]]) -> Kept:
    """The first units of each place, as many as a plan says."""
    whole, heads = layers(network)[0], network.shape.heads
    wide, head = whole.inner.out_features, whole.value.out_features // heads

    def first(sizes: Sequence[Any], places: int) -> Tensor:
        return (torch.arange(places) < torch.tensor(sizes)[..., None]).flatten(1)

    device = whole.inner.weight.device
    asked = [
        ([layer[name] for layer in made], n) for name, n in (("neurons", wide), ("queries", head), ("values", head))
    ]
    return Kept(*(first(sizes, places).to(device) for sizes, places in asked))


class UnequalHeads(nn.Module):
    """Self-attention whose heads have q_h rows of queries and keys and v_h of values, the same for no two heads.

        head_h = softmax(Q_h K_h^T / sqrt(D / H)) V_h,      Q_h, K_h (B, L, q_h), V_h (B, L, v_h)

    Scores keep the scale of the whole head, as in GRAIN's official code; the paper prints sqrt(d). The projections have
    the rows that are left and no more. What they give is filled up with zeros to one size, which changes no score, so
    that the library's attention does all heads at once.
    """

    at_queries: Tensor
    at_values: Tensor
    real: Tensor

    def __init__(self, whole: Any, queries: Sequence[int], values: Sequence[int]) -> None:
        """`whole`: the library's module, its projections cut to these sizes of each head; a head of 0 and 0 is none."""
        super().__init__()
        self.query, self.key, self.value, self.dropout = whole.query, whole.key, whole.value, whole.dropout
        self.config, self.scaling, self.is_causal = whole.config, whole.scaling, whole.is_causal
        self.sizes = [pair for pair in zip(queries, values, strict=True) if any(pair)]
        size, device = max(map(max, self.sizes)), whole.query.weight.device
        for name, of_heads in zip(("at_queries", "at_values"), zip(*self.sizes, strict=True), strict=True):
            self.register_buffer(name, places(of_heads, size).to(device), persistent=False)
        real = (self.at_values < self.value.out_features).flatten()
        self.register_buffer("real", real.nonzero().squeeze(1), persistent=False)

    def extra_repr(self) -> str:
        return f"(queries, values) of a head: {self.sizes}"

    def forward(
        self, hidden_states: Tensor, attention_mask: Tensor | None = None, past_key_values: Any = None, **options: Any
    ) -> tuple[Tensor, Tensor | None]:
        from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
        from transformers.models.bert.modeling_bert import eager_attention_forward

        asked = (self.query, self.at_queries), (self.key, self.at_queries), (self.value, self.at_values)
        heads = [filled(projection(hidden_states), at) for projection, at in asked]
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, eager_attention_forward)
        dropout = self.dropout.p if self.training else 0.0
        found, weights = attend(self, *heads, attention_mask, dropout=dropout, scaling=self.scaling, **options)
        return found.flatten(2)[..., self.real], weights


def places(sizes: Sequence[int], size: int) -> Tensor:
    """(heads, size) which column each head's numbers stand in, side by side; one beyond the last: it has no more."""
    own, within = torch.tensor(sizes)[:, None], torch.arange(size)
    return torch.where(within < own, own.cumsum(0) - own + within, sum(sizes))


def filled(x: Tensor, at: Tensor) -> Tensor:
    """(B, L, units) -> (B, heads, L, size), 0 where a head has no unit."""
    return F.pad(x, (0, 1))[..., at].transpose(1, 2)


class NoHeads(nn.Module):
    """Self-attention of which nothing is left; what comes after it reads nothing."""

    def forward(self, hidden_states: Tensor, *_: Any, **options: Any) -> tuple[Tensor, None]:
        return hidden_states, None


class Constant(nn.Module):
    """A linear map without inputs: its bias (D,)."""

    def __init__(self, bias: nn.Parameter) -> None:
        super().__init__()
        self.bias = bias

    def forward(self, x: Tensor) -> Tensor:
        return self.bias.expand(*x.shape[:-1], -1)
