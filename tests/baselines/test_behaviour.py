"""Every method on real data, small: a student of images learns, and one of texts comes nearer to its teacher."""

from __future__ import annotations

import pytest
import torch

from bench.base.console import Console
from bench.runs import protocol
from bench.runs.spec import Request, resolve
from bench.runs.sweep import run_one
from bench.store import folders
from bench.training.evaluation import Evaluation
from tests.factories.commands import brief_clock
from tests.factories.runs import ROOT, save_teacher

CPU, QUIET = torch.device("cpu"), Console(quiet=True)
IMAGES = ["updates=40", "teach=60", "batch_size=32", "evaluations=2"]


def distil(request):
    """The trained student's run, without its measuring."""
    (spec,) = resolve(request)
    with brief_clock():
        for _, helper in spec.wanted:
            run_one(helper, folders.root() / "results", CPU, QUIET)
    return protocol.distil(spec, folders.make_folder(folders.root() / "runs" / spec.run_id), CPU, QUIET)


def curve(found, name):
    return [p["losses"][name] for p in found.trainer.progress.curve if name in p["losses"]]


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("finetune", []), ("kd", []), ("kd", ["kd.form=logits"]), ("rkd", []), ("crd", ["crd.negatives=256"]),
        ("fitnets", []), ("fitnets", ["fitnets.stages=2"]), ("dml", []), ("annealing", []),
        ("continuation", ["continuation.psi=cifar", "continuation.reduction=mean"]), ("simkd", []),
    ],
)  # fmt: skip
def test_digits_are_learnt(method, settings):
    """Chance is 0.1."""
    found = distil(Request(["images/digits"], [method], ["plain:2"], "plain:4", settings=[*IMAGES, *settings]))
    assert found.dev > 0.5
    assert sum(s.updates for s in found.trainer.method.stages()) == 40


@pytest.mark.parametrize(
    ("method", "assistants"),
    [("takd", '["plain:4"]'), ("ta_ensemble", '["plain:4","plain:2"]')],
)
def test_digits_are_learnt_from_assistants(method, assistants):
    settings = [*IMAGES, f"{method}.assistants={assistants}"]
    found = distil(Request(["images/digits"], [method], ["plain:2"], "plain:4", settings=settings))
    assert found.dev > 0.5
    if method == "ta_ensemble":
        weights = found.trainer.method.weights
        assert weights.sum().item() == pytest.approx(1) and (weights >= 0).all()


def test_runs_that_come_first_are_trained_again_where_records_alone_are_left(tmp_path, monkeypatch):
    """As of records that were committed: the second assistant, and the first one, from which it learns."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    settings = ["updates=4", "teach=4", "batch_size=16", "evaluations=1", 'takd.assistants=["plain:4","plain:2"]']
    request = Request(["images/digits"], ["takd"], ["plain:2"], "plain:4", settings=settings)
    first = distil(request).student.state_dict()
    kept = list((folders.root() / "runs").rglob("student.safetensors"))
    assert len(kept) == 2
    for file in kept:
        file.unlink()
    again = distil(request).student.state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first) and all(file.is_file() for file in kept)


def test_a_distillation_token_learns():
    """A few images, over and over: a vision transformer is slow to begin."""
    settings = ["updates=80", "examples=64", *IMAGES[1:], "vit.distillation=true", "deit.lr=2e-3"]
    found = distil(Request(["images/digits"], ["deit"], ["vit:1x96x3"], "plain:4", settings=settings))
    for name in ("hard", "teacher"):
        first, *_, last = curve(found, name)
        assert last < 0.9 * first


@pytest.fixture(scope="module")
def deep(tmp_path_factory):
    return str(save_teacher(tmp_path_factory.mktemp("teacher") / "deep", layers=4))


@pytest.mark.parametrize(
    ("method", "settings", "loss"),
    [
        ("pkd", [], "patience"), ("distilbert", [], "cosine"), ("minilm", [], "values"),
        ("minilm", ["minilm.version=v2"], "values"), ("tinybert", [], "hidden"), ("tinybert", [], "attention"),
        ("revisited", ["revisited.match=gap:hidden_mse,last1:qkv_relation"], "qkv_relation"),
        ("grain", ["grain.density=0.5", "grain.rank=0"], "hidden"),
    ],
)  # fmt: skip
def test_layers_come_nearer_to_the_teachers(deep, method, settings, loss):
    """A student with random weights, of the teacher's width; its inner vectors move towards the teacher's."""
    request = Request(
        [str(ROOT / "tests/factories/toy.py")], [method], ["bert:2x48x4x96"], deep,
        settings=["updates=16", "batch_size=8", "teach=1", "bert.init=random", f"{method}.lr=1e-3", *settings],
    )  # fmt: skip
    first, *_, last = curve(distil(request), loss)
    assert last < first


def test_the_two_that_learn_from_each_other_are_two(tmp_path, teacher):
    """Of a student that starts from its teacher's layers and head, as the default for texts does."""
    (tmp_path / "CR").mkdir()
    for name, word in (("custrev.neg", "bad"), ("custrev.pos", "good")):
        (tmp_path / "CR" / name).write_text("".join(f"{word} thing number {n}\n" for n in range(40)))
    settings = ["updates=2", "batch_size=4", "evaluations=1", "teach=2"]
    request = Request(["text/cr"], ["dml"], ["bert:1"], str(teacher), "lite", data_dir=tmp_path, settings=settings)
    (spec,) = resolve(request)
    teachers = protocol.make_teachers(spec, CPU, QUIET)
    student = protocol.build_student(spec, teachers["teacher"])
    peer = protocol.build_method(spec, student, teachers, Evaluation(spec.task, "dev")).peer
    differing = [n for n, p in peer.named_parameters() if not torch.equal(p, student.get_parameter(n))]
    assert student.origin.startswith("teacher layers")
    assert {"model.classifier.weight", "model.classifier.bias"} <= set(differing)
