"""A faster forward pass of the student, bfloat16 or compiled, used only where it agrees with the plain one.

Losses are computed in float32 whatever the precision. With neither asked for this is the student itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn

from bench.errors import BenchError
from bench.network import Network
from bench.signals import Signals
from bench.task import Track

TOLERANCE = {"bfloat16": 0.05, "compile": 1e-3}  # largest difference of a signal, over its own largest value


class Forward:
    """The student's forward pass as a track asks for it."""

    def __init__(self, student: Network, track: Track) -> None:
        self.student, self.half = student, track.precision == "bfloat16"
        self.compiled: Any = torch.compile(student, dynamic=True) if track.compile else student
        self.tolerance = max([TOLERANCE["bfloat16"]] * self.half + [TOLERANCE["compile"]] * track.compile, default=0.0)

    def modules(self) -> Iterator[nn.Module]:
        """Those of the student."""
        return self.student.modules()

    def __call__(self, inputs: dict[str, Tensor], want: frozenset[str]) -> Signals:
        if not self.half:
            found: Signals = self.compiled(inputs, want)
            return found
        with torch.autocast(self.student.device.type, torch.bfloat16):
            return widened(self.compiled(inputs, want))

    def check(self, inputs: dict[str, Tensor], want: frozenset[str]) -> None:
        """BenchError: without dropout, a signal of this batch differs from the plain one by more than the tolerance."""
        if not self.tolerance:
            return
        training = self.student.training
        self.student.eval()
        with torch.no_grad():
            plain, fast = self.student(inputs, want), self(inputs, want)
        self.student.train(training)
        for name, worst in differences(plain, fast).items():
            if not worst <= self.tolerance:
                raise BenchError(
                    f"the faster forward pass differs in {name} by {worst:.1e} of its largest value, and at most "
                    f"{self.tolerance:.0e} is allowed: leave --set precision or --set compile out"
                )


def widened(signals: Signals) -> Signals:
    """The same signals in float32."""

    def wide(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(t.float() for t in value)
        return value.float() if isinstance(value, Tensor) and value.is_floating_point() else value

    return Signals(**{f.name: wide(getattr(signals, f.name)) for f in fields(signals)})


def differences(one: Signals, other: Signals) -> Mapping[str, float]:
    """{signal: the largest difference of its values, over the largest of `one`}"""
    one, other = one.detach(), other.detach()
    found = {}
    for f in fields(one):
        a, b = getattr(one, f.name), getattr(other, f.name)
        if f.name != "mask" and a is not None and len(a):
            pairs = zip(a, b, strict=True) if isinstance(a, tuple) else [(a, b)]
            found[f.name] = max(float((x - y).abs().max() / x.abs().max().clamp_min(1e-6)) for x, y in pairs)
    return found
