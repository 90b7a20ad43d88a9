"""What `bench test` asks of networks, tasks and kinds: each a sentence of what was seen. BenchError: what is wrong."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import torch

from bench.base.console import Console
from bench.errors import BenchError, RequestError
from bench.inputs import Batch, flat, pool
from bench.network import Network
from bench.plugins import registry
from bench.runs import authored, protocol
from bench.runs.spec import Request, Spec, resolve
from bench.signals import Signals, declared
from bench.task import TestSealed
from bench.training.evaluation import Evaluation

FEW = 6  # inputs that are looked at
CLOSE = 1e-4  # of an output that was computed in another batch


def sizes(spec: Spec) -> str:
    cls = registry.load(spec.student)
    if (again := cls.check(spec.size)) != spec.size:
        raise BenchError(f"check({spec.size!r}) is {again!r}: a canonical size is its own")
    try:
        cls.check("?!")
    except RequestError:
        return f"default {cls.default or 'none'}"
    raise BenchError("check('?!') is no error: what is no size raises RequestError")


def seeded(spec: Spec) -> str:
    one, two = network(spec).state_dict(), network(spec).state_dict()
    if other := [name for name in one if not torch.equal(one[name], two[name])]:
        raise BenchError(f"{other[0]} is another one the second time: draw random numbers from torch")
    return f"{sum(t.numel() for t in one.values()):,} numbers"


def network(spec: Spec) -> Network:
    """The student before training."""
    built = protocol.build_student(spec, protocol.make_teacher(spec, torch.device("cpu"), Console(quiet=True)))
    return built.eval()


def offered(spec: Spec) -> str:
    """Names, numbers of axes, B inputs, and the width of an embedding."""
    built, cls = network(spec), registry.load(spec.student)
    encoded = built.encode(few(spec))
    wanted = frozenset(cls.offers) | {spec.task.goal.output}
    signals = run(built, encoded, np.arange(FEW), wanted)
    for name in sorted(wanted):
        if name not in signals:
            raise BenchError(f"offers names {name}, and forward gives {', '.join(signals)}")
        axes = declared(name, spec.task.goal.axes).axes
        for tensor in signals[name] if isinstance(signals[name], tuple) else (signals[name],):
            if tensor.ndim != len(axes.split()) or (axes[0] == "B" and len(tensor) != FEW):
                raise BenchError(f"{name} of {FEW} inputs is {tuple(tensor.shape)}, and its axes are {axes}")
    if "embedding" in signals and signals["embedding"].shape[-1] != built.width:
        raise BenchError(f"width is {built.width}, and an embedding has {signals['embedding'].shape[-1]} numbers")
    return ", ".join(sorted(wanted))


def alone(spec: Spec) -> str:
    """The judged output of inputs of unlike lengths, together and one by one."""
    built, name = network(spec), spec.task.goal.output
    encoded = built.encode(few(spec))
    together = run(built, encoded, np.arange(FEW), frozenset({name}))[name]
    for row in range(FEW):
        single = run(built, encoded, np.array([row]), frozenset({name}))[name]
        if single.shape == together[row : row + 1].shape and not torch.allclose(single, together[row], atol=CLOSE):
            apart = float((single - together[row]).abs().max())
            raise BenchError(f"{name} of an input is {apart:.2g} off when it is read alone: padding is read")
    return name


def few(spec: Spec) -> Any:
    """Inputs of dev, short and long."""
    inputs = pool(spec.task.inputs("dev"))
    order = np.argsort(inputs.sizes(), kind="stable")
    return inputs.take(order[np.linspace(0, len(order) - 1, FEW).astype(int)])


@torch.no_grad()
def run(built: Network, encoded: Any, rows: np.ndarray, wanted: frozenset[str]) -> Signals:
    found: Signals = built(encoded.batch(rows), wanted)
    return found


def identity(spec: Spec, request: Request) -> str:
    again = resolve(dataclasses.replace(request, others={}))[0].task
    if again.identity() != spec.task.identity():
        raise BenchError("identity() is another one the second time: hash what was read, in a fixed order")
    card = dataclasses.asdict(again.card())
    json.dumps(card, allow_nan=False)
    return f"{card['title']}: {', '.join(f'{size} {name}' for name, size in card['sizes'].items())}"


def training_sets(spec: Spec) -> str:
    authored.check(spec.task)
    told = []
    for name in spec.task.training_sets:
        found = spec.task.examples(name)
        if found.digest != pool(found.inputs).digest:
            raise BenchError(f"the inputs of {name} have no content key that stays")
        told.append(f"{len(found)} {name}")
    return ", ".join(told)


def judged(spec: Spec) -> str:
    """Random weights over dev give a score, and nobody reads test."""
    spec.task.seal()
    try:
        spec.task.inputs("test")
    except TestSealed:
        dev = Evaluation(spec.task, "dev")
        score = dev.score(dev.outputs(network(spec)))
        return f"{spec.task.main_metric} {score:.4f} with random weights"
    raise BenchError("inputs('test') can be read before training has ended: say self.open_split(split) first")


def batch_of(spec: Spec) -> tuple[Network, Signals, Batch]:
    """A few labelled examples as a student sees them, with gradients."""
    built, examples = network(spec).train(False), spec.task.examples("supervised")
    rows = np.arange(min(FEW, len(examples)))
    groups = examples.groups[rows]
    targets = examples.targets(rows)
    encoded = built.encode_told(examples.inputs, examples.labels) if told(spec) else built.encode(examples.inputs)
    batch = Batch(torch.from_numpy(rows), groups.shape[1], targets, {"student": encoded.batch(groups)})
    return built, built(encoded.batch(flat(groups)), frozenset({spec.task.goal.output})), batch


def told(spec: Spec) -> bool:
    return spec.task.goal.teacher_forced


def loss(spec: Spec) -> str:
    _, signals, batch = batch_of(spec)
    value = spec.task.goal.loss(signals, batch)
    if value.ndim or not torch.isfinite(value):
        raise BenchError(f"loss is {value.detach()}, and has to be one finite number")
    (gradient,) = torch.autograd.grad(value, signals[spec.task.goal.output], allow_unused=True)
    if gradient is None or not gradient.abs().sum():
        raise BenchError("loss has no gradient to the output")
    return f"{value.item():.4f}"


def match(spec: Spec) -> str:
    goal, (_, signals, batch) = spec.task.goal, batch_of(spec)
    ours, theirs = goal.pair(signals, signals.detach(), batch)
    if theirs.requires_grad:
        raise BenchError("pair gives the teacher's outputs with a gradient: detach them")
    (gradient,) = torch.autograd.grad(goal.match(ours, theirs), ours)
    if float(gradient.abs().max()) > CLOSE:
        raise BenchError(f"match of equal outputs has a gradient of {float(gradient.abs().max()):.2g}: it has to be 0")
    return f"width {ours.shape[-1]}"
