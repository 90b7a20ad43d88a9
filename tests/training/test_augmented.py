"""Strong augmentation in the loop: what is stored and what runs, labels, repeats, and the mean of the weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.base.console import Console
from bench.baselines.finetune import Finetune
from bench.baselines.kd import Kd
from bench.errors import RequestError
from bench.inputs import flat
from bench.runs import protocol
from bench.runs.spec import Request, resolve
from bench.store import folders
from bench.teachers import plans
from bench.teachers.teacher import Asked, LiveSignals, RowSignals
from bench.training.average import Average
from bench.training.evaluation import Evaluation
from bench.training.feed import Feed
from bench.training.order import epoch_order
from tests.baselines.test_behaviour import distil
from tests.worlds.tools import TOY, alike, interrupted, planned, trained

CPU, QUIET = torch.device("cpu"), Console(quiet=True)
BRIEF = ["teach=4", "batch_size=16", "evaluations=1"]


def spec_of(*settings: str, method: str = "kd", updates: int = 4):
    settings = (f"updates={updates}", *BRIEF, *settings)
    (spec,) = resolve(Request(["images/digits"], [method], ["plain:2"], "plain:4", settings=settings))
    return spec


def fed(*settings: str, console: Console = QUIET):
    """(feed, student, teacher) of a kd run on digits."""
    spec = spec_of(*settings)
    teacher = protocol.make_teacher(spec, CPU, console)
    student = protocol.build_student(spec, teacher).eval()
    method = protocol.build_method(spec, student, {"teacher": teacher}, Evaluation(spec.task, "dev"))
    (stage,) = Kd.stages(method)
    return Feed(stage, method.run, {"student": student}, {"teacher": teacher}, 0), student, teacher


def test_views_are_stored_and_the_same_as_of_a_teacher_that_runs():
    feed, _, teacher = fed("randaugment=9", "erasing=0.5")
    assert isinstance(feed.sources["teacher"], RowSignals) and feed.examples.views == 1024
    live = LiveSignals(teacher, Asked(feed.examples, frozenset({"logits"}), None, "evaluate"))
    for step, rows in enumerate(feed.order(0)):
        served, batch = feed.batch(rows, step, CPU)
        again = live.rows(flat(feed._viewed(feed.examples.groups[rows], step)))
        torch.testing.assert_close(served["teacher"].logits, again.logits, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(  # both read the same pixels: their means and deviations are alike
            served["teacher"].logits, teacher.network(batch.inputs["student"], frozenset({"logits"})).logits.detach(),
            rtol=1e-4, atol=1e-5,
        )  # fmt: skip
        assert batch.labels.shape == (16,)


def test_mixed_images_have_a_teacher_in_every_step_that_reads_the_same_mixture(capsys):
    feed, _, teacher = fed("mixup=0.8", "cutmix=1", "smoothing=0.1", console=Console())
    assert isinstance(feed.sources["teacher"], LiveSignals)
    assert "mixed, so it runs in every step" in capsys.readouterr().err
    for step, rows in enumerate(feed.order(0)):
        served, batch = feed.batch(rows, step, CPU)
        mixture = feed.examples.mixing.draw((0, 3, step))
        plain = feed.encoded["student"].batch(feed._viewed(feed.examples.groups[rows], step))
        torch.testing.assert_close(batch.inputs["student"]["pixels"], mixture.inputs(plain)["pixels"])
        found = teacher.network(batch.inputs["student"], frozenset({"logits"})).logits.detach()
        torch.testing.assert_close(served["teacher"].logits, found, rtol=1e-4, atol=1e-5)
        assert batch.labels.shape == (16, 10)
        torch.testing.assert_close(batch.labels.sum(1), torch.ones(16))
    assert teacher.forwards["computed"] == 4 * 16


def test_smoothed_labels_alone_leave_the_store_in_use():
    feed, *_ = fed("smoothing=0.1")
    assert not isinstance(feed.sources["teacher"], LiveSignals)
    _, batch = feed.batch(next(iter(feed.order(0))), 0, CPU)
    assert sorted(batch.labels.unique().tolist()) == pytest.approx([0.01, 0.91])


def test_repeats_lie_side_by_side_in_other_views():
    order = epoch_order(np.ones(100), 12, (0, 0), "plain", 3)
    assert order.shape == (8, 12)
    assert (order.reshape(8, 4, 3) == order.reshape(8, 4, 3)[:, :, :1]).all() and len(np.unique(order)) == 32
    feed, *_ = fed("repeats=2", "randaugment=9")
    rows = next(iter(feed.order(0)))
    assert len(set(rows)) == 8 and len(set(flat(feed._viewed(feed.examples.groups[rows], 0)))) == 16


def test_a_recipe_is_the_students_and_rows_with_and_without_it_share_a_teacher():
    plain, strong = spec_of(), spec_of("randaugment=9", "mixup=0.8", "precision=bfloat16")
    assert plain.values["versions"]["teacher"] == strong.values["versions"]["teacher"]
    task = plans.lesson(strong.task)
    assert task.track == plain.task.track and plans.lesson(plain.task) is plain.task
    found = task.examples("supervised")
    assert not found.mixed and found.views == plain.task.examples("supervised").views
    assert found.inputs.digest == plain.task.examples("supervised").inputs.digest
    assert strong.task.examples("supervised").mixed, "the student's own is as it was"


def test_a_recipe_changes_what_is_stored_and_not_the_data():
    plain, strong = spec_of(), spec_of("randaugment=9")
    assert plain.values["data"] == strong.values["data"] and plain.run_id != strong.run_id
    images, augmented = (s.task.examples("distil").inputs for s in (plain, strong))
    assert images.digest != augmented.digest and np.array_equal(images.pixels, augmented.pixels)
    assert "randaugment" not in plain.values["settings"]["track"]
    notes = spec_of("randaugment=9", "mixup=0.8").task.card().notes
    assert "randaugment 9, mixup 0.8, for the student, and of its teacher's answers" in notes
    assert any("the teacher runs in every update" in note for note in notes)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ("erasing=2", "erasing must be from 0 to 1"), ("randaugment=11", "randaugment must be from 0 to 10"),
        ("mixup=-1", "mixup must be 0 or more"), ("repeats=0", "repeats must be at least 1"),
        ("ema=1", "ema must be from 0"), ("mixop=1", "did you mean mixup"),
    ],
)  # fmt: skip
def test_what_is_refused(setting, says):
    with pytest.raises(RequestError, match=says):
        spec_of(setting)


def test_other_tasks_have_no_such_settings():
    with pytest.raises(RequestError, match="unknown setting 'mixup'"):
        resolve(Request(["sts"], ["kd"], ["bert:2"], settings=["mixup=0.8"]))


def test_crd_needs_one_class_an_image():
    with pytest.raises(RequestError, match="crd: negatives are of other classes"):
        distil(Request(["images/digits"], ["crd"], ["plain:2"], "plain:4", settings=["updates=4", *BRIEF, "mixup=1"]))


def test_the_mean_of_weights_by_hand_where_two_names_share_them():
    network = torch.nn.ModuleDict({"one": torch.nn.Linear(2, 2), "norm": torch.nn.BatchNorm1d(2)})
    network["other"] = network["one"]
    average, kept = Average(network, 0.9), network["one"].weight.detach().clone()
    for value in (1.0, 2.0):
        with torch.no_grad():
            network["one"].weight.fill_(value)
            network["norm"].running_mean.fill_(value)
        average.update()
    expected = 0.9 * (0.9 * kept + 0.1) + 0.2
    with average.in_place():
        torch.testing.assert_close(network["one"].weight.detach(), expected)
        torch.testing.assert_close(network["norm"].running_mean, torch.full((2,), 0.9 * 0.1 + 0.2))
    assert (network["one"].weight == 2).all() and (network["norm"].running_mean == 2).all()


def test_the_mean_is_what_is_judged_and_kept(monkeypatch):
    seen = []
    spec = spec_of("ema=0.8", method="finetune", updates=40)
    teacher = protocol.make_teacher(spec, CPU, QUIET)
    assert teacher.network  # taught before the student is drawn, as in a run
    first = protocol.build_student(spec, teacher).stem[0].weight.detach().clone()

    def noted(self, progress):
        seen.append(self.run.student.stem[0].weight.detach().clone())

    monkeypatch.setattr(Finetune, "after_update", noted)
    found = protocol.distil(spec, folders.make_folder(folders.root() / "runs" / spec.run_id), CPU, QUIET)
    assert found.dev > 0.3  # the start was not better
    mean = first
    for weight in seen:
        mean = 0.8 * mean + 0.2 * weight
    torch.testing.assert_close(found.student.stem[0].weight.detach(), mean)
    assert not torch.allclose(seen[-1], mean)


def test_an_interrupted_run_goes_on_with_its_mean(monkeypatch, tmp_path):
    """Without the mean of before, what is judged and kept would be another network."""
    settings = ("evaluations=3", "teach=4", "updates=60", "lr=0.05")
    spec = planned(TOY, "finetune", "bow:8", "bow:16", "ema=0.9", *settings)
    whole, parts = trained(spec, tmp_path / "whole"), interrupted(spec, tmp_path / "parts", monkeypatch)
    assert alike(whole, parts)
    plain = trained(planned(TOY, "finetune", "bow:8", "bow:16", *settings), tmp_path / "plain")
    assert not alike(whole, plain)
