"""Networks of graphs give what torch-geometric's layers give with the same weights, of isolated nodes too."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from bench.errors import RequestError
from bench.inputs import Batch
from tests.factories import hetero

PAPERS = hetero.PAPERS


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return hetero.opened(hetero.write(tmp_path_factory.mktemp("hgb") / "ACM").parent)


@pytest.fixture(scope="module")
def layers() -> Any:
    """torch-geometric's, which take a while to import."""
    pytest.importorskip("torch_geometric", reason="torch-geometric is the oracle: pip install torch-geometric")
    from torch_geometric.nn.conv import GATConv, HANConv, HGTConv, RGCNConv

    return SimpleNamespace(GATConv=GATConv, HANConv=HANConv, HGTConv=HGTConv, RGCNConv=RGCNConv)


def features(net: Any, graph: Any) -> dict[str, torch.Tensor]:
    """Projected by dense products, of each type that the network reads."""
    made = {kind: torch.from_numpy(graph.features[kind].toarray()) for kind in net.inward}
    return {kind: x @ net.inward[kind].weight + net.inward[kind].bias for kind, x in made.items()}


def edges(relation: Any) -> torch.Tensor:
    return torch.from_numpy(np.stack([relation.sources, relation.ends]))


def merged(graph: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Edges (2, E) between nodes numbered over all types, and the number of each one's relation."""
    starts = dict(zip(graph.features, np.cumsum([0, *map(graph.count, graph.features)]), strict=False))
    parts = [edges(r) + torch.tensor([[starts[r.source]], [starts[r.end]]]) for r in graph.relations.values()]
    kinds = [torch.full((part.shape[1],), n) for n, part in enumerate(parts)]
    return torch.cat(parts, 1), torch.cat(kinds)


def logits(net: Any, task: Any) -> torch.Tensor:
    with torch.no_grad():
        return hetero.read(net, task, "logits").logits


@torch.no_grad()
def test_rgcn(task: Any, layers: Any) -> None:
    net, graph = hetero.network(task, "rgcn:2x8"), task.found.graph
    x, (index, kinds) = torch.cat(list(features(net, graph).values())), merged(graph)
    for ours in net.layers:
        theirs = layers.RGCNConv(8, 8, len(graph.relations))
        theirs.weight.copy_(torch.stack([ours.weights[name] for name in graph.relations]))
        theirs.root.copy_(ours.root.weight.T)
        theirs.bias.copy_(ours.root.bias)
        x = theirs(x, index, kinds).relu()
    assert torch.allclose(logits(net, task), net.head(x[:PAPERS]), atol=1e-5)


@torch.no_grad()
def test_hgt(task: Any, layers: Any) -> None:
    net, graph = hetero.network(task, "hgt:2x8", heads=2), task.found.graph
    names = {name: (r.source, name, r.end) for name, r in graph.relations.items()}
    x = {kind: h.relu() for kind, h in features(net, graph).items()}
    for ours in net.layers:
        theirs = layers.HGTConv(8, 8, (list(graph.features), list(names.values())), heads=2)
        for kind in x:
            theirs.kqv_lin.lins[kind].load_state_dict(ours.kqv[kind].state_dict())
            theirs.out_lin.lins[kind].load_state_dict(ours.out[kind].state_dict())
            theirs.skip[kind].copy_(ours.skip[kind].normal_())
        for own, other in ((ours.keys, theirs.k_rel), (ours.values, theirs.v_rel)):
            other.weight.copy_(
                torch.stack([own[name] for name in names], 1).flatten(0, 1)
            )  # head by head, all relations
        for name, triple in names.items():
            theirs.p_rel["__".join(triple)].copy_(ours.prior[name].normal_()[None])
        x = theirs(x, {names[name]: edges(r) for name, r in graph.relations.items()})
    assert torch.allclose(logits(net, task), net.head(x["paper"]), atol=1e-5)


@torch.no_grad()
def test_han(task: Any, layers: Any) -> None:
    net, graph = hetero.network(task, "han:8", heads=2), task.found.graph.joined
    names = {path: ("paper", path, "paper") for path in graph.relations}
    theirs = layers.HANConv(6, 8, (["paper"], list(names.values())), heads=2)
    theirs.proj["paper"].weight.copy_(net.inward["paper"].weight.T)
    theirs.proj["paper"].bias.copy_(net.inward["paper"].bias)
    for path, triple in names.items():
        theirs.lin_src["__".join(triple)].copy_(net.of_source[path][None])
        theirs.lin_dst["__".join(triple)].copy_(net.of_end[path][None])
    theirs.k_lin.load_state_dict(net.key.state_dict())
    theirs.q.copy_(net.query[None])
    x = {"paper": torch.from_numpy(graph.features["paper"].toarray())}
    found = theirs(x, {names[path]: edges(r) for path, r in graph.relations.items()})["paper"]
    assert torch.allclose(logits(net, task), net.head(found), atol=1e-5)


@torch.no_grad()
def test_simple_hgn(task: Any, layers: Any) -> None:
    """Its attention is GATConv's with the relation as an edge's feature; the rest, written out."""
    net, graph = hetero.network(task, "simplehgn:2x8", heads=2, beta=0.0), task.found.graph.looped
    x, (index, kinds) = torch.cat(list(features(net, task.found.graph).values())), merged(graph)
    one_hot = functional.one_hot(kinds, len(graph.relations)).float()
    for ours in net.layers:
        theirs = layers.GATConv(
            8, 4, heads=2, negative_slope=0.05, edge_dim=len(graph.relations), add_self_loops=False, bias=False
        )
        theirs.lin.weight.copy_(ours.value.weight)
        theirs.att_src.copy_(ours.of_source[None])
        theirs.att_dst.copy_(ours.of_end[None])
        theirs.lin_edge.weight.zero_()
        theirs.lin_edge.weight[[0, 4]] = torch.stack([ours.of_relation(name) for name in graph.relations], 1)
        theirs.att_edge.fill_(1)  # the first of each head's four
        x = functional.elu(theirs(x, index, one_hot) + x)
    expected = net.head(functional.normalize(x[:PAPERS], dim=1))
    assert torch.allclose(logits(net, task), expected, atol=1e-5)


@torch.no_grad()
def test_attention_of_the_layer_before_has_its_share(task: Any) -> None:
    net, graph = hetero.network(task, "simplehgn:2x8", heads=2, beta=0.25), task.found.graph
    placed = net.encode(task.examples("distil").inputs).placed
    first, second = net.layers
    x = features(net, graph)
    one = first.shares(placed, x)
    heard = first(placed, x, one)
    x = {kind: functional.elu(heard[kind] + x[kind]) for kind in x}
    two = second.shares(placed, x)
    heard = second(placed, x, {name: 0.75 * two[name] + 0.25 * one[name] for name in two})
    expected = functional.normalize(functional.elu(heard["paper"] + x["paper"]), dim=1)
    assert torch.allclose(logits(net, task), net.head(expected), atol=1e-5)


@torch.no_grad()
def test_iehgcn_by_its_formula(task: Any) -> None:
    """Node by node, in float64."""
    net, graph = hetero.network(task, "iehgcn:1x4"), task.found.graph
    layer, x = net.layers[0], {kind: h.double() for kind, h in features(net, graph).items()}
    weight = {name: p.double() for name, p in layer.named_parameters()}
    found = []
    for i in range(PAPERS):
        own = weight["itself.paper.weight"] @ x["paper"][i]
        heard = [own]
        for name, r in ((n, r) for n, r in graph.relations.items() if r.end == "paper"):
            near = x[r.source][r.sources[r.ends == i]]
            heard.append(weight[f"relations.{name}.weight"] @ near.mean(0) if len(near) else 0 * own)
        query = weight["query.paper.weight"] @ own
        keys = [torch.cat([weight["key.paper.weight"] @ y, query]) for y in heard]
        shares = torch.stack([functional.elu(weight["score.paper.weight"] @ key) for key in keys]).softmax(0)
        found.append(functional.elu((shares * torch.stack(heard)).sum(0)))
    assert torch.allclose(logits(net, task), net.head(torch.stack(found).float()), atol=1e-5)


@pytest.mark.parametrize("shape", ["rgcn:2x8", "hgt:2x8", "iehgcn:2x8", "simplehgn:2x8", "han:8"])
def test_any_of_them_learns_by_a_gradient_that_reaches_all_its_parameters(shape: str, task: Any) -> None:
    """An isolated node, which paper 0 is, gives numbers as all others do."""
    net, examples = hetero.network(task, shape), task.examples("distil")
    found = hetero.read(net, task, "logits", "embedding")
    assert found.logits.isfinite().all() and found.embedding.shape == (PAPERS, net.width)
    task.goal.loss(found, Batch(torch.arange(PAPERS), 1, torch.from_numpy(examples.labels))).backward()
    last = len(getattr(net, "layers", ())) - 1  # of whose other types nothing is judged
    silent = [n for n, p in net.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert not [n for n in silent if not n.startswith(f"layers.{last}.")], silent


@pytest.mark.parametrize("shape", ["rgcn:2x8", "hgt:2x8", "iehgcn:2x8", "simplehgn:2x8", "han:8"])
def test_half_precision_is_close(shape: str, task: Any) -> None:
    net = hetero.network(task, shape)
    with torch.autocast("cpu", torch.bfloat16):
        found = hetero.read(net, task, "logits").logits
    found.sum().backward()
    assert torch.allclose(found.float(), logits(net, task), atol=0.05) and net.head.weight.grad.isfinite().all()


def test_nodes_of_all_types_are_a_signal(task: Any) -> None:
    found = hetero.read(hetero.network(task, "rgcn:1x8"), task, "logits", "nodes")
    assert found.nodes.shape == (PAPERS + hetero.AUTHORS + hetero.VENUES, 8)
    assert torch.equal(found.nodes[:PAPERS], found.embedding)


@pytest.mark.parametrize(
    ("shape", "message"),
    [("rgcn:64", "LAYERSxWIDTH"), ("hgt:2x6", "multiple of 4"), ("han:wide", "WIDTH"), ("han:12", "cannot share")],
)
def test_sizes(shape: str, message: str, task: Any) -> None:
    with pytest.raises(RequestError, match=message):
        hetero.network(task, shape)


def test_a_graph_is_what_they_read(task: Any, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="reads nodes of a graph"):
        hetero.network(task, "rgcn:1x8").encode(["a text"])
