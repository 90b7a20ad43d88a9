"""Counts beside times: parameters, floating-point operations, memory. They are the same on every machine."""

from __future__ import annotations

import ctypes
import gc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.network import Encoded, Network
from bench.networks.inference import to_device


def parameters(network: Network) -> dict[str, int]:
    """Total, in look-up tables, and the rest, which is active in every forward pass."""
    total = sum(p.numel() for p in network.parameters())
    tables = network.embedding_parameters()
    return {"total": total, "embedding": tables, "active": total - tables}


def flops(network: Network, encoded: Encoded, want: frozenset[str]) -> float:
    """Mean floating-point operations of one input, batch 1, over these inputs.

    Torch's own counter: matrix products and convolutions, a multiply-add as two operations; sums, look-ups,
    normalisations and activations are not counted. Fused CPU kernels (attention, LSTM) escape the counter, so they are
    switched off while it counts; the mathematics is the same.
    """
    _, first, counts = np.unique(encoded.lengths, return_index=True, return_counts=True)
    each = [_flops(network, encoded.batch(np.array([row])), want) for row in first]
    return float(np.average(each, weights=counts))


@torch.no_grad()
def _flops(network: Network, batch: dict[str, torch.Tensor], want: frozenset[str]) -> int:
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH), counter:
        warnings.simplefilter("ignore")  # switching oneDNN off warns of a setting of Intel GPUs
        with torch.backends.mkldnn.flags(enabled=False):
            network(to_device(batch, network.device), want)
    return counter.get_total_flops()


def peak_memory(network: Network, run: Callable[[], Any]) -> int | None:
    """Bytes: the network's weights, and the most that was held beside them while `run` ran.

    On a GPU torch's allocator counts; on Linux the high-water mark of resident memory does, in pages, after what the
    allocator had kept was given back. None elsewhere.
    """
    weights = sum(t.numel() * t.element_size() for t in (*network.parameters(), *network.buffers()))
    if network.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(network.device)
        held = torch.cuda.memory_allocated(network.device)
        run()
        return weights + torch.cuda.max_memory_allocated(network.device) - held
    try:
        before = _reset_high_water()
    except OSError:
        return None
    run()
    return weights + max(0, _status("VmHWM") - before)


def _reset_high_water() -> int:
    """Give freed memory back, start the mark anew, and return what is resident now."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc
    if trim is not None:
        trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"the system does not tell {key}")
