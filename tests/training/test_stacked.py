"""Seeds that are trained together: each as if it were alone, in double precision, where rounding hides no mistake."""

import json

import pytest
import torch

from bench.base.console import Console
from bench.data.images import Images
from bench.errors import RequestError
from bench.records import disk
from bench.runs import group, protocol, replay, verify
from bench.runs.spec import Request, resolve
from bench.runs.sweep import run_all, teach_all
from bench.tasks.images import Packaged
from bench.training.loop import Trainer
from bench.training.stacked import clip
from bench.training.together import Together
from tests.factories.runs import ROOT, bench, runs_of, save_teacher

QUIET, CPU = Console(quiet=True), torch.device("cpu")
TOY = str(ROOT / "tests" / "toy.py")
SMALL = ("updates=6", "batch_size=8", "examples=64", "evaluations=2", "teach=4")
STACKED = "seeds=stacked"


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """An encoder without dropout, and so its students."""
    return str(save_teacher(tmp_path_factory.mktemp("teacher") / "tiny", dropout=0.0))


@pytest.fixture
def double(monkeypatch):
    """Students and methods in double precision; each trainer keeps the tensors that a stage ended with."""
    for name in ("build_student", "build_method"):
        build = getattr(protocol, name)
        for module in (protocol, group):
            monkeypatch.setattr(module, name, lambda *a, build=build: build(*a).double())
    use_best = Trainer._use_best

    def noted(self):
        self.last = {name: tensor.clone() for name, tensor in self._state().items()}
        use_best(self)

    monkeypatch.setattr(Trainer, "_use_best", noted)


@pytest.fixture
def small(monkeypatch, tmp_path):
    """The digits as they are, 8 x 8, and 48 of each split; a store of their own, as their key knows nothing of it."""
    splits = Packaged.splits

    def cut(self, cap):
        return {
            name: (Images(images.pixels[:48, :, ::4, ::4].copy()), labels[:48])
            for name, (images, labels) in splits(self, cap).items()
        }

    monkeypatch.setattr(Packaged, "splits", cut)
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "store"))


def specs(teacher, task, method, student, *settings, seeds=(0, 1, 2)):
    return resolve(Request([task], [method], [student], teacher, "mini", seeds, None, [*SMALL, *settings]))


@pytest.mark.parametrize(
    ("task", "method", "student"),
    [
        ("sts", "kd", "bert:1x24x2"),  # a projection beside the student, batches of other lengths
        (TOY, "kd", "bert:1"),
        ("images/digits", "kd", "resnet:8"),  # batch normalisation, SGD
        ("images/digits", "fitnets", "resnet:8"),  # both in the method too, and a teacher that runs in every step
    ],
)
def test_every_seed_of_a_stack_is_what_it_is_alone(teacher, double, small, tmp_path, task, method, student):
    named = "resnet:8" if task.startswith("images") else teacher
    stack = specs(named, task, method, student, STACKED)
    together = group.distil(stack, tmp_path / "stack", CPU, QUIET)
    for spec, found in zip(specs(named, task, method, student), together, strict=True):
        alone = protocol.distil(spec, tmp_path / str(spec.seed), CPU, QUIET)
        assert losses(found) == [pytest.approx(values, rel=1e-8) for values in losses(alone)]
        assert [p.get("dev") for p in found.trainer.progress.curve] == [
            p.get("dev") for p in alone.trainer.progress.curve
        ]
        assert found.dev == alone.dev
        close(found.trainer.last, alone.trainer.last)
        close(found.student.state_dict(), alone.student.state_dict())
        assert all(p.untyped_storage().nbytes() == p.nbytes for p in found.student.parameters())  # no view of the stack
    forwards = [sum(d.teacher.forwards.values()) for d in together]
    assert max(forwards) - min(forwards) <= 2 and sum(forwards) == 3 * sum(alone.teacher.forwards.values())


def losses(distilled):
    return [point["losses"] for point in distilled.trainer.progress.curve]


def close(found, wanted):
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        torch.testing.assert_close(found[name], tensor, rtol=1e-8, atol=1e-9, msg=name)


def test_an_interrupted_stack_goes_on_to_the_same_result(teacher, tmp_path, monkeypatch):
    """With dropout: the random numbers are those of an undisturbed run too."""
    stack = specs("all-MiniLM-L6-v2", "sts", "kd", "cnn:4", STACKED, "cnn.dropout=0.3", seeds=(0, 1))
    whole = group.distil(stack, tmp_path / "whole", CPU, QUIET)
    losses_of, calls = Together._losses, []

    def interrupted(self, *given):
        calls.append(1)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return losses_of(self, *given)

    monkeypatch.setattr(Together, "_losses", interrupted)
    with pytest.raises(KeyboardInterrupt):
        group.distil(stack, tmp_path / "broken", CPU, QUIET)
    resumed = group.distil(stack, tmp_path / "broken", CPU, QUIET)
    assert len(calls) == 5 + 3  # update 3 was the last that was kept
    for a, b in zip(whole, resumed, strict=True):
        assert a.trainer.progress.curve == b.trainer.progress.curve
        assert all(torch.equal(t, b.student.state_dict()[n]) for n, t in a.student.state_dict().items())


def test_gradients_are_clipped_for_each_replica():
    torch.manual_seed(0)
    shapes = [(3, 4, 5), (3, 7), (3,)]
    grads = [
        torch.randn(shape) * torch.tensor([0.01, 1.0, 10.0]).reshape(3, *[1] * (len(shape) - 1)) for shape in shapes
    ]
    stacked = [torch.zeros(shape, requires_grad=True) for shape in shapes]
    for p, g in zip(stacked, grads, strict=True):
        p.grad = g.clone()
    clip(stacked, 1.0)
    for k in range(3):
        alone = [torch.zeros(g[k].shape, requires_grad=True) for g in grads]
        for p, g in zip(alone, grads, strict=True):
            p.grad = g[k].clone()
        torch.nn.utils.clip_grad_norm_(alone, 1.0)
        for p, s in zip(alone, stacked, strict=True):
            torch.testing.assert_close(s.grad[k], p.grad)


@pytest.mark.parametrize(
    ("task", "method", "student", "seeds", "why"),
    [
        ("sts", "kd", "bow:8", (0,), "several seeds"),
        ("images/digits", "crd", "resnet:8", (0, 1), "acts between the steps"),
        ("images/digits", "takd", "resnet:8", (0, 1), "assistants are others for each seed"),
    ],
)
def test_what_a_method_declares_is_refused_before_anything_runs(teacher, task, method, student, seeds, why):
    with pytest.raises(RequestError, match=why):
        specs("resnet:8" if task != "sts" else teacher, task, method, student, STACKED, seeds=seeds)


@pytest.mark.parametrize(
    ("task", "method", "student", "why"),
    [
        ("sts", "disco", "bow:8", "change what the method holds"),  # a queue
        ("sts", "kd", "bilstm:1x8", "vmap cannot compute"),  # an LSTM over packed sequences
        (TOY, "tinybert", "bert:1", "padded longer"),  # means over padding too
    ],
)
def test_what_one_batch_shows_is_refused_before_the_first_update(teacher, tmp_path, task, method, student, why):
    with pytest.raises(RequestError, match=why):
        group.distil(specs(teacher, task, method, student, STACKED), tmp_path, CPU, QUIET)


def test_a_teacher_whose_dropout_is_on_is_refused(teacher, tmp_path):
    stack = specs(teacher, "sts", "disco", "bow:8", STACKED, "replicate=true")
    with pytest.raises(RequestError, match="dropout on"):
        group.distil(stack, tmp_path, CPU, QUIET)


def test_the_mask_that_a_stack_needs_changes_nothing(teacher):
    (spec,) = specs(teacher, TOY, "kd", "bert:1", seeds=(0,))
    of = protocol.make_teacher(spec, CPU, QUIET)
    student = protocol.build_student(spec, of).eval()
    batch = student.encode(["a", "some more words", "five words are in this"]).batch([0, 1, 2])
    found = student(batch, frozenset({"logits", "hidden"}))  # with gradient: a mask (B, 1, L, L)
    with torch.no_grad():
        plain = student(batch, frozenset({"logits", "hidden"}))
    torch.testing.assert_close(found.logits.detach(), plain.logits, rtol=1e-6, atol=1e-6)


def test_only_a_stack_has_its_seeds_in_the_run_id(teacher):
    alone, stack = specs(teacher, "sts", "kd", "bow:8"), specs(teacher, "sts", "kd", "bow:8", STACKED)
    assert not {"stack", "seeds"} & {*alone[0].values, *alone[0].values["settings"]["track"]}
    assert [s.values["stack"] for s in stack] == [[0, 1, 2]] * 3
    two = specs(teacher, "sts", "kd", "bow:8", STACKED, seeds=(1, 0))
    assert len({s.run_id for s in (*alone, *stack, *two)}) == 8
    assert group.siblings(stack[1])[2].run_id == stack[2].run_id


@pytest.mark.slow
def test_three_seeds_through_the_command(teacher, tmp_path, monkeypatch):
    arguments = [
        "run", "--task", "sts", "--method", "kd", "--teacher", teacher, "--student", "bert:1x24x2", "--seeds", "2,0,1",
        "--results", tmp_path / "r", *(w for s in (*SMALL, STACKED) for w in ("--set", s)), "--json",
    ]  # fmt: skip
    outcomes = runs_of(bench(*arguments, cache=tmp_path / "c"))
    assert [(o["seed"], o["status"]) for o in outcomes] == [(0, "done"), (1, "done"), (2, "done")]
    found = [disk.read(tmp_path / "r" / o["record"]) for o in outcomes]
    assert len({r.cost.train_seconds for r in found}) == 1 and found[0].cost.student_updates == 6
    assert (
        sum(r.cost.teacher_forwards for r in found) == 64 and sum(r.cost.teacher_forwards_reused for r in found) == 128
    )
    assert len({r.predictions.sha256 for r in found}) == 3
    json.loads(bench("check", tmp_path / "r", "--json", cache=tmp_path / "c").stdout)

    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "c"))
    again, status = run_all(replay_specs(found[1]), tmp_path / "r", "cpu", QUIET)
    assert status == 0 and {o["status"] for o in again} == {"skipped"}
    (tmp_path / "r" / outcomes[1]["record"]).unlink()  # one is missing: all are trained
    again, _ = run_all(replay_specs(found[0]), tmp_path / "r", "cpu", QUIET)
    assert {o["status"] for o in again} == {"done"} and [o["value"] for o in again] == [o["value"] for o in outcomes]
    verdict = verify.verify(tmp_path / "r", outcomes[2]["run_id"], None, "cpu", QUIET)
    assert verdict["verdict"] == "same"
    assert "--seeds 0,1,2" in " ".join(replay.command_of(found[0]))


def replay_specs(record):
    return resolve(replay.request_of(record))


def test_a_teacher_has_one_seed(tmp_path):
    request = Request(["images/digits"], [], [], "resnet:8", "mini", (0,), None, [STACKED])
    with pytest.raises(RequestError, match="one seed"):
        teach_all(request, tmp_path, "cpu", QUIET)
