"""SimKD: losses and gradients equal numpy's, and what stays with the student is all of the network that is left."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from bench.baselines.simkd import Simkd, convolutions, dense
from bench.errors import RequestError
from bench.kinds.classify import Classify
from bench.method import Run
from bench.network import Network
from bench.networks.reused import last_layer, put_last
from bench.records import disk
from bench.records.check import check as checked
from bench.runs import sweep
from bench.runs.protocol import restore
from bench.signals import Signals
from bench.students.resnet import ResNet
from bench.students.shufflenetv2 import ShuffleNetV2
from bench.task import Track
from bench.training.checkpoint import trained as kept
from tests.baselines.tools import RNG, B, C, batch, check, total
from tests.factories.commands import brief_clock
from tests.students.pictures import read, task
from tests.worlds.tools import QUIET, TOY, alike, interrupted, planned, same, trained

CPU = torch.device("cpu")


class Vectors(Network):
    """An embedding of two numbers, and the classes of it."""

    offers = frozenset({"embedding", "logits"})

    def __init__(self, width: int, goal: Classify, scale: float = 1.0) -> None:
        super().__init__()
        self.width, self.goal, self.scale = width, goal, scale
        self.body, self.classifier = nn.Linear(2, width), nn.Linear(width, goal.outputs)

    def encode(self, inputs, max_length=None):
        return SimpleNamespace(batch=lambda rows: {"x": torch.arange(2.0 * len(rows)).view(-1, 2)})

    def forward(self, batch, want):
        found = self.body(batch["x"])
        return Signals(embedding=found, logits=self.scale * self.classifier(found))


def simkd(student: Network, teacher: Network, goal: Classify, examples, **settings) -> Simkd:
    run = Run(
        SimpleNamespace(goal=goal, kind="classify", examples=examples), Track(updates=20, batch_size=B), student.width,
        teacher.width, 0, student_shape=student.shape, teacher_shape=teacher.shape, student=student,
        opened=lambda name: teacher,
    )  # fmt: skip
    return Simkd(Simkd.Settings(**settings), run)


def of_vectors(ours: int = 3, theirs: int = 5, scale: float = 1.0) -> tuple[Simkd, Network, Network]:
    torch.manual_seed(0)
    goal = Classify(C)
    student, teacher = Vectors(ours, goal), Vectors(theirs, goal, scale)
    return simkd(student, teacher, goal, lambda name: SimpleNamespace(inputs=["a", "b"])), student, teacher


def of_images(student: str = "8", teacher: str = "8", family=ResNet) -> tuple[Simkd, Network, Network]:
    torch.manual_seed(0)
    ours = family(family.Settings()).build(student, task(), None)
    theirs = ResNet(ResNet.Settings()).build(teacher, task(), None)
    return simkd(ours, theirs, ours.goal, task().examples), ours, theirs


def weights(module: nn.Module) -> list[np.ndarray]:
    """Of the projector, BN's among them no 1 and no 0."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.tensor(RNG.normal(size=parameter.shape)))
    return [p.detach().numpy() for p in module.parameters()]


def normed(x: np.ndarray, scale: np.ndarray, shift: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """ReLU(BN(x)) of a batch whose channels are the second axis."""
    shape = (1, -1, *(1,) * (x.ndim - 2))
    z = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)
    return np.maximum(z * scale.reshape(shape) + shift.reshape(shape), 0)


def convolved(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    edge = w.shape[2] // 2
    padded = np.pad(x, ((0, 0), (0, 0), (edge, edge), (edge, edge)))
    height, width = x.shape[2:]
    return sum(
        np.einsum("oc,bcyx->boyx", w[:, :, i, j], padded[:, :, i : i + height, j : j + width])
        for i in range(w.shape[2]) for j in range(w.shape[3])
    )  # fmt: skip


def halved(x: np.ndarray) -> np.ndarray:
    return x.reshape(*x.shape[:2], x.shape[2] // 2, 2, x.shape[3] // 2, 2).mean((3, 5))


def test_loss_of_vectors() -> None:
    method = of_vectors()[0].double()
    first, shift, scale, offset, second, bias = weights(method.project)
    ours, theirs = RNG.normal(size=(B, 3)), RNG.normal(size=(B, 5))

    def by_hand(x: np.ndarray) -> float:
        return float(np.mean((normed(x @ first.T + shift, scale, offset, (0,)) @ second.T + bias - theirs) ** 2))

    teacher = Signals(embedding=torch.tensor(theirs))
    check(lambda x: total(method.vectors(Signals(embedding=x), teacher, batch())), ours, by_hand)


@pytest.mark.parametrize(("side", "other"), [(4, 2), (2, 4), (2, 2)])
def test_loss_of_maps(side: int, other: int) -> None:
    """The larger of the two maps is averaged down to the size of the other, the student's before it is projected."""
    method = of_images()[0]
    method.project, method.shrink.size = convolutions(3, 4, 2.0).double(), (other, other)
    one, s1, b1, two, s2, b2, three, s3, b3 = weights(method.project)
    assert (one.shape, two.shape, three.shape) == ((2, 3, 1, 1), (2, 2, 3, 3), (4, 2, 1, 1))
    ours, theirs = RNG.normal(size=(2, 3, side, side)), RNG.normal(size=(2, 4, other, other))
    target = halved(theirs) if other > side else theirs

    def by_hand(x: np.ndarray) -> float:
        for w, s, b in ((one, s1, b1), (two, s2, b2), (three, s3, b3)):
            x = normed(convolved(halved(x) if x.shape[2] > target.shape[2] else x, w), s, b, (0, 2, 3))
        return float(np.mean((x - target) ** 2))

    teacher = Signals(maps=(torch.tensor(theirs),))
    check(lambda x: total(method.maps(Signals(maps=(x,)), teacher, batch())), ours, by_hand)


def test_no_gradient_reaches_the_teacher() -> None:
    method, student, teacher = of_vectors()
    x = {"x": torch.randn(4, 2)}
    total(method.vectors(student(x, frozenset()), teacher(x, frozenset()), batch())).backward()
    assert student.body.weight.grad is not None and method.project[0].weight.grad is not None
    assert all(p.grad is None for p in teacher.parameters()) and student.classifier.weight.grad is None


def test_what_stays_of_vectors() -> None:
    method, student, teacher = of_vectors()
    x, layer = {"x": torch.randn(4, 2)}, teacher.classifier
    method.eval()
    expected = method.project(student(x, frozenset()).embedding) @ layer.weight.T + layer.bias
    body = sum(p.numel() for p in student.body.parameters())
    small = method.finish(student, teacher).eval()
    torch.testing.assert_close(small(x, frozenset()).logits, expected)
    assert sum(p.numel() for p in small.parameters()) == body + method.notes["parameters_that_stay"]
    assert method.notes["parameters_that_stay"] == (3 * 5 + 5) + 2 * 5 + (5 * 5 + 5) + (5 * C + C)
    assert {"classifier.1.weight", "classifier.0.1.running_mean"} <= set(kept(small))  # all of it is on disk
    assert small.classifier[1].weight is not layer.weight and teacher.classifier is layer


@pytest.mark.parametrize(("family", "size"), [(ResNet, "8"), (ShuffleNetV2, "0.5")])
def test_what_stays_of_maps(family, size: str) -> None:
    """The end of a student's own is gone, and its maps of 4 x 4 are projected as they are."""
    method, student, teacher = of_images(size, family=family)
    method.eval(), student.eval(), teacher.eval()
    assert method.mapped
    maps = read(student, {"maps"}).maps
    vectors = method.project(nn.functional.adaptive_avg_pool2d(maps[-1], min(8, maps[-1].shape[2]))).mean((2, 3))
    small = method.finish(student, teacher).eval()
    found = read(small, {"logits", "maps"})
    torch.testing.assert_close(found.logits, teacher.classifier(vectors))
    torch.testing.assert_close(found.embedding, vectors)
    assert small.width == teacher.width and {n for n, _ in small.named_children()} == {
        "stem", "stages", "adapter", "classifier"
    }  # fmt: skip


def test_teachers_whose_outputs_are_not_of_their_last_layer_are_refused() -> None:
    with pytest.raises(RequestError, match="not made by it alone"):
        of_vectors(scale=2.0)
    student = Vectors(3, Classify(C))
    student.again = nn.Linear(3, C)
    with pytest.raises(RequestError, match="no single last layer from 3 to"):
        last_layer(student, student.goal)


def test_a_classifier_of_transformers_keeps_them_in_its_graph(tmp_path) -> None:
    """And the library has no folder for it."""
    pytest.importorskip("onnxruntime")
    from bench.export import heads
    from tests.export.test_heads import INPUTS, student

    network = student("classify")
    put_last(network, network.goal, dense(network.width, 6), nn.Linear(6, network.goal.outputs))
    assert network.eval().width == 6
    found = network(network.encode(INPUTS["classify"]).batch(np.arange(2)), frozenset({"embedding", "logits"}))
    layer = network.get_submodule(last_layer(network, network.goal))
    torch.testing.assert_close(layer(found.embedding), found.logits)
    assert heads.difference(network, *heads.write("onnx", network, tmp_path), INPUTS["classify"]) < 1e-4
    with pytest.raises(RequestError, match="use --format onnx"):
        heads.write("hf", network, tmp_path)


SMALL = ("updates=8", "batch_size=8", "evaluations=2", "teach=4", "bow.vocabulary=300")


def test_a_run_is_gone_on_with_and_its_record_counts_what_stays(tmp_path, monkeypatch) -> None:
    def plan():
        return planned(TOY, "simkd", "bow:8", "bilstm:1x8", *SMALL)

    whole = trained(plan(), tmp_path / "whole")
    assert alike(whole, interrupted(plan(), tmp_path / "parts", monkeypatch))
    best = max(point["dev"] for point in whole.trainer.progress.curve if "dev" in point)
    assert whole.dev == pytest.approx(best)  # dev is read of what is left in the end
    with brief_clock():
        path = sweep.run_one(plan(), tmp_path / "results", CPU, QUIET)["record"]
    record = disk.read(Path(path))
    again = restore(plan(), CPU, QUIET)[0]
    assert same(again, whole.student)
    sizes = [p.numel() for p in again.parameters()]
    assert record.efficiency.parameters.total == sum(sizes)
    assert record.efficiency.disk_bytes > 4 * sum(sizes)
    assert sum(sizes) == again.table.weight.numel() + record.notes["parameters_that_stay"]
    assert checked(tmp_path / "results") == (1, [])
