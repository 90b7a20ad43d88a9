"""A stage on a graph: an update reads all of it, and what belongs to all nodes comes from the store, once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from bench.base.console import Console
from bench.method import Run
from bench.networks.places import Place
from bench.plugins.registry import find, load
from bench.teachers.teacher import LiveSignals, StoredSignals, Teacher
from bench.training.feed import Feed
from bench.training.order import batch_order
from tests.factories import hetero


@pytest.fixture
def task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    return hetero.opened(hetero.write(tmp_path / "ACM").parent)


def fed(task: Any, name: str = "hire") -> tuple[Any, Feed, Teacher, Any]:
    """(method, feed, teacher, student) of its only stage."""
    student, net = hetero.network(task, "rgcn:1x4"), hetero.network(task, "rgcn:2x8")
    cls = load(find("method", name))
    teacher = Teacher(Place("t", "t", ""), torch.device("cpu"), Console(quiet=True), task.goal, lambda *_: net)
    method = cls(cls.Settings(), Run(task, task.track, 4, 8, 0))
    (stage,) = method.stages()
    return method, Feed(stage, method.run, {"student": student}, {"teacher": teacher}, 0), teacher, student


def test_an_update_reads_every_node_once(task: Any) -> None:
    _, feed, _, _ = fed(task)
    batches = list(feed.order(0))
    assert len(batches) == task.track.updates
    assert all(sorted(rows) == list(range(hetero.PAPERS)) for rows in batches[:3])
    assert list(batches[0]) != list(batches[1])


def test_a_stage_that_goes_on_finds_its_batches() -> None:
    lengths = np.ones(7, np.int64)
    whole, rest = list(batch_order(lengths, None, (3,), 0, 9)), list(batch_order(lengths, None, (3,), 4, 9))
    assert all(map(np.array_equal, whole[4:], rest))


def test_what_belongs_to_all_nodes_is_stored_and_served_whole(task: Any) -> None:
    """The losses are those of a teacher that runs in the update."""
    method, feed, teacher, student = fed(task)
    rows = next(feed.order(0))
    served, batch = feed.batch(rows, 0, torch.device("cpu"))
    assert isinstance(feed.sources["teacher"], StoredSignals)
    live = teacher.network(teacher.network.encode(feed.examples.inputs).batch(rows), frozenset({"logits", "nodes"}))
    assert torch.allclose(served["teacher"].nodes, live.nodes, atol=1e-6)
    own = student(batch.inputs["student"], frozenset({"logits", "nodes"}))
    stored, now = (method.relations(own, signals, batch) for signals in (served["teacher"], live))
    assert {name: x.item() for name, x in stored.items()} == pytest.approx(
        {n: x.item() for n, x in now.items()}, rel=1e-4
    )
    assert teacher.forwards == {"computed": hetero.PAPERS, "reused": 0}


def test_a_pool_too_large_to_be_read_whole_has_a_teacher_in_every_update(
    task: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bench.teachers.teacher.WHOLE", 50)
    assert isinstance(fed(task)[1].sources["teacher"], LiveSignals)
    assert not isinstance(fed(task, "kd")[1].sources["teacher"], LiveSignals)


def test_a_part_of_the_nodes_is_compared_by_rkd(task: Any) -> None:
    method, feed, _, student = fed(task, "rkd")
    assert method.settings.rows is None  # the default of texts; on a graph the command line gives 256
    cls = load(find("method", "rkd"))
    few = cls(cls.Settings(rows=20), method.run)
    served, batch = feed.batch(next(feed.order(0)), 0, torch.device("cpu"))
    own = student(batch.inputs["student"], frozenset({"logits", "embedding"}))
    one, two = (x.__class__({**dict(x.named), "embedding": x.embedding[:20]}) for x in (own, served["teacher"]))
    expected, found = method.relations(one, two, batch), few.relations(own, served["teacher"], batch)
    assert all(found[name].item() == pytest.approx(expected[name].item()) for name in ("distance", "angle", "hard"))
