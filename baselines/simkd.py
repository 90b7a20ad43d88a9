"""SimKD: the student has the teacher's last layer, and learns to give it the features that it reads in the teacher.

    images   L = mean (P(a(f_S)) - a(f_T))^2              z = W_T mean_yx P(a(f_S)) + b_T
             P = conv 1x1, C_T / r -> conv 3x3, C_T / r -> conv 1x1, C_T, each with BN and ReLU
    vectors  L = mean (P(e_S) - e_T)^2                    z = W_T P(e_S) + b_T
             P = linear, D_T -> BN -> ReLU -> linear, D_T

f are the last maps (B, C, Y, X) before their mean is taken, and a averages the larger of the two down to the size of
the other. W_T, b_T are the teacher's last layer, as it is. P and it stay with the student: they are scored, timed,
counted, kept and exported with it, and the student's own last layer is thrown away. No labels, no temperature, no other
loss.

Chen et al., CVPR 2022, arXiv:2203.14001; official code DefangChen/SimKD (`-c 0 -d 0 -b 1`), r = 2. Deviations: the
form for vectors is ours, for texts and for teachers whose vector is not the mean of their last map (ShuffleNet V2,
MobileNet V2, wide ResNets); the paper has images alone, and the code reads maps of all. So is the use for values and
labels. The best state on dev is kept, dev read with P and the teacher's layer; the code keeps the best on test. A
record's `notes` say how many parameters stay. Needs from the teacher: its maps or embedding, and a last layer that
reads them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat
from torch import Tensor, nn

from bench.errors import RequestError
from bench.inputs import Batch, pool
from bench.method import Losses, Method, Run, Stage
from bench.network import Network
from bench.networks.convolutional import ConvNetwork
from bench.networks.reused import last_layer, put_last
from bench.signals import Signals


class Simkd(Method):
    """Feature matching before a last layer that is the teacher's."""

    title = "SimKD (the teacher's classifier reused)"
    citation = "Chen et al. CVPR 2022, arXiv:2203.14001"
    needs = frozenset({"embedding", "logits"})
    kinds = frozenset({"classify", "regress", "multilabel"})

    @dataclass(frozen=True)
    class Settings:
        factor: Annotated[float, Field(ge=1)] = 2.0  # r, of the convolutions' channels; official code
        lr: PositiveFloat | None = None  # none: the architecture's

    def __init__(self, settings: Settings, run: Run) -> None:
        super().__init__(settings, run)
        assert run.opened is not None and run.student is not None  # the protocol gives them
        last_layer(run.student, self.goal)  # RequestError: the student has none to put another in the place of
        found = tried(run.opened("teacher"), run)
        self.mapped = has_mean(found) and isinstance(run.student, ConvNetwork)
        theirs = run.teacher_width
        if self.mapped:
            self.shrink = Shrink((found.maps[-1].shape[2], found.maps[-1].shape[3]))
            self.project: nn.Module = convolutions(run.student_shape.hidden[-1], theirs, settings.factor)
        else:
            self.project = dense(run.student_width, theirs)
        stays = [*self.project.parameters(), *layer_of(run.opened("teacher"), self.goal).parameters()]
        self.notes["parameters_that_stay"] = sum(p.numel() for p in stays)

    def stages(self) -> Iterable[Stage]:
        read = {"maps"} if self.mapped else {"embedding"}
        yield self.stage("features", self.maps if self.mapped else self.vectors, needs=read, wants=read)

    def maps(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        ours, theirs = self.shrink(student.maps[-1]), teacher.maps[-1].detach()
        return {"features": F.mse_loss(self.project(ours), F.adaptive_avg_pool2d(theirs, ours.shape[2:]))}

    def vectors(self, student: Signals, teacher: Signals, batch: Batch) -> Losses:
        return {"features": F.mse_loss(self.project(student.embedding), teacher.embedding.detach())}

    def finish(self, student: Network, teacher: Network) -> Network:
        layer = copy.deepcopy(layer_of(teacher, self.goal)).requires_grad_(True)  # what is frozen is not kept
        if self.mapped:
            student.adapt(nn.Sequential(self.shrink, self.project), layer)  # type: ignore[operator]
        else:
            put_last(student, self.goal, self.project, layer)
        return student


class Shrink(nn.Module):
    """Maps averaged down to a height and width where theirs is larger."""

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(x, self.size) if x.shape[2] > self.size[0] else x


def convolutions(ours: int, theirs: int, factor: float) -> nn.Sequential:
    """The projector (B, ours, Y, X) -> (B, theirs, Y, X)."""
    inner = max(1, int(theirs / factor))
    shapes = (ours, inner, 1), (inner, inner, 3), (inner, theirs, 1)
    layers = (
        (nn.Conv2d(a, b, k, padding=k // 2, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True)) for a, b, k in shapes
    )
    return nn.Sequential(*(part for layer in layers for part in layer))


def dense(ours: int, theirs: int) -> nn.Sequential:
    """The projector (B, ours) -> (B, theirs)."""
    return nn.Sequential(nn.Linear(ours, theirs), nn.BatchNorm1d(theirs), nn.ReLU(), nn.Linear(theirs, theirs))


def layer_of(teacher: Network, goal: object) -> nn.Linear:
    found = teacher.get_submodule(last_layer(teacher, goal))  # type: ignore[arg-type]
    assert isinstance(found, nn.Linear)
    return found


@torch.no_grad()
def tried(teacher: Network, run: Run) -> Signals:
    """What the teacher says of two inputs. RequestError: its last layer does not make its outputs of its embedding."""
    inputs = pool(run.task.examples("distil").inputs).take([0, 1])
    teacher.eval()
    batch = teacher.encode(inputs, run.track.max_length).batch(torch.arange(2).numpy())
    want = frozenset({"embedding", "logits"}) | (teacher.offers & {"maps"})
    found = teacher({name: tensor.to(teacher.device) for name, tensor in batch.items()}, want)
    again = layer_of(teacher, run.task.goal)(found.embedding)
    if again.shape != found.logits.shape or not torch.allclose(again, found.logits, atol=1e-4, rtol=1e-4):
        raise RequestError("simkd reuses the teacher's last layer, and this teacher's outputs are not made by it alone")
    return found


def has_mean(teacher: Signals) -> bool:
    """Whether the embedding is the mean of the last map."""
    if "maps" not in teacher or teacher.maps[-1].shape[1] != teacher.embedding.shape[1]:
        return False
    return torch.allclose(teacher.maps[-1].mean((2, 3)), teacher.embedding, atol=1e-4)
