"""Size and speed of networks, side by side. A process of its own is timed while this one sleeps.

single    batch 1, one input after the other: what a user waits for
offline   many inputs, length-sorted batches: what a machine can do in a second

docs/protocol.md says what is inside the clock and what may be compared.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, NamedTuple

import numpy as np
import torch

from bench.base import waiting
from bench.base.console import Console
from bench.errors import BenchError
from bench.inputs import pool
from bench.measuring import noise
from bench.measuring.clock import FEWEST, Effort, Job, Point, carry_out, operations
from bench.measuring.machine import device_name
from bench.network import Network
from bench.plugins import registry
from bench.records.arrays import Samples
from bench.records.derived import FOREIGN, reasons, speeds, speedups, spread
from bench.store import folders
from bench.task import Search


class Batches(NamedTuple):
    """Batches to time."""

    size: int  # inputs of each
    length: int | None = None  # tokens of each input; None: real test inputs as they come


SCOPE = "model only: token ids on the device -> outputs ready; real test inputs, fp32"
# mini is for a look in minutes; a board's timings take the other.
QUICK = Effort(inputs=16, rounds=5, seconds=0.2, most=1000, limit=3.0)
STANDARD = Effort(inputs=128, rounds=20, seconds=5.0, most=2000, limit=20.0)
SHORT = Effort(inputs=64, rounds=10, seconds=1.0, most=1000, limit=6.0)  # minutes on two cores would be hours a sweep
EFFORTS = {"mini": QUICK, "lite": SHORT}
NOT_MEASURED = "not measured"  # in place of what is inside the clock
WAITING = "  waiting, as another bench command is measuring on this machine"
DEADLINE = 3600  # seconds for which that is waited for
PATIENCE = 3600  # seconds without a word of the measuring process, which tells of every point
FIXED = 128  # tokens: the length that papers quote


def measure(
    networks: Mapping[str, Network],
    inputs: Sequence[Any],
    want: frozenset[str],
    effort: Effort,
    console: Console,
    lengths: Sequence[int] = (FIXED,),
    searches: Sequence[Search] = (),
    seed: int = 0,
    batches: Sequence[Batches] = (),
) -> dict[str, Any]:
    """Counts, latency, throughput and energy of each network, and speed-ups over the first one.

    Inputs are drawn with the seed. The samples of all points come with it, in ns by point, network and round.
    BenchError: the process died, with its reason.
    """
    device, threads = next(iter(networks.values())).device, torch.get_num_threads()
    timed = [*points(device, threads, lengths, searches), *batch_points(batches, threads)]
    with on_cpu(networks, device):
        job = job_of(networks, inputs, want, timed, effort, device, seed)
        with folders.locked("measuring", lambda: console(WAITING), DEADLINE):  # two at once would each slow the other
            found = in_child(job, console)
    index(found["counts"], networks, searches)
    return summary(found) | {
        "scope": SCOPE,
        "device": device_name(device),
        "threads": threads,
        "notes": notes(found, effort, seed),
        "samples": found["samples"],
    }


def count(
    networks: Mapping[str, Network], inputs: Sequence[Any], want: frozenset[str], effort: Effort,
    lengths: Sequence[int] = (FIXED,), searches: Sequence[Search] = (), seed: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """The same without the clock: counts alone, and no timings."""
    device = next(iter(networks.values())).device
    with on_cpu(networks, device), torch.no_grad():
        job = job_of(networks, inputs, want, (), effort, device, seed)
        counts = {name: uncounted(n.eval(), job, lengths) for name, n in networks.items()}
    index(counts, networks, searches)
    drawn = f"{len(job.inputs)} test inputs drawn with seed {seed}, counted and not timed"
    return {
        "models": counts, "speedups": {name: {} for name in networks}, "inputs": len(job.inputs), "seen": {},
        "noise": [], "scope": NOT_MEASURED, "device": device_name(device), "threads": torch.get_num_threads(),
        "notes": [drawn], "samples": None, "measured": None, "commit": None, "dirty": None,
    }  # fmt: skip


def uncounted(network: Network, job: Job, lengths: Sequence[int]) -> dict[str, Any]:
    untimed: dict[str, Any] = {"memory_bytes": None, "latency": {}, "throughput": {}, "energy": None}
    return untimed | operations(network, network.encode(job.inputs), job, lengths)


@contextmanager
def on_cpu(networks: Mapping[str, Network], device: torch.device) -> Iterator[None]:
    try:
        for network in networks.values():
            network.to("cpu")
        yield
    finally:
        for network in networks.values():
            network.to(device)


def job_of(
    networks: Mapping[str, Network], inputs: Sequence[Any], want: frozenset[str], timed: Sequence[Point],
    effort: Effort, device: torch.device, seed: int,
) -> Job:  # fmt: skip
    """Inputs are drawn with the seed."""
    drawn = np.random.default_rng(seed).permutation(len(inputs))[: effort.inputs]
    chosen, cores = pool(inputs).take(drawn), frozenset(noise.cores())
    return Job(dict(networks), chosen, want, timed, effort, str(device), cores)


def index(counts: dict[str, Any], networks: Mapping[str, Network], searches: Sequence[Search]) -> None:
    for name, network in networks.items():
        if searches and network.index_width:
            counts[name]["index_bytes"] = searches[0].documents * network.index_width * 4


def points(
    device: torch.device, threads: int, lengths: Sequence[int], searches: Sequence[Search] = ()
) -> list[Point]:  # fmt: skip
    """What is timed: the two scenarios, both clocks, fixed lengths, search, and one thread where there are more."""
    both = [Point(s, threads, end_to_end=raw) for raw in (False, True) for s in ("single", "offline")]
    both += [Point("single", threads, length=n) for n in lengths]
    both += [Point("single", threads, end_to_end=True, search=search) for search in searches]
    return both + ([Point("single", 1, suffix="_1_thread")] if threads > 1 and device.type == "cpu" else [])


def batch_points(batches: Sequence[Batches], threads: int) -> list[Point]:
    """Batches as papers time them; of real inputs with both clocks, so that what reads them is told apart."""
    return [
        Point("batch", threads, end_to_end=raw, length=own.length, batch=own.size)
        for own in batches
        for raw in ((False,) if own.length else (False, True))
    ]


def in_child(job: Job, console: Console) -> dict[str, Any]:
    """Run the job in a new process, and sleep until it is done.

    Its idle threads wait as every user's do, unless others use the cores: where threads spin, timing what is noisy in
    any case would take many times as long.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=child, args=(theirs,), daemon=True)
    taken = noise.foreign()
    if taken > FOREIGN:
        console(f"  others use {taken:.0%} of the cores: timing takes longer, and its record will be marked as noisy")
    with nullcontext() if taken > FOREIGN else waiting.as_usual():
        process.start()
    theirs.close()
    try:
        ours.send(registry.loaded_files())
        ours.send_bytes(pickle.dumps(job))  # plain bytes: torch's own way would put the weights into shared memory
        while True:
            if not ours.poll(PATIENCE):
                raise BenchError(f"the measuring process has said nothing for {PATIENCE // 60} minutes, and was ended")
            kind, *rest = ours.recv()  # has blocked: nothing here takes time from what is timed
            if kind == "done":
                return rest[0]
            if kind == "failed":
                raise BenchError(f"measuring failed: {rest[0]}")
            console.progress(*rest)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        process.join()
        raise BenchError(f"the measuring process ended with status {process.exitcode} before it was done") from None
    except (pickle.PicklingError, AttributeError, TypeError) as error:  # local classes, open files
        raise BenchError(f"the networks cannot be handed to the measuring process: {error}") from error
    finally:
        process.terminate()
        process.join()


def child(connection: Any) -> None:
    """In the new process: load plug-in files that networks come from, then the networks, and time them."""
    with suppress(KeyboardInterrupt, BrokenPipeError):  # the parent tells of Ctrl-C
        try:
            for plugin in connection.recv():
                registry.load(plugin)
            job: Job = pickle.loads(connection.recv_bytes())  # noqa: S301 - from our own parent
            if hasattr(os, "sched_setaffinity"):
                os.sched_setaffinity(0, job.cores)
            result = carry_out(job, lambda *progress: connection.send(("progress", *progress)))
            connection.send(("done", result))
        except Exception as error:
            connection.send(("failed", f"{type(error).__name__}: {error}"))


def summary(found: dict[str, Any]) -> dict[str, Any]:
    """What a record says of the samples."""
    samples: Samples = found["samples"]
    models = {}
    for name, counts in found["counts"].items():
        models[name] = counts | speeds(samples, name, found["inputs"])
        energy = found["energy"]
        models[name]["energy"] = energy and {
            "joules_per_1000": energy["joules_per_1000"][name], "source": energy["source"],
        }  # fmt: skip
    seen = found["seen"] | {"spread": spread(samples)}
    return {
        "models": models, "speedups": speedups(samples, next(iter(models))), "inputs": found["inputs"],
        "seen": seen, "noise": reasons(seen),
    }  # fmt: skip


def notes(found: dict[str, Any], effort: Effort, seed: int) -> list[str]:
    """How it was measured, in words."""
    said = [
        f"{found['inputs']} test inputs drawn with seed {seed}; networks in turn, at each point {effort.rounds} rounds "
        f"(fewer, at least {FEWEST}, after {effort.limit:g} s a network), each network for {effort.seconds:g} s or "
        f"{effort.most} calls"
    ]
    if found["unsteady"]:
        said.append(f"warm-up did not settle within 2%: {', '.join(found['unsteady'])}")
    if found["left_out"]:
        said.append(f"not timed, a network reads no inputs of that length: {', '.join(found['left_out'])}")
    return said
