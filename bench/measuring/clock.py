"""The clock. It runs in a process of its own: warm-up until stable, networks in turn, every sample kept.

    for each point:  for each round:  for each network:  whole passes over the same inputs

Every network reads the same inputs in a round, so the ratio of two medians of one round is about the networks and not
about the inputs, and a machine that is busy for a while slows both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch

from bench.inputs import Pool
from bench.measuring.counting import flops, peak_memory
from bench.measuring.energy import Meter, meter
from bench.measuring.noise import Watch
from bench.network import Encoded, Network
from bench.networks.inference import length_batches, to_device
from bench.records.arrays import Samples
from bench.records.derived import SEARCH, batch_name
from bench.task import Search

STABLE = 0.02  # the median of the last calls is this near to that of the calls before
FEWEST = 5  # rounds
WARM_CALLS = 10  # in each of the two
ALIKE = 16  # inputs of `single`: of even ranks in length, so that they stand for all

Call = Callable[[], Any]
Split = Callable[[np.ndarray], Iterable[np.ndarray]]  # lengths -> the rows of each batch


@dataclass(frozen=True)
class Point:
    """One way of timing."""

    # batch 1, one input after the other; all inputs in sorted batches; batches of `batch` inputs as they come
    scenario: Literal["single", "offline", "batch"]
    threads: int
    end_to_end: bool = False  # raw input -> output in host memory; else tensors on the device -> outputs
    length: int | None = None  # tokens; None: real test inputs at their own lengths
    suffix: str = ""
    search: Search | None = None  # batch 1, end to end: a query, and its best documents in an index
    batch: int = 0

    @property
    def name(self) -> str:
        """The key in a record: `single`, `offline_end_to_end`, `single_128`, `batch_128x512` ..."""
        if self.search:
            return SEARCH + self.search.suffix
        if self.batch:
            return batch_name(self.batch, self.length) + ("_end_to_end" if self.end_to_end else "")
        clock = "_end_to_end" if self.end_to_end else ""
        return self.scenario + clock + (f"_{self.length}" if self.length else "") + self.suffix


@dataclass(frozen=True)
class Effort:
    """How long each network is timed at each point, over all rounds."""

    inputs: int  # drawn from the test split
    rounds: int
    seconds: float  # at least, unless `most` calls come first
    most: int  # calls
    limit: float  # seconds after which FEWEST rounds are enough


@dataclass(frozen=True)
class Job:
    """What the process is given."""

    networks: dict[str, Network]  # on the CPU
    inputs: Pool
    want: frozenset[str]
    points: Sequence[Point]
    effort: Effort
    device: str
    cores: frozenset[int]


Report = Callable[[str, int, int], Any]  # what, done, of how many


@torch.no_grad()
def carry_out(job: Job, report: Report) -> dict[str, Any]:
    """All samples in ns, with counts, energy and what was seen of the machine."""
    device = torch.device(job.device)
    networks = {name: n.eval().to(device) for name, n in job.networks.items()}
    encoded = {name: n.encode(job.inputs) for name, n in networks.items()}
    torch.set_num_threads(max(p.threads for p in job.points))
    points = [p for p in job.points if not p.length or all(fixed(n, job, p.length) for n in networks.values())]
    report("memory and operations", 0, 1)
    counts = {name: count(n, encoded[name], job, points) for name, n in networks.items()}
    power, samples, unsteady = meter(device), Samples(), []
    joules = dict.fromkeys(networks, 0.0)
    watch = Watch(device)
    for number, point in enumerate(points):
        report(point.name, number, len(points))
        torch.set_num_threads(point.threads)
        calls = {name: make_calls(point, n, encoded[name], job) for name, n in networks.items()}
        steady = [warm_up(c, Clock(device), job.effort) for c in calls.values()]
        unsteady += [] if all(steady) else [point.name]
        samples |= time_point(point.name, calls, device, job.effort, power if point.name == "offline" else None, joules)
    offline = {name: sum(map(len, r)) for name, r in samples.get("offline", {}).items()}
    return {
        "samples": samples, "counts": counts, "inputs": len(job.inputs), "unsteady": unsteady, "seen": watch.close(),
        "left_out": [p.name for p in job.points if p not in points],
        "energy": None if power is None or not offline else {
            "source": power.source,
            "joules_per_1000": {n: 1000 * joules[n] / (passes * len(job.inputs)) for n, passes in offline.items()},
        },
    }  # fmt: skip


def count(network: Network, encoded: Encoded, job: Job, points: Sequence[Point]) -> dict[str, Any]:
    """Operations, memory of a pass over all inputs, and the tokens that were read."""
    _ready(network, encoded, job.want, np.array([0]))()  # what a first call sets up once is no need of the network
    call = make_calls(Point("offline", 1), network, encoded, job)[0]
    lengths = sorted({p.length for p in points if p.length})
    return {"memory_bytes": peak_memory(network, call)} | operations(network, encoded, job, lengths)


def operations(network: Network, encoded: Encoded, job: Job, lengths: Sequence[int]) -> dict[str, Any]:
    """What no clock is needed for."""
    batches = list(length_batches(encoded.lengths))
    padded = sum(len(rows) * int(encoded.lengths[rows].max()) for rows in batches)
    found = {"mean": encoded} | {str(n): read for n in lengths if (read := fixed(network, job, n))}
    return {
        "flops": {name: flops(network, read, job.want) for name, read in found.items()} if network.counted else {},
        "tokens": {"mean": float(encoded.lengths.mean()), "padding": 1 - float(encoded.lengths.sum()) / padded},
    }


def fixed(network: Network, job: Job, length: int) -> Encoded | None:
    """One input of this many tokens: test inputs joined and cut; None: the network reads none of that length.

    Where inputs are pairs it is a pair: of so many tokens together, or for a network that cuts each text by itself, of
    half as many each.
    """
    long = job.inputs.of_length(length)
    tried = (network.encode(long, limit) for limit in (length, length // 2)) if long is not None else ()
    return next((encoded for encoded in tried if int(encoded.lengths[0]) == length), None)


def make_calls(point: Point, network: Network, encoded: Encoded, job: Job) -> list[Call]:
    """What a pass of this point calls, one sample each."""
    if point.search:
        return searches(network, point.search, job.want)
    if point.length:
        encoded = fixed(network, job, point.length) or encoded
    if point.batch:
        return full_batches(point, network, encoded, job)
    if point.scenario == "offline":
        return [_raw(network, job.inputs, job.want) if point.end_to_end else _ready(network, encoded, job.want)]
    order = np.argsort(encoded.lengths, kind="stable") if len(encoded.lengths) <= ALIKE else _even(job)
    if point.end_to_end:
        return [_raw(network, job.inputs.take([i]), job.want) for i in order]
    return [_ready(network, encoded, job.want, np.array([i])) for i in order]


def full_batches(point: Point, network: Network, encoded: Encoded, job: Job) -> list[Call]:
    """Full batches, the first inputs again in the last; of one length, copies of one input: what it says does not
    matter. One forward pass each, padded to its longest."""
    if point.length:
        return [_ready(network, encoded, job.want, np.zeros(point.batch, np.int64))]
    starts = range(0, len(job.inputs), point.batch)
    rows = [np.arange(start, start + point.batch) % len(job.inputs) for start in starts]
    if point.end_to_end:
        return [
            _raw(network, job.inputs.take(own), job.want, lambda lengths: [np.arange(len(lengths))]) for own in rows
        ]
    return [_ready(network, encoded, job.want, own) for own in rows]


def _even(job: Job) -> np.ndarray:
    """Rows of even ranks in length, the same for every network."""
    order = np.argsort(job.inputs.sizes(), kind="stable")
    return order[((np.arange(ALIKE) + 0.5) * len(order) / ALIKE).astype(int)]


def _ready(network: Network, encoded: Encoded, want: frozenset[str], rows: np.ndarray | None = None) -> Call:
    split = length_batches(encoded.lengths) if rows is None else [rows]
    batches = [to_device(encoded.batch(r), network.device) for r in split]
    return lambda: [network(batch, want) for batch in batches]


def _raw(network: Network, inputs: Pool, want: frozenset[str], split: Split = length_batches) -> Call:
    def call() -> list[Any]:
        encoded = network.encode(inputs)
        found = []
        for rows in split(encoded.lengths):
            signals = network(to_device(encoded.batch(rows), network.device), want)
            found.append([signals[network.instead.get(name, name)].cpu() for name in want])
        return found

    return call


def searches(network: Network, search: Search, want: frozenset[str]) -> list[Call]:
    """Each query is encoded and compared with an index in memory, by exact inner products; its best documents in host
    memory. The index holds random vectors: speed does not depend on what they are. A network that keeps no vectors
    reads the first query with every document that it is given."""
    depth = min(search.depth, search.documents)
    if not network.index_width and search.together is not None:
        return [partial(_best, _raw(network, search.together, want), depth)]
    name, vectors = "embedding", frozenset({"embedding"})
    index = torch.randn(search.documents, network.index_width, generator=torch.Generator().manual_seed(0))
    index = index.to(network.device)

    def call(query: Pool) -> Any:
        vector = network(to_device(network.encode(query).batch(np.array([0])), network.device), vectors)[name]
        found = (index @ vector[0].float()).topk(depth)
        return found.indices.cpu(), found.values.cpu()

    return [partial(call, search.queries.take([i])) for i in range(min(ALIKE, len(search.queries)))]


def _best(score: Call, depth: int) -> Any:
    """The highest of the scores that a call gives, in batches of one signal each."""
    found = torch.cat([scores for batch in score() for scores in batch]).flatten()
    return found.topk(min(depth, len(found)))


class Clock:
    """perf_counter_ns around the call; on a GPU until it is done, as a user waits, and CUDA events beside it."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.on_device = device, list[int]()
        on_gpu = device.type == "cuda"
        self.events = [torch.cuda.Event(enable_timing=True) for _ in range(2)] if on_gpu else []

    def time(self, call: Call) -> int:
        if self.events:
            return self._on_gpu(call, *self.events)
        if self.device.type == "mps":
            return self._on_mac(call)
        began = time.perf_counter_ns()
        call()
        return time.perf_counter_ns() - began

    def _on_mac(self, call: Call) -> int:
        torch.mps.synchronize()
        began = time.perf_counter_ns()
        call()
        torch.mps.synchronize()
        return time.perf_counter_ns() - began

    def _on_gpu(self, call: Call, start: Any, end: Any) -> int:
        torch.cuda.synchronize(self.device)
        began = time.perf_counter_ns()
        start.record()
        call()
        end.record()
        torch.cuda.synchronize(self.device)
        took = time.perf_counter_ns() - began
        self.on_device.append(round(start.elapsed_time(end) * 1e6))  # ms
        return took


def warm_up(calls: list[Call], timer: Clock, effort: Effort) -> bool:
    """Passes until the median of the last is within 2% of the one before; False: given up after a while.

    A pass of fewer than ten calls is repeated to make ten, or two where a call takes long.
    """
    medians: list[float] = []
    stop = time.perf_counter() + max(effort.seconds, effort.limit / 10)
    while len(medians) < 2 or time.perf_counter() < stop:
        times = [timer.time(c) for c in calls]
        while len(times) < WARM_CALLS and sum(times) < effort.seconds / 10 * 1e9:
            times += [timer.time(c) for c in calls]
        medians.append(float(np.median(times)))
        if any(abs(now / before - 1) <= STABLE for before, now in pairwise(medians[-2:])):
            return True
    return False


def time_point(
    key: str, calls: dict[str, list[Call]], device: torch.device, effort: Effort, power: Meter | None,
    joules: dict[str, float],
) -> Samples:  # fmt: skip
    """Rounds of turns. On a GPU the events' samples come under `<point>_device`."""
    found: Samples = {key: {name: [] for name in calls}}
    on_device: dict[str, list[list[int]]] = {name: [] for name in calls}
    stop = time.perf_counter() + effort.limit * len(calls)
    for done in range(effort.rounds):
        if done >= FEWEST and time.perf_counter() > stop:
            break
        for name, own in calls.items():
            timer = Clock(device)
            before = power.joules() if power else 0.0
            found[key][name].append(list(turn(own, timer, effort)))
            joules[name] += (power.joules() - before) if power else 0.0
            on_device[name].append(timer.on_device)
    return found | ({f"{key}_device": on_device} if device.type == "cuda" else {})


def turn(calls: list[Call], timer: Clock, effort: Effort) -> Iterator[int]:
    """Whole passes, until the turn has had its share of the time; after a call or two that bring the caches back."""
    for call in calls[:2] if len(calls) > 1 else ():
        call()
    most, began = effort.most // effort.rounds, time.perf_counter()
    done = 0
    while not done or (time.perf_counter() - began < effort.seconds / effort.rounds and done + len(calls) <= most):
        yield from [timer.time(call) for call in calls]
        done += len(calls)
