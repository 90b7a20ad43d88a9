"""How true is the clock? Known times, measured by bench and by torch.utils.benchmark, alone and beside busy processes.

    python peers/latency.py [--busy 2] [--seconds 3]

Prints for each network and tool: median in ms, bias against the known time, spread between rounds, and for bench the
CPU time that the parent used while the child was timed and the noise mark.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch.utils.benchmark import Timer

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.base.console import Console
from bench.measuring import session as measuring
from bench.measuring.clock import Effort
from bench.records.derived import round_medians, variation
from tests.factories.spinning import Products, Spinning

WANT = frozenset({"embedding"})
TEXTS = ["one", "two words", "three words now", "four words are here"]


class Parent(Console):
    """Notes this process's CPU time at the child's first message."""

    first: float | None = None

    def progress(self, label: str, done: int, total: int) -> None:
        self.first = self.first or time.process_time()


def burn() -> None:
    while True:
        pass


def ours(networks: dict, seconds: float) -> dict:
    console = Parent(quiet=True)
    effort = Effort(inputs=4, rounds=10, seconds=seconds, most=10_000, limit=10 * seconds)
    found = measuring.measure(networks, TEXTS, WANT, effort, console, lengths=())
    return found | {"parent": time.process_time() - (console.first or 0.0)}


def theirs(network: Spinning, seconds: float) -> tuple[float, float]:
    """(median ms, spread between ten blocks)."""
    batch = network.eval().encode(TEXTS[:1]).batch(np.array([0]))
    timer = Timer("network(batch, want)", globals={"network": network, "batch": batch, "want": WANT},
                  num_threads=torch.get_num_threads())  # fmt: skip
    with torch.no_grad():
        blocks = [timer.blocked_autorange(min_run_time=seconds / 10).median for _ in range(10)]
    return 1e3 * float(np.median(blocks)), float(np.std(blocks, ddof=1) / np.mean(blocks))


def session(seconds: float) -> None:
    networks = {"spin 2.000 ms": Spinning(2.0), "products": Products(512, 6)}
    found = ours(networks, seconds)
    for name, network in networks.items():
        latency = found["models"][name]["latency"]["single"]
        cv = variation(round_medians(found["samples"]["single"][name]))
        show(name, "bench", latency["p50_ms"], cv)
        print(f"{'':15} {'':22} interval {latency['p50_low_ms']:.4f} to {latency['p50_high_ms']:.4f} ms")
        show(name, "torch.utils.benchmark", *theirs(network, seconds))
    print(f"parent: {found['parent']:.3f} CPU-s while the child was timed; noise: {found['noise'] or 'none'}")


def show(name: str, tool: str, ms: float, cv: float) -> None:
    bias = f"{ms / 2 - 1:+.2%}" if name.startswith("spin") else ""
    print(f"{name:15} {tool:22} {ms:.4f} ms  bias {bias:8} cv {cv:.2%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--busy", type=int, default=2, help="processes that load the machine in the second session")
    parser.add_argument("--seconds", type=float, default=3.0, help="of timing, for each network")
    arguments = parser.parse_args()
    print("alone")
    session(arguments.seconds)
    processes = [multiprocessing.Process(target=burn, daemon=True) for _ in range(arguments.busy)]
    for process in processes:
        process.start()
    print(f"beside {arguments.busy} busy processes")
    session(arguments.seconds)
    for process in processes:
        process.terminate()


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    main()
