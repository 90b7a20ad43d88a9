"""Was the machine quiet? What other processes took while something was timed."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np


class Watch:
    """Open it before timing in the process that is timed, close it after."""

    def __init__(self, device: Any) -> None:
        self.device, self.load, self.clock = device, os.getloadavg()[0], gpu_clock(device)
        self.wall, self.own, self.machine = time.perf_counter(), time.process_time(), cpu_times()

    def close(self) -> dict[str, float]:
        """foreign and steal: shares of the process's cores. load: before timing. clock: relative change, on a GPU."""
        seen = {"load": self.load}
        wall, own = time.perf_counter() - self.wall, time.process_time() - self.own
        before, now = self.machine, cpu_times()
        if before and now:
            room = wall * len(cores())
            busy, steal = (now[key] - before[key] for key in ("busy", "steal"))
            seen |= {"foreign": max(0.0, busy - own) / room, "steal": steal / room}
        if self.clock:
            seen["clock"] = abs(gpu_clock(self.device) / self.clock - 1)
        return seen


def foreign(seconds: float = 0.2) -> float:
    """The share of the cores that other processes use now, while this one sleeps."""
    before, started = cpu_times(), time.perf_counter()
    time.sleep(seconds)
    after, room = cpu_times(), (time.perf_counter() - started) * len(cores())
    return (after["busy"] - before["busy"]) / room if before and after else 0.0


def cores() -> set[int]:
    """The cores that this process may run on."""
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))


def cpu_times() -> dict[str, float]:
    """Seconds that these cores were busy since the machine started, for whomever; empty where the system tells none."""
    try:
        lines = Path("/proc/stat").read_text().splitlines()
    except OSError:
        return {}
    names = {f"cpu{core}" for core in cores()}
    ticks = np.array([line.split()[1:9] for line in lines if line.split()[0] in names], float).sum(0)
    user, nice, system, _idle, _wait, irq, softirq, steal = ticks / os.sysconf("SC_CLK_TCK")
    return {"busy": float(user + nice + system + irq + softirq + steal), "steal": float(steal)}


def gpu_clock(device: Any) -> float:
    """MHz of a GPU's processors; 0 on a CPU or without NVML. Read, never set."""
    if device.type != "cuda":
        return 0.0
    try:
        pynvml, handle = nvml(device)
        return float(pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM))
    except Exception:  # no pynvml, no driver
        return 0.0


def nvml(device: Any) -> tuple[Any, Any]:
    """The GPU's own library, and its handle of the device. Raises where one of them is missing (the extra [gpu])."""
    import pynvml
    import torch

    pynvml.nvmlInit()
    return pynvml, pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
