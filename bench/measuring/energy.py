"""Energy counters: what the hardware counted, or an estimate that says it is one and is never ranked."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path
from typing import Any, Protocol

from bench.base import processes
from bench.measuring.noise import nvml

WATTS = 10.0  # of one busy CPU core: an assumption, the same on every machine
POWERCAP = Path("/sys/class/powercap")


class Meter(Protocol):
    """A counter that grows: differences of its readings are what a piece of work used."""

    source: str

    def joules(self) -> float: ...


class Nvml:
    """The GPU's own counter; the host is not in it. Raises where NVML or the counter is missing."""

    source = "nvml: the GPU alone"

    def __init__(self, device: Any) -> None:
        library, self.handle = nvml(device)
        self.read = library.nvmlDeviceGetTotalEnergyConsumption
        self.joules()

    def joules(self) -> float:
        return float(self.read(self.handle)) / 1e3  # counted in mJ


class Rapl:
    """The CPU packages' own counters (all processes of the machine). Raises OSError where they cannot be read."""

    source = "rapl: CPU packages"

    def __init__(self, root: Path = POWERCAP) -> None:
        self.domains = sorted(d for d in root.glob("intel-rapl:*") if d.name.count(":") == 1)
        if not self.domains:
            raise OSError(f"no RAPL domain under {root}")
        self.ranges = [int((d / "max_energy_range_uj").read_text()) for d in self.domains]
        self.last, self.total = self._read(), 0

    def _read(self) -> list[int]:
        return [int((d / "energy_uj").read_text()) for d in self.domains]

    def joules(self) -> float:
        now = self._read()  # a counter that has gone round starts at 0 again
        for before, after, span in zip(self.last, now, self.ranges, strict=True):
            self.total += after - before if after >= before else after - before + span
        self.last = now
        return self.total / 1e6


class Estimate:
    """CPU time of this process times an assumed power."""

    source = f"estimate: {WATTS:g} W for each busy CPU core"

    def joules(self) -> float:
        return time.process_time() * WATTS


def ranked(source: str) -> bool:
    """Whether figures from this source may be compared."""
    return not source.startswith("estimate")


def meter(device: Any) -> Meter | None:
    """The best counter for the device; None on a GPU without NVML, where CPU time would say nothing."""
    if device.type == "cuda":
        try:
            return Nvml(device)
        except Exception:  # no pynvml (the extra [gpu]), no driver, a card without the counter
            return None
    with contextlib.suppress(OSError):
        packages = Rapl()
        return packages if processes.first_on_machine() else None  # it counts what the others do, too
    return Estimate()
