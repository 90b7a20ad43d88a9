"""Size and speed of student and teacher, timed in one session, turn by turn, so that a noisy machine moves both.

single    batch 1, one input after the other: what a user waits for
offline   many inputs, length-sorted batches: what a machine can do in a second

Inputs are drawn from the task's test split with their real lengths. The clock is around the model: token ids ready on
the device -> outputs ready. Every sample is kept.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.inference import length_batches, to_device
from bench.network import Encoded, Network
from bench.statistics import median_interval

SCOPE = "model only: token ids on the device -> outputs ready; real test inputs, fp32"
ROUNDS = 5
CALLS = 20  # single calls a round and network
OFFLINE = 128  # inputs a round and network
NOISY = 0.05  # coefficient of variation between rounds


def parameters(network: Network) -> dict[str, int]:
    """Total, in look-up tables, and the rest, which is active in every forward pass."""
    total = sum(p.numel() for p in network.parameters())
    tables = network.embedding_parameters()
    return {"total": total, "embedding": tables, "active": total - tables}


def measure(
    student: Network, teacher: Network, inputs: list[str], want: frozenset[str], seed: int = 0
) -> dict[str, Any]:
    """Latency, throughput and speed-up of both, with the raw samples in ns by scenario, network and round."""
    drawn = np.random.default_rng(seed).permutation(len(inputs))[:OFFLINE]
    texts = [inputs[i] for i in drawn]
    networks = {"teacher": teacher.eval(), "student": student.eval()}
    encoded = {name: n.encode(texts) for name, n in networks.items()}
    scenarios = {"single": _single, "offline": _offline}
    samples: dict[str, dict[str, list[list[int]]]] = {s: {n: [] for n in networks} for s in scenarios}
    load_before = os.getloadavg()[0]
    for scenario, run in scenarios.items():
        for number in range(-1, ROUNDS):  # round -1 warms up
            for name, network in networks.items():
                times = run(network, encoded[name], want)
                if number >= 0:
                    samples[scenario][name].append(times)
    return summary(samples, len(texts)) | {
        "scope": SCOPE,
        "device": device_name(student.device),
        "threads": torch.get_num_threads(),
        "notes": [
            f"{len(texts)} test inputs drawn with seed {seed}; {ROUNDS} rounds, teacher and student in turn",
            f"load average before measuring: {load_before:.2f}",
        ],
        "samples": samples,
    }


def _single(network: Network, encoded: Encoded, want: frozenset[str]) -> list[int]:
    batches = [to_device(encoded.batch(np.array([i])), network.device) for i in range(min(CALLS, len(encoded.lengths)))]
    return [_time(partial(network, b, want), network.device) for b in batches]


def _offline(network: Network, encoded: Encoded, want: frozenset[str]) -> list[int]:
    batches = [to_device(encoded.batch(rows), network.device) for rows in length_batches(encoded.lengths)]
    return [_time(lambda: [network(b, want) for b in batches], network.device)]


@torch.no_grad()
def _time(call: Callable[[], Any], device: torch.device) -> int:
    """Nanoseconds of one call on the host's clock; on a GPU until the device is done."""
    wait = torch.cuda.synchronize if device.type == "cuda" else lambda: None
    wait()
    start = time.perf_counter_ns()
    call()
    wait()
    return time.perf_counter_ns() - start


def summary(samples: dict[str, dict[str, list[list[int]]]], inputs: int) -> dict[str, Any]:
    """Percentiles, throughput, speed-up (median of per-round ratios of single latency) and the noise mark."""
    medians = {name: np.array([np.median(r) for r in rounds]) for name, rounds in samples["single"].items()}
    value, ci95 = median_interval(medians["teacher"] / medians["student"])
    noise = max(float(m.std() / m.mean()) for m in medians.values())
    return {
        "latency": {name: percentiles(rounds) for name, rounds in samples["single"].items()},
        "throughput": {name: inputs / (float(np.median(r)) / 1e9) for name, r in samples["offline"].items()},
        "speedup": {"value": value, "ci95": ci95},
        "noisy": noise > NOISY,
    }


def percentiles(rounds: list[list[int]]) -> dict[str, float]:
    """p50, p90 and p99 in ms; p99 only from 1,000 samples on."""
    flat = np.concatenate([np.asarray(r) for r in rounds]) / 1e6
    shown = (50, 90, 99) if len(flat) >= 1000 else (50, 90)
    return {f"p{p}_ms": float(np.percentile(flat, p)) for p in shown}


def device_name(device: torch.device) -> str:
    """The hardware that ran, as its maker calls it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"CPU: {cpu_name()}, {cores} cores"


def cpu_name() -> str:
    """The processor's model name where the system tells it."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as handle:
            for line in handle:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
