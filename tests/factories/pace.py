"""Processor time of a command, and how fast this machine is beside the one that bounds in seconds were written on."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from typing import Any

START = "import numpy, pydantic, typer"  # what a command needs before it does anything
WRITTEN = 0.25  # seconds that this took where the bounds were written


def timed(*command: str, **options: Any) -> tuple[subprocess.CompletedProcess[str], float]:
    """A command that has ended, and its seconds on a processor, of modules that Python has compiled before."""
    env = {k: v for k, v in options.pop("env", os.environ).items() if k != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, env=env, capture_output=True, text=True, **options)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def steady(seconds: Callable[[], float]) -> float:
    """What a command would take where the bounds were written: the least of five, each beside what Python takes to
    start at that moment, as a machine that others slow down says nothing of the code."""
    return min(seconds() * min(1.0, WRITTEN / timed(sys.executable, "-c", START, check=True)[1]) for _ in range(5))
