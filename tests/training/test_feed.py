"""What a stage reads: stored signals equal those of a teacher that runs in every step, and are computed once."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.base.console import Console
from bench.inputs import flat
from bench.method import Run
from bench.networks.places import Place
from bench.plugins import registry
from bench.sources import Source
from bench.teachers.teacher import Asked, LiveSignals, RowSignals, Teacher
from bench.training.evaluation import Evaluation
from bench.training.feed import Feed
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
    cpu, quiet = torch.device("cpu"), Console(quiet=True)
    teacher = Teacher(Place("t", "t", ""), cpu, quiet, task.goal, lambda *_: network(task))
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
        "text", "trec", track or {}, "bert:2", lambda task: load_classifier(plain, task.goal, True), method, **settings
    )


def images(method, track=None, student="resnet:8", teacher="resnet:14", **settings):
    name, _, size = teacher.partition(":")
    family = registry.load(registry.find("student", name))
    build = lambda task: family(family.Settings()).build(size, task, None)  # noqa: E731
    return setting("images", "cifar10", track or {}, student, build, method, **settings)


def feed_of(made, stage, number=0, **more):
    method, student, teacher = made
    return Feed(stage, method.run, {"student": student}, {"teacher": teacher}, number, **more)


def feeds(made, number=0):
    """A stage with its feed, and the same signals of a teacher that runs in every step."""
    method, _, teacher = made
    stage = list(method.stages())[number]
    feed = feed_of(made, stage, number)
    names = teacher.network.named(stage.roles["teacher"].signals, method.goal.output)
    return stage, feed, LiveSignals(teacher, Asked(feed.examples, names, method.run.track.max_length, "train"))


@torch.no_grad()
def losses(made, number=0):
    """[(losses with stored signals, with live ones)] of the stage's updates."""
    method, student, _ = made
    stage, feed, live = feeds(made, number)
    student.eval()
    found, (step,) = [], stage.steps
    for update, rows in enumerate(feed.order(0)):
        served, batch = feed.batch(rows, update, torch.device("cpu"))
        own = student(batch.inputs["student"], student.named(stage.roles["student"].signals, method.goal.output))
        now = live.rows(flat(feed._viewed(feed.examples.groups[rows], update)))
        found.append((step.loss(own, served["teacher"], batch), step.loss(own, now, batch)))
    return feed, found


@pytest.mark.parametrize("method", ["pkd", "minilm", "distilbert"])
def test_token_level_signals_from_the_store_give_the_same_losses(encoder, method):
    feed, found = losses(texts(encoder, method))
    assert isinstance(feed.sources["teacher"], RowSignals)
    for stored, live in found:
        assert {n: float(v) for n, v in stored.items()} == pytest.approx(
            {n: float(v) for n, v in live.items()}, rel=1e-4
        )


@pytest.mark.parametrize("method", ["kd", "fitnets", "rkd"])
def test_views_of_images_from_the_store_give_the_same_losses(method):
    feed, found = losses(images(method))
    assert isinstance(feed.sources["teacher"], RowSignals) and len(feed.visited) > 90 and feed.visited.max() >= 200
    for stored, live in found:
        assert {n: float(v) for n, v in stored.items()} == pytest.approx(
            {n: float(v) for n, v in live.items()}, rel=1e-5
        )


@pytest.mark.parametrize("method", ["distilbert", "minilm", "pkd"])
def test_patches_of_images_are_tokens_that_are_all_real(method):
    feed, found = losses(images(method, student="vit:2x16x2", teacher="vit:4x16x2"))
    assert (
        isinstance(feed.sources["teacher"], RowSignals)
        and "mask" not in feed.batch(np.arange(2), 0, torch.device("cpu"))[0]["teacher"]
    )
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
        assert {s.dtype for s in feed.sources["teacher"].stores.values()} == {"float16"}
        for stored, live in found:
            assert float(sum(stored.values())) == pytest.approx(float(sum(live.values())), rel=1e-3)


def test_rows_are_computed_once_and_counted():
    method, student, teacher = images("kd")
    stage = next(iter(method.stages()))
    first = feed_of((method, student, teacher), stage, 0)
    wanted = len(first.visited)
    assert teacher.forwards == {"computed": wanted, "reused": 0} and teacher.seconds["computed"] > 0
    feed_of((method, student, teacher), stage, 0)
    assert teacher.forwards == {"computed": wanted, "reused": wanted} and teacher.seconds["reused"] > 0
    other = feed_of((method, student, teacher), stage, 1)  # another order: a few of its rows are there
    new = len(np.setdiff1d(other.visited, first.visited))
    assert new > 0 and teacher.forwards == {"computed": wanted + new, "reused": wanted + len(other.visited) - new}
    feed_of((method, student, teacher), stage, 0, counted=True)  # a resumed stage
    assert teacher.forwards == {"computed": wanted + new, "reused": wanted + len(other.visited) - new}


def test_beyond_the_quota_the_teacher_runs_in_every_step_and_says_so(encoder, monkeypatch, capsys):
    monkeypatch.setenv("BENCH_STORE_QUOTA", "1MB")
    method, student, teacher = texts(encoder, "pkd")
    teacher.console = Console()
    stage = next(iter(method.stages()))
    feed = feed_of((method, student, teacher), stage, 0)
    assert isinstance(feed.sources["teacher"], LiveSignals)
    assert "GB are left of the store's quota: it runs in every step" in capsys.readouterr().err
    kd, own, again = texts(encoder, "kd")  # small signals are always stored
    assert not isinstance(feed_of((kd, own, again), next(iter(kd.stages()))).sources["teacher"], LiveSignals)


def test_what_is_predicted_is_what_is_taken(encoder):
    method, student, teacher = texts(encoder, "pkd")
    feed = feed_of((method, student, teacher), next(iter(method.stages())))
    hidden = feed.sources["teacher"].stores["hidden"]
    predicted = hidden.layout.bytes(hidden.lengths[feed.visited], hidden.dtype)
    tokens = int(feed.sources["teacher"].stores["hidden"].lengths[feed.visited].sum())
    assert predicted == tokens * 48 * 4 * 5  # width, bytes, layers and the embedding output


def test_a_loss_that_reads_padding_has_a_teacher_in_every_step(encoder):
    made = texts(encoder, "tinybert")
    stages = list(made[0].stages())
    kinds = [type(feed_of(made, s, n).sources["teacher"]).__name__ for n, s in enumerate(stages)]
    assert kinds == ["LiveSignals", "StoredSignals"]


def test_a_large_pool_is_computed_where_it_is_read(encoder, monkeypatch):
    monkeypatch.setattr("bench.teachers.teacher.WHOLE", 100)
    made = texts(encoder, "kd")
    feed, found = losses(made)
    assert isinstance(feed.sources["teacher"], RowSignals) and len(feed.visited) <= UPDATES * 16
    assert made[2].forwards["computed"] == 2 * len(feed.visited)  # into the store, and in every step
    for stored, live in found:
        assert float(sum(stored.values())) == pytest.approx(float(sum(live.values())), rel=1e-4)


def test_dev_is_read_without_the_store(encoder):
    method, student, _ = texts(encoder, "kd")
    dev = Evaluation(method.run.task, "dev")
    assert 0 <= dev.score(dev.outputs(student)) <= 1
