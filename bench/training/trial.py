"""What cannot be trained for several seeds at once: told by what a method declares, then by one batch that is tried.

The trial is what makes a stack safe for methods and students that nobody here has read. It asks for three things: that
torch.func.vmap can compute the losses, that they are those of each seed alone although its batch is padded to the
longest of all, and that computing them leaves nothing in the method that the next step reads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from bench.base import processes
from bench.errors import BenchError
from bench.method import Losses, Method, Stage
from bench.task import Track
from bench.training.feed import Feed, concrete
from bench.training.loop import Trainer

SAME = 2e-3  # relative: above rounding, that of TF32 too; below what it does to a loss to read padding
OUT = "leave --set seeds=stacked out"


def declared(track: Track, method: type[Method], settings: Any, seeds: Sequence[int]) -> str:
    """Why runs of these seeds cannot be trained together, by what is asked for and declared; empty: nothing against."""
    if len(seeds) < 2:
        return "it takes several seeds: name them, as in --seeds 0,1,2"
    if track.precision != "float32" or track.compile or track.dropout != "torch":
        return "it has its own forward pass: leave --set precision, compile and dropout out"
    if processes.launched():
        return "it takes one process: start bench without a launcher"
    if method.after_step is not Method.after_step:
        return f"the method acts between the steps (after_step): {OUT}"
    if method.assistants(settings):
        return f"the method's assistants are others for each seed: {OUT}"
    return ""


def of_stage(stage: Stage) -> str:
    """The same by what a stage says."""
    if not isinstance(stage.data, str):
        return f"stage {stage.name} trains on data of the method's own, which are others for each seed: {OUT}"
    if stage.noisy_teacher:
        return f"stage {stage.name} leaves the teacher's dropout on: {OUT}"
    return ""


def tried(
    members: Sequence[Trainer], stages: Sequence[Stage], feeds: Sequence[Feed], rows: np.ndarray, step: int,
    at_once: Callable[[], Losses],
) -> str:  # fmt: skip
    """The same by the losses of one batch, rows (K, B): each seed's alone, and `at_once` those of all.

    Dropout is off for what is compared; `at_once` is called with it on too, for what cannot be computed then.
    """
    for m in members:
        m.student.eval(), m.method.eval()
    before = [attributes(m.method) for m in members]
    alone = [losses(*given, step) for given in zip(members, stages, feeds, rows, strict=True)]
    changed = differing(before[0], attributes(members[0].method))
    if changed:
        return f"the losses of stage {stages[0].name} change what the method holds ({changed[0]}): {OUT}"
    try:
        found = {name: values.tolist() for name, values in at_once().items()}
        members[0].student.train(), members[0].method.train()
        at_once()
    except BenchError:
        raise
    except Exception as error:  # vmap says in many ways what it cannot compute
        return f"torch.func.vmap cannot compute stage {stages[0].name} with this student ({said(error)}): {OUT}"
    for k, own in enumerate(alone):
        for name, value in own.items():
            if not np.isclose(found[name][k], value, rtol=SAME, atol=1e-5):
                return (
                    f"the loss {name} of stage {stages[0].name} is {value:.4g} for a seed alone and "
                    f"{found[name][k]:.4g} beside others, whose batches are padded longer: {OUT}"
                )
    return ""


@torch.no_grad()
def losses(member: Trainer, stage: Stage, feed: Feed, rows: np.ndarray, step: int) -> dict[str, float]:
    """One seed's losses of its own batch."""
    inputs, teacher, batch = feed.batch(rows, step, member.teacher.device)
    found = stage.loss(member.student(inputs, concrete(stage.wants, member.task.kind)), teacher, batch)
    return {name: float(value) for name, value in found.items()}


def attributes(module: nn.Module) -> dict[str, Any]:
    """What a module and its parts hold: buffers as they are now, all else as the objects that are there."""
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    parts = {f"{name}.".lstrip("."): part for name, part in module.named_modules()}
    own = {f"{name}{key}": value for name, part in parts.items() for key, value in vars(part).items()}
    return {k: v for k, v in own.items() if k.rpartition(".")[2] != "training"} | buffers


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Names whose value is new or another."""

    def same(a: Any, b: Any) -> bool:
        return torch.equal(a, b) if isinstance(a, Tensor) and isinstance(b, Tensor) else a is b

    return [name for name in after if name not in before or not same(before[name], after[name])]


def said(error: Exception) -> str:
    """The first sentence of an error of torch."""
    words = " ".join(str(error).split()).partition(". ")[0]
    return f"{type(error).__name__}: {words[:120]}"
