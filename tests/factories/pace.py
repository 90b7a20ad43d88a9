"""Processor time of a command, and how fast this machine is beside the one that bounds in seconds were written on."""

from __future__ import annotations

import resource
import subprocess
import sys
from functools import cache
from typing import Any

START = "import numpy, pydantic, typer"  # what a command needs before it does anything
WRITTEN = 0.25  # seconds that this took where the bounds were written


def timed(*command: str, **options: Any) -> tuple[subprocess.CompletedProcess[str], float]:
    """A command that has ended, and its seconds on a processor: what it takes on an idle machine."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, **options)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


@cache
def slower() -> float:
    """How many times as long Python takes here to start; 1 where it takes no longer. Bounds are multiplied by it: a
    machine that others slow down says nothing of the code."""
    return max(1.0, min(timed(sys.executable, "-c", START, check=True)[1] for _ in range(5)) / WRITTEN)
