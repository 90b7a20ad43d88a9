"""What a stage reads: stored signals equal those of a teacher that runs in every step, and are computed once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.base.console import Console
from bench.method import Run
from bench.networks.places import Place
from bench.plugins import registry
from bench.sources import Source
from bench.store.rows import TOKEN_DIMS
from bench.teachers.teacher import LiveSignals, RowSignals, Teacher
from bench.training.feed import Feed, concrete
from bench.training.loop import Dev
from tests.factories.data import real_data
from tests.factories.runs import save_teacher

UPDATES = 6


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return save_teacher(tmp_path_factory.mktemp("model") / "teacher", layers=4, width=48)


def setting(family, dataset, track, student, network, method, **settings):
    """(method, student, teacher, counted forwards) on the real data of a task, all networks with random weights."""
    folder = real_data({"text": "textcls", "images": "image"}[family])
    task = registry.load(registry.find("task", family))(Source("directory", folder), "lite", dataset)
    task.name = f"{family}/{dataset}"
    task.track = type(task.track)(updates=UPDATES, batch_size=16, examples=200, **track)
    torch.manual_seed(1)
    teacher = Teacher(Place("t", "t", "", make=lambda *_: network(task)), torch.device("cpu"), Console(quiet=True), 6)
    name, _, size = student.partition(":")
    cls = registry.load(registry.find("student", name))
    own = cls(cls.Settings()).build(size, task, teacher.network)
    made = registry.load(registry.find("method", method))
    run = Run(task, task.track, own.width, teacher.network.width, 0, own.optimiser, own.shape, teacher.network.shape)
    return made(made.Settings(**settings), run), own, teacher


def texts(encoder, method, track=None, **settings):
    from bench.networks.transformer import load_classifier

    plain = encoder.with_name(encoder.name + "-plain")
    return setting(
        "text", "trec", track or {}, "bert:2", lambda task: load_classifier(plain, 6, True), method, **settings
    )


def images(method, track=None, student="resnet:8", teacher="resnet:14", **settings):
    name, _, size = teacher.partition(":")
    family = registry.load(registry.find("student", name))
    build = lambda task: family(family.Settings()).build(size, task, None)  # noqa: E731
    return setting("images", "cifar10", track or {}, student, build, method, **settings)


def feeds(made, number=0):
    """A stage with its feed, a feed of the same stage whose teacher runs in every step, and the student's signals."""
    method, student, teacher = made
    stage = list(method.stages())[number]
    feed = Feed(stage, method.run, student, [teacher], number)
    names = concrete(stage.needs, method.run.task.kind)
    live = LiveSignals(teacher, feed.examples, names, method.run.track.max_length, False)
    return stage, feed, live


@torch.no_grad()
def losses(made, number=0):
    """[(losses with stored signals, with live ones)] of the stage's updates."""
    method, student, _ = made
    stage, feed, live = feeds(made, number)
    student.eval()
    found = []
    for step, rows in enumerate(feed.order(0)):
        inputs, signals, batch = feed.batch(rows, step, torch.device("cpu"))
        own = student(inputs, concrete(stage.wants, method.run.task.kind))
        flat = feed._viewed(feed._flat(rows), step)
        found.append((stage.loss(own, signals, batch), stage.loss(own, live.rows(flat), batch)))
    return feed, found


@pytest.mark.parametrize("method", ["pkd", "minilm", "distilbert"])
def test_token_level_signals_from_the_store_give_the_same_losses(encoder, method):
    feed, found = losses(texts(encoder, method))
    assert isinstance(feed.sources[0], RowSignals)
    for stored, live in found:
        assert {n: float(v) for n, v in stored.items()} == pytest.approx(
            {n: float(v) for n, v in live.items()}, rel=1e-4
        )


@pytest.mark.parametrize("method", ["kd", "fitnets", "rkd"])
def test_views_of_images_from_the_store_give_the_same_losses(method):
    feed, found = losses(images(method))
    assert isinstance(feed.sources[0], RowSignals) and len(feed.visited) > 90 and feed.visited.max() >= 200
    for stored, live in found:
        assert {n: float(v) for n, v in stored.items()} == pytest.approx(
            {n: float(v) for n, v in live.items()}, rel=1e-5
        )


@pytest.mark.parametrize("method", ["distilbert", "minilm", "pkd"])
def test_patches_of_images_are_tokens_that_are_all_real(method):
    feed, found = losses(images(method, student="vit:2x16x2", teacher="vit:4x16x2"))
    assert isinstance(feed.sources[0], RowSignals) and feed.batch(np.arange(2), 0, torch.device("cpu"))[1].mask is None
    for stored, live in found:
        assert {n: float(v) for n, v in stored.items()} == pytest.approx(
            {n: float(v) for n, v in live.items()}, rel=1e-4
        )


def test_half_precision_changes_the_loss_by_less_than_a_thousandth(encoder):
    half = {"signals": "float16"}
    for made in (
        texts(encoder, "pkd", half),
        texts(encoder, "minilm", half),
        images("kd", half),
        images("fitnets", half),
    ):
        feed, found = losses(made)
        assert {s.dtype for s in feed.sources[0].stores.values()} == {"float16"}
        for stored, live in found:
            assert float(sum(stored.values())) == pytest.approx(float(sum(live.values())), rel=1e-3)


def test_rows_are_computed_once_and_counted():
    method, student, teacher = images("kd")
    stage = next(iter(method.stages()))
    first = Feed(stage, method.run, student, [teacher], 0)
    wanted = len(first.visited)
    assert teacher.forwards == {"computed": wanted, "reused": 0} and teacher.seconds["computed"] > 0
    Feed(stage, method.run, student, [teacher], 0)
    assert teacher.forwards == {"computed": wanted, "reused": wanted} and teacher.seconds["reused"] > 0
    other = Feed(stage, method.run, student, [teacher], 1)  # another order: a few of its rows are there
    new = len(np.setdiff1d(other.visited, first.visited))
    assert new > 0 and teacher.forwards == {"computed": wanted + new, "reused": wanted + len(other.visited) - new}
    Feed(stage, method.run, student, [teacher], 0, counted=True)  # a resumed stage
    assert teacher.forwards == {"computed": wanted + new, "reused": wanted + len(other.visited) - new}


def test_beyond_the_quota_the_teacher_runs_in_every_step_and_says_so(encoder, monkeypatch, capsys):
    monkeypatch.setenv("BENCH_STORE_QUOTA", "1MB")
    method, student, teacher = texts(encoder, "pkd")
    teacher.console = Console()
    stage = next(iter(method.stages()))
    feed = Feed(stage, method.run, student, [teacher], 0)
    assert isinstance(feed.sources[0], LiveSignals)
    assert "GB are left of the store's quota: it runs in every step" in capsys.readouterr().err
    kd, own, again = texts(encoder, "kd")  # small signals are always stored
    assert not isinstance(Feed(next(iter(kd.stages())), kd.run, own, [again], 0).sources[0], LiveSignals)


def test_what_is_predicted_is_what_is_taken(encoder):
    method, student, teacher = texts(encoder, "pkd")
    feed = Feed(next(iter(method.stages())), method.run, student, [teacher], 0)
    hidden = feed.sources[0].stores["hidden"]
    predicted = hidden.layout.bytes(hidden.lengths[feed.visited], hidden.dtype)
    tokens = int(feed.sources[0].stores["hidden"].lengths[feed.visited].sum())
    assert predicted == tokens * 48 * 4 * 5  # width, bytes, layers and the embedding output


def test_a_loss_that_reads_padding_has_a_teacher_in_every_step(encoder):
    made = texts(encoder, "tinybert")
    stages = list(made[0].stages())
    kinds = [type(Feed(s, made[0].run, made[1], [made[2]], n).sources[0]).__name__ for n, s in enumerate(stages)]
    assert kinds == ["LiveSignals", "StoredSignals"]


def test_a_large_pool_is_computed_where_it_is_read(encoder, monkeypatch):
    monkeypatch.setattr("bench.training.feed.WHOLE", 100)
    made = texts(encoder, "kd")
    feed, found = losses(made)
    assert isinstance(feed.sources[0], RowSignals) and len(feed.visited) <= UPDATES * 16
    assert made[2].forwards["computed"] == 2 * len(feed.visited)  # into the store, and in every step
    for stored, live in found:
        assert float(sum(stored.values())) == pytest.approx(float(sum(live.values())), rel=1e-4)


def test_every_signal_of_tokens_is_known_to_the_store():
    from bench.signals import TRANSFORMER

    assert set(TOKEN_DIMS) == TRANSFORMER


def test_dev_is_read_without_the_store(encoder):
    method, student, _ = texts(encoder, "kd")
    assert 0 <= Dev(method.run.task, student).score(student) <= 1
