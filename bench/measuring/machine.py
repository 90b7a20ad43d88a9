"""Where a run took place: hardware and versions."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bench.measuring.noise import cores

LIBRARIES = ("torch", "transformers", "sentence-transformers", "accelerate", "tokenizers", "numpy", "scipy")


def describe(device: Any, processes: int = 1) -> dict[str, Any]:
    """Hardware and versions, as kept in the record; of several processes how many, and the main one's machine."""
    import torch

    return {
        "device": device_name(device),
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "libraries": versions(),
    } | ({"processes": processes} if processes > 1 else {})


@contextmanager
def threads(number: int | None) -> Iterator[None]:
    """torch computes with so many threads inside; None: with those it has."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def versions() -> dict[str, str]:
    """Versions of the libraries that decide numbers; those not installed are left out."""
    found = {}
    for name in LIBRARIES:
        with suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def device_name(device: Any) -> str:
    """The hardware that ran, as its maker calls it."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return f"GPU of {cpu_name()}"
    return f"CPU: {cpu_name()}, {len(cores())} cores"


def cpu_name() -> str:
    """The processor's model name where the system tells it."""
    with suppress(OSError):
        if match := re.search(r"^model name\s*:\s*(.*\S)", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.M):
            return match[1]
    return platform.processor() or platform.machine()
