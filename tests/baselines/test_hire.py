"""HIRE's losses against formulas written out in numpy, and what has to hold of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from bench.errors import RequestError
from bench.inputs import Batch
from bench.method import Run
from bench.plugins.compatible import why_not
from bench.plugins.registry import find, installed, load
from bench.signals import Signals
from tests.factories import hetero

Hire = load(find("method", "hire"))


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return hetero.opened(hetero.write(tmp_path_factory.mktemp("hgb") / "ACM").parent)


def method(task: Any, **settings: Any) -> Any:
    return Hire(Hire.Settings(**settings), Run(task, task.track, 8, 8, seed=0))


def given(task: Any, net: Any) -> Batch:
    """All nodes, as `distil` has them."""
    examples = task.examples("distil")
    rows = np.arange(len(examples))
    read = {"student": net.encode(examples.inputs).batch(rows)}
    return Batch(torch.from_numpy(rows), 1, examples.targets(rows), read)


def signals(net: Any, task: Any) -> Signals:
    return hetero.read(net, task, "logits", "nodes")


def random(seed: int, task: Any, width: int) -> Signals:
    generator = torch.Generator().manual_seed(seed)
    count = sum(map(task.found.graph.count, task.found.graph.features))
    found = [torch.randn(n, d, generator=generator) for n, d in ((hetero.PAPERS, 3), (count, width))]
    return Signals(logits=found[0].requires_grad_(), nodes=found[1].requires_grad_())


def means(nodes: np.ndarray) -> np.ndarray:
    """(3, D) unit vectors."""
    stops = np.cumsum([hetero.PAPERS, hetero.AUTHORS])
    found = np.stack([part.mean(0) for part in np.split(nodes, stops)])
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def type_gap(ours: np.ndarray, theirs: np.ndarray) -> float:
    pairs = [(0, 1), (0, 2), (1, 2)]
    gaps = [means(ours)[a] @ means(ours)[b] - means(theirs)[a] @ means(theirs)[b] for a, b in pairs]
    return float(np.mean(np.square(gaps)))


def test_the_parts_by_their_formulas(task: Any) -> None:
    """Networks of unlike widths; CE reads the 40 nodes of train alone."""
    net, student, teacher = hetero.network(task, "rgcn:1x8"), random(0, task, 8), random(1, task, 5)
    batch = given(task, net)
    losses = method(task, temperature=3.0, node=2.0, relation=5.0).relations(student, teacher, batch)
    ours, theirs = (s.logits.detach().double().numpy() for s in (student, teacher))
    p, q = (np.exp(z / 3) / np.exp(z / 3).sum(1, keepdims=True) for z in (theirs, ours))
    assert losses["soft"].item() == pytest.approx(2 * 9 * (p * np.log(p / q)).sum(1).mean(), rel=1e-5)
    train = task.splits.train
    scores = ours[train.inputs.rows] - np.log(np.exp(ours[train.inputs.rows]).sum(1, keepdims=True))
    assert losses["hard"].item() == pytest.approx(-scores[np.arange(40), train.labels].mean(), rel=1e-5)
    nodes = [s.nodes.detach().double().numpy() for s in (student, teacher)]
    assert losses["relation"].item() == pytest.approx(5 * type_gap(*nodes), rel=1e-4)


def test_the_gradient_of_relations_is_the_formula_s(task: Any) -> None:
    net, student, teacher = hetero.network(task, "rgcn:1x8"), random(0, task, 8), random(1, task, 8)
    method(task).relations(student, teacher, given(task, net))["relation"].backward()
    ours, theirs = (s.nodes.detach().double().numpy() for s in (student, teacher))
    for node, column in ((0, 0), (95, 3), (122, 7)):
        step = np.zeros_like(ours)
        step[node, column] = 1e-4
        slope = (type_gap(ours + step, theirs) - type_gap(ours - step, theirs)) / 2e-4
        assert student.nodes.grad[node, column].item() == pytest.approx(slope, rel=1e-3, abs=1e-8)
    assert teacher.nodes.grad is None


def test_edges_are_ranked_as_the_teacher_ranks_them(task: Any) -> None:
    """KL over an edge's own source and those that stand in for it, drawn again here."""
    net, student, teacher = hetero.network(task, "rgcn:1x8"), random(0, task, 8), random(1, task, 5)
    batch, found = given(task, net), method(task, rel="edges", edges=16, negatives=3, sharpness=0.5)
    drawn: list[Any] = []
    draw = found.draw
    found.draw = lambda *arguments: drawn.append(draw(*arguments)) or drawn[-1]
    loss = found.relations(student, teacher, batch)["relation"]
    graph, stops = batch.inputs["student"]["graph"], np.cumsum([hetero.PAPERS, hetero.AUTHORS])
    parts = [
        dict(zip(graph.counts, np.split(s.nodes.detach().double().numpy(), stops), strict=True))
        for s in (student, teacher)
    ]
    gaps = []
    for r, (chosen, others) in zip(graph.relations.values(), drawn, strict=True):
        for edge, stand_in in zip(chosen.tolist(), others.tolist(), strict=True):
            p, q = (
                ranked(h[r.end][r.pattern.rows[edge]], h[r.source][[int(r.pattern.columns[edge]), *stand_in]])
                for h in parts[::-1]
            )
            gaps.append((p * np.log(p / q)).sum())
    assert len(gaps) == 4 * 16 and loss.item() == pytest.approx(np.mean(gaps), rel=1e-4)


def ranked(end: np.ndarray, sources: np.ndarray) -> np.ndarray:
    scores = np.exp(sources @ end / np.linalg.norm(end) / np.linalg.norm(sources, axis=1) / 0.5)
    return scores / scores.sum()


@pytest.mark.parametrize("rel", ["types", "edges"])
def test_a_copy_of_the_teacher_has_nothing_to_learn_and_neither_has_a_rotated_one(rel: str, task: Any) -> None:
    net = hetero.network(task, "rgcn:2x8")
    batch, teacher = given(task, net), signals(net, task)
    turn, _ = torch.linalg.qr(torch.randn(8, 8, generator=torch.Generator().manual_seed(2)))
    for nodes in (teacher.nodes, teacher.nodes @ turn):
        losses = method(task, rel=rel).relations(Signals(teacher, nodes=nodes), teacher, batch)
        assert losses["soft"].item() == pytest.approx(0, abs=1e-6)
        assert losses["relation"].item() == pytest.approx(0, abs=1e-6)


def test_relations_are_symmetric_with_ones_on_the_diagonal(task: Any) -> None:
    from bench.baselines.hire import by_type, type_relations

    net = hetero.network(task, "rgcn:2x8")
    graph = net.encode(task.examples("distil").inputs).placed
    found = type_relations(by_type(signals(net, task).nodes, graph))
    assert torch.equal(found, found.T) and torch.allclose(found.diag(), torch.ones(3))


def test_relations_alone_make_the_student_s_the_teacher_s(task: Any) -> None:
    """Without labels, in under 200 steps: the correlation of both is 1."""
    from bench.baselines.hire import by_type, type_relations

    teacher, net = signals(hetero.network(task, "rgcn:2x8"), task), hetero.network(task, "rgcn:1x4")
    teacher, batch, wanted = teacher.detach(), given(task, net), method(task)
    optimiser = torch.optim.Adam(net.parameters(), 0.02)
    for _ in range(150):
        loss = wanted.relations(signals(net, task), teacher, batch)["relation"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    graph = batch.inputs["student"]["graph"]
    ours, theirs = (
        type_relations(by_type(s.nodes, graph))[*np.triu_indices(3, 1)] for s in (signals(net, task), teacher)
    )
    assert np.corrcoef(ours.detach(), theirs)[0, 1] > 0.99 and loss.item() < 1e-4


def test_soft_targets_of_shuffled_nodes_teach_nothing(task: Any) -> None:
    """Its students agree with test's labels where the teacher's rows are its own, and not where they are another's."""
    right, wrong = (
        learned(task, order) for order in (slice(None), np.random.default_rng(0).permutation(hetero.PAPERS))
    )
    assert right > wrong + 0.2


def learned(task: Any, order: Any) -> float:
    """Accuracy on test of a student of such a teacher's soft targets alone; the teacher knows the answers."""
    net = hetero.network(task, "rgcn:1x8")
    knows = 8 * torch.eye(3)[torch.from_numpy(task.found.labels)][order]
    teacher, batch, wanted = (
        Signals(logits=knows, nodes=signals(net, task).nodes.detach()),
        given(task, net),
        method(task),
    )
    optimiser = torch.optim.Adam(net.parameters(), 0.02)
    for _ in range(40):
        loss = wanted.relations(signals(net, task), teacher, batch)["soft"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    test = task.found.splits["test"]
    return float((signals(net, task).logits.argmax(1).numpy()[test] == task.found.labels[test]).mean())


def test_it_does_not_apply_where_one_type_is_embedded(tmp_path: Any) -> None:
    han, rgcn = (installed("student", name).declares for name in ("han", "rgcn"))
    declared = installed("method", "hire").declares
    assert "nodes" in why_not(declared, "classify", han, "graph") and not why_not(declared, "classify", rgcn, "graph")
    folder = hetero.write(
        tmp_path / "ACM", node="".join(f"{n}\tp{n}\t0\t{n % 3},1\n" for n in range(90)), link="1\t2\t0\t1\n"
    )
    with pytest.raises(RequestError, match="not applicable: it compares types of nodes, and all are paper"):
        method(hetero.opened(folder.parent))
