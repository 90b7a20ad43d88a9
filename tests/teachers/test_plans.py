"""Teachers that are taught: once, with a record, found again; wrong ones are refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from bench.base.console import Console
from bench.errors import RequestError
from bench.kinds.classify import Classify
from bench.networks import places
from bench.plugins.registry import find, load
from bench.records import disk
from bench.records.check import Folder, examined
from bench.runs import protocol, teach
from bench.runs.spec import Request, resolve
from bench.runs.sweep import run_all
from bench.scoring.swapped import best_order, swapped
from bench.sources import Source
from bench.store import folders
from bench.teachers import plans
from bench.training import checkpoint
from bench.training.evaluation import Evaluation
from tests.factories.commands import brief_clock
from tests.factories.runs import ROOT

TOY = str(ROOT / "tests/factories/toy.py")
CPU, QUIET = torch.device("cpu"), Console(quiet=True)


def task():
    made = load(find("task", TOY))(Source("packaged"), "mini")
    made.name = "toy"
    return made


@pytest.fixture(scope="module")
def taught():
    """(place, first network) of a shape that was trained on the toy task."""
    place = plans.locate("bow:8", task())
    return place, teach.ensure(place.origin, CPU, QUIET)


def test_it_is_taught_once_and_read_afterwards(taught, monkeypatch):
    place, first = taught
    monkeypatch.setattr(teach, "teach", lambda *_: pytest.fail("taught again"))
    again = teach.ensure(place.origin, CPU, QUIET)
    assert all(torch.equal(a, b) for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True))


def test_its_record_is_published_valid_and_checked(taught, tmp_path):
    path = teach.publish(taught[0], tmp_path)
    record = disk.read_teacher(path)
    assert (record.model, record.task, record.cost.student_updates, record.cost.teacher_forwards) == (
        "bow:8", "toy", 12, 0,
    )  # fmt: skip
    assert record.dev == max(p["dev"] for p in record.curve if "dev" in p)
    assert examined(path, Folder(tmp_path)) == []
    raw = json.loads(path.read_text())
    for change in ({"dev": 0.5}, {"key": "other"}, {"schema": 2}, {"curve": 3}):
        path.write_text(json.dumps(raw | change))
        assert examined(path, Folder(tmp_path)), change
    path.write_text("{")
    assert "not valid JSON" in examined(path, Folder(tmp_path))[0]


def test_other_data_another_shape_and_other_updates_are_other_teachers():
    plain = plans.locate("bow:8", task()).identity
    other = task()
    teach_longer = task()
    other.track = other.track.__class__(**(vars(other.track) | {"examples": 64}))
    teach_longer.track = teach_longer.track.__class__(**(vars(teach_longer.track) | {"teach": 30}))
    found = [plans.locate("bow:8", other), plans.locate("bow:8", teach_longer), plans.locate("bow:4", task())]
    assert len({plain, *(p.identity for p in found)}) == 4


def test_a_teacher_that_is_taught_apart_is_the_same_for_students_of_any_length():
    """With `teach` the student's updates decide nothing of it, and `teach` is its updates."""

    def identity(*settings):
        (spec,) = resolve(Request([TOY], ["kd"], ["bow:8"], "bow:16", settings=settings))
        return spec.place.identity

    assert identity("teach=5", "updates=3") == identity("teach=5", "updates=4") == identity("updates=5")
    assert identity("teach=5", "updates=3") != identity("teach=6", "updates=3")


def test_a_rate_of_its_own_teaches_another_teacher_and_is_in_its_record(tmp_path):
    (plain,), (fast,) = (
        resolve(Request([TOY], ["kd"], ["bow:8"], "bow:16", settings=settings))
        for settings in ((), ("teach_rate=0.02", "teach_precision=bfloat16", "precision=float32"))
    )
    assert fast.place.identity != plain.place.identity
    assert (fast.task.track.precision, plans.lesson(fast.task).track.precision) == ("float32", "bfloat16")
    assert fast.values["settings"] == plain.values["settings"]
    teach.ensure(fast.place.origin, CPU, QUIET)
    told = disk.read_teacher(teach.publish(fast.place, tmp_path)).settings
    assert (told["optimiser"]["lr"], told["track"]["teach_precision"]) == (0.02, "bfloat16")
    with pytest.raises(RequestError, match="teach_rate must be from 0"):
        resolve(Request([TOY], ["kd"], ["bow:8"], "bow:16", settings=("teach_rate=2",)))


def test_an_encoder_gets_a_head_and_a_ready_classifier_is_taken_as_it_is(teacher, tmp_path):
    encoder = plans.locate(str(teacher), task())
    assert plans.untaught(encoder) and encoder.identity.startswith("taught ")
    from bench.networks.transformer import load_classifier

    ready = load_classifier(places.locate(str(teacher), task()).path, Classify(2), new_head=True)
    ready.model.save_pretrained(tmp_path / "ready")
    ready.tokenizer.save_pretrained(tmp_path / "ready")
    assert plans.locate(str(tmp_path / "ready"), task()).origin is None


def test_a_head_of_another_size_is_refused(teacher, tmp_path):
    from bench.networks.transformer import load_classifier

    made = load_classifier(places.locate(str(teacher), task()).path, Classify(3), new_head=True)
    made.model.save_pretrained(tmp_path)
    made.tokenizer.save_pretrained(tmp_path)
    with pytest.raises(RequestError, match="gives 3 outputs and the task has 2"):
        load_classifier(tmp_path, Classify(2))


def test_swapped_classes_are_an_error_and_a_bad_teacher_is_not():
    gold, goal = task().labels("dev"), Classify(2, ("without", "with"))
    doubt = lambda logits: goal.doubt([goal.predictions(logits, gold)])  # noqa: E731
    right = np.eye(2)[gold]
    assert not doubt(right)
    assert "if its classes are with, without: its classes are in another order" in doubt(right[:, ::-1])
    assert not doubt(np.repeat([[0.0, 1.0]], 100, 0))  # always the same: bad, and no swap
    assert not doubt(np.random.default_rng(0).normal(size=right.shape))
    few, luck = [0, 1] * 15, np.eye(2)[[0, 1] * 5 + [1, 0] * 10]  # a third of thirty is right: luck, and no other order
    assert not goal.doubt([goal.predictions(luck, np.array(few))])
    assert goal.doubt([goal.predictions(np.eye(2)[few][:, ::-1], np.array(few))])


def test_an_order_that_luck_finds_among_few_examples_is_no_doubt():
    """100 classes in 20 groups, 10 images of each, as of CIFAR-100: a teacher that knows the group alone is right in a
    fifth, and the best of all orders in a third. Nor is what four examples say."""
    rng, names = np.random.default_rng(0), tuple(map(str, range(100)))
    gold = np.repeat(np.arange(100), 10)
    weak = 5 * (gold // 5) + rng.choice(5, size=1000, p=[0.4, 0.3, 0.1, 0.1, 0.1])
    right = [np.mean(p == gold) for p in (weak, best_order(weak, gold, 100)[weak])]
    assert right[1] - right[0] > 0.1 and not swapped(weak, gold, names)
    turned = np.where(rng.random(1000) < 0.5, (gold + 1) % 100, rng.integers(100, size=1000))
    assert "another order" in swapped(turned, gold, names)
    few = np.array([0, 0, 1, 1])
    assert not swapped(1 - few, few, ("no", "yes")) and swapped(1 - np.tile(few, 5), np.tile(few, 5), ("no", "yes"))


def test_a_teacher_with_swapped_classes_is_refused_before_training(tmp_path):
    """Its head's rows in the other order."""
    taught_place = plans.locate("bow:8", task())
    network = teach.ensure(taught_place.origin, CPU, QUIET)
    (spec,) = resolve(Request([TOY], ["kd"], ["bow:8"], teacher="bow:8", settings=["updates=1"]))
    teacher = protocol.make_teacher(spec, CPU, QUIET)
    teacher.opened = lambda *_: network
    dev = Evaluation(spec.task, "dev")
    dev.of_teacher = lambda _: np.eye(2)[1 - spec.task.labels("dev")]
    with pytest.raises(RequestError, match="the teacher bow:8 finds 0% of a class on dev, and 100% if"):
        protocol.check_teacher(spec, teacher, dev)


def test_an_assistant_is_a_run_of_its_own_and_is_reused(tmp_path, monkeypatch):
    (tmp_path / "chain.py").write_text(
        "from bench.method import Method, Wanted\n\n\n"
        "class Chain(Method):\n"
        '    needs = {"logits"}\n\n'
        "    @staticmethod\n"
        "    def wanted(settings):\n"
        '        return [Wanted("a", "bow:6"), Wanted("b", "bow:4", teacher="a")]\n\n'
        "    def stages(self):\n"
        "        both = [self.run.dev_outputs(name) for name in ('a', 'b')]\n"
        "        assert both[0].shape == both[1].shape == (100, 2)\n"
        "        assert 0 <= self.run.dev_score(both[0]) <= 1\n"
        '        yield self.stage("chain", self.loss, updates=4, needs=self.needs, teacher=["a", "b"])\n\n'
        "    def loss(self, student, teachers, batch):\n"
        "        assert len(teachers) == 2\n"
        "        pairs = [self.goal.pair(student, t, batch) for t in teachers]\n"
        "        return {str(n): self.goal.match(*pair) for n, pair in enumerate(pairs)}\n"
    )
    request = Request([TOY], [str(tmp_path / "chain.py")], ["bow:8"], teacher="bow:8")
    (spec,) = resolve(request)
    (_, first), (_, second) = spec.wanted
    assert first.place.identity == spec.place.identity and second.place.identity == f"run {first.run_id}"
    assert spec.values["versions"]["assistants"] == [first.run_id, second.run_id]
    with brief_clock():
        outcomes, status = run_all([spec], tmp_path / "results", "cpu", QUIET)
    assert status == 0, outcomes[0]["error"]
    written = {p.stem for p in (tmp_path / "results/mini").rglob("*.json")}
    assert written == {first.run_id, second.run_id, spec.run_id}
    kept = folders.root() / "runs" / first.run_id / "student.safetensors"
    assert checkpoint.load(kept) is not None
    record = disk.read(disk.path_of(tmp_path / "results", second.values, second.run_id))
    assert record.teacher.name == "kd/bow:6" and record.spec["method"] == "kd"


def test_another_seed_is_another_teacher_of_the_same_model(taught, tmp_path):
    place = plans.locate("bow:8~1", task())
    assert (place.name, place.origin.seed, plans.locate("bow:8~0", task()).identity) == (
        "bow:8~1",
        1,
        taught[0].identity,
    )
    assert place.identity != taught[0].identity
    network = teach.ensure(place.origin, CPU, QUIET)
    assert any(not torch.equal(a, b) for a, b in zip(network.parameters(), taught[1].parameters(), strict=True))
    record = disk.read_teacher(teach.publish(place, tmp_path))
    assert (record.model, record.seed) == ("bow:8~1", 1)


def test_the_runs_own_teacher_is_known_by_its_role(taught, teacher, tmp_path):
    own = taught[0]
    assert plans.locate("teacher", task(), own) is own
    assert plans.locate("teacher~2", task(), own).identity == plans.locate("bow:8~2", task()).identity
    ready = places.Place("ready", "ready", "", tmp_path)
    with pytest.raises(RequestError, match="ready solves the task as it is: there is no seed to teach it with"):
        plans.locate("teacher~1", task(), ready)


def test_other_models_teach_beside_the_runs_own(tmp_path):
    """A method names them; each is taught, is checked, is part of the run's id, and leaves its own record."""
    (tmp_path / "several.py").write_text(
        "from bench.method import Method\n\n\n"
        "class Several(Method):\n"
        '    needs = {"logits"}\n\n'
        "    @staticmethod\n"
        "    def teachers(settings):\n"
        '        return ["bow:4", "teacher~1"]\n\n'
        "    def stages(self):\n"
        '        names = ["teacher", "bow:4", "teacher~1"]\n'
        '        yield self.stage("several", self.loss, updates=4, needs=self.needs, teacher=names)\n\n'
        "    def loss(self, student, teachers, batch):\n"
        "        first, *others = [t.logits for t in teachers]\n"
        "        assert all(not first.equal(other) for other in others)\n"
        "        return {str(n): self.goal.match(*self.goal.pair(student, t, batch)) for n, t in enumerate(teachers)}\n"
    )
    request = Request([TOY], [str(tmp_path / "several.py")], ["bow:8"], teacher="bow:8")
    (spec,) = resolve(request)
    known = [plans.locate(name, spec.task).identity for name in ("bow:4", "bow:8~1")]
    assert spec.values["versions"]["teachers"] == known
    with brief_clock():
        outcomes, status = run_all([spec], tmp_path / "results", "cpu", QUIET)
    assert status == 0, outcomes[0]["error"]
    models = {disk.read_teacher(path).model for path in (tmp_path / "results/teachers").glob("*.json")}
    assert models == {"bow:8", "bow:4", "bow:8~1"}
    record = disk.read(disk.path_of(tmp_path / "results", spec.values, spec.run_id))
    assert record.cost.teacher_forwards + record.cost.teacher_forwards_reused == 3 * 96
