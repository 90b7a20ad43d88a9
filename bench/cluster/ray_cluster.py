"""Ray: joining or starting a cluster, how much of it a run gets, and calls that are tried again when a worker dies."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from typing import Any

from bench.base.console import Console
from bench.errors import BenchError, RequestError

RETRIES = 3  # of a call whose worker died
POLL = 0.2  # seconds between two looks at the workers' lines
SILENCE = 5.0  # seconds that a cluster may take to answer

Work = Callable[[str, str, Console], dict[str, Any]]  # (what workers are told, run id, console)


@dataclass(frozen=True)
class Share:
    """What a run gets of the cluster."""

    device: str
    jobs: int  # runs at once
    cpus: int
    gpus: float
    largest: int  # CPUs of the largest machine
    threads: int  # that a process has at most: those of this one, so that OMP_NUM_THREADS holds for workers too

    def of(self, some: int) -> dict[str, Any]:
        """Ray's options of each of a few calls that go on at the same time, before there are runs."""
        return {"num_cpus": max(self.cpus, self.largest // max(1, some)), "num_gpus": self.gpus}

    def describe(self) -> str:
        threads = min(self.cpus, self.threads)
        return f"{self.jobs} run{'s' * (self.jobs != 1)} at once on {self.device}, threads of each: {threads}"


class Cluster:
    """A Ray cluster that this process has joined."""

    def __init__(self, ray: Any) -> None:
        from ray.util.queue import Queue

        self.ray = ray
        self.machines = [n for n in ray.nodes() if n["Alive"] and n["Resources"].get("CPU")]
        here = self.machine_options(ray.get_runtime_context().get_node_id())
        self.lines = Queue(actor_options={"num_cpus": 0, **here})  # dies with this process, and with no other machine

    def describe(self) -> str:
        cpus, gpus = self.total("CPU"), self.total("GPU")
        machines = f"{len(self.machines)} machine{'s' * (len(self.machines) != 1)}"
        return f"{machines}, {cpus} CPU{'s' * (cpus != 1)}" + (f", {gpus} GPU{'s' * (gpus != 1)}" if gpus else "")

    def total(self, resource: str) -> int:
        return int(sum(n["Resources"].get(resource, 0) for n in self.machines))

    def share(self, device: str, jobs: int | None) -> Share:
        """What each of so many runs at once gets; by default there is one for each GPU, else one for each CPU."""
        import torch

        cpus, gpus = self.total("CPU"), self.total("GPU")
        if device == "cuda" and not gpus:
            raise RequestError("--device cuda: the Ray cluster has no GPU; leave it out to run on its CPUs")
        if device == "mps":
            raise RequestError("--device mps: --engine ray has CPUs and CUDA GPUs; leave it out")
        device = "cuda" if gpus and device != "cpu" else "cpu"
        jobs = jobs or (gpus if device == "cuda" else cpus)
        if jobs > cpus:
            raise RequestError(f"--jobs {jobs}: the Ray cluster has {self.describe()}; give at most {cpus}")
        largest = max(int(n["Resources"]["CPU"]) for n in self.machines)
        gpu = 0.0 if device == "cpu" else 1 / -(-jobs // gpus)  # several runs may share one
        return Share(device, jobs, min(largest, cpus // jobs), gpu, largest, torch.get_num_threads())

    def whole_machines(self, device: str) -> list[dict[str, Any]]:
        """The options of a call that has a machine to itself, for each one that runs may get."""
        gpus = {"num_gpus": 1} if device == "cuda" else {}
        return [
            {"num_cpus": n["Resources"]["CPU"], **gpus, **self.machine_options(n["NodeID"])}
            for n in self.machines
            if not gpus or n["Resources"].get("GPU")
        ]

    def machine_options(self, machine: str) -> dict[str, Any]:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        return {"scheduling_strategy": NodeAffinitySchedulingStrategy(machine, soft=False)}

    def start(self, work: Work, told: str, run_id: str, prefix: str, needs: dict[str, Any]) -> Any:
        """Hand a call to Ray; `ps` shows it as `ray::bench <run id>`."""
        remote = self.ray.remote(attempt).options(name=f"bench {run_id}", max_retries=RETRIES, **needs)
        return remote.remote(work, self.lines, told, run_id, prefix)

    def wait(self, references: Sequence[Any], console: Console) -> list[Any]:
        """The calls that are over by now; prints what workers have said meanwhile."""
        over, _ = self.ray.wait(list(references), num_returns=len(references), timeout=POLL)
        for line in self.lines.get_nowait_batch(self.lines.size()):
            console(line)
        return list(over)

    def result(self, reference: Any) -> tuple[dict[str, Any], int]:
        """What a call gave, or why Ray gave up."""
        try:
            found: tuple[dict[str, Any], int] = self.ray.get(reference)
            return found
        except self.ray.exceptions.RayTaskError as error:
            return {"error": f"the worker cannot start: {error.cause}"}, 1
        except self.ray.exceptions.RayError as error:
            reason = f"its worker died {RETRIES + 1} times ({type(error).__name__})"
            return {"error": f"{reason}; the same command goes on from the last checkpoint"}, 1


def attempt(work: Work, lines: Any, told: str, run_id: str, prefix: str) -> tuple[dict[str, Any], int]:
    """In the worker. What it needs is imported here, so that a worker that lacks it says so."""
    from bench.cluster import worker
    from bench.runs import sweep

    console = worker.Lines(lines, prefix)
    return sweep.attempt(run_id, lambda: work(told, run_id, console), Console(quiet=True))


@contextmanager
def join() -> Iterator[Cluster]:
    """The cluster that RAY_ADDRESS names, else one of this machine alone, which ends with the command."""
    address = os.environ.get("RAY_ADDRESS") or "local"
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
    except ImportError:
        raise RequestError("--engine ray needs Ray, from the 'ray' extra: pip install 'bench-kd[ray]'") from None
    check_address(address)
    with redirect_stdout(sys.stderr):  # Ray says there that a worker died, where the JSON document of --json belongs
        try:
            start(ray, address)
            yield Cluster(ray)
        finally:
            ray.shutdown()


def start(ray: Any, address: str) -> None:
    """BenchError: Ray gave up, as it does after half a minute on a machine that is very busy."""
    try:
        ray.init(address, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # of several types, a plain Exception among them
        raise BenchError(
            f"Ray did not start: {error}; give the same command again, or leave out --engine ray"
        ) from error


def check_address(address: str) -> None:
    """RequestError: nobody answers there. Ray itself would try for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon:  # `local`, `auto`
        return
    try:
        socket.create_connection((host, int(port)), timeout=SILENCE).close()
    except (OSError, ValueError) as error:
        raise RequestError(
            f"RAY_ADDRESS={address}: no Ray cluster answers there ({error}); start one with `ray start --head`, or "
            "unset RAY_ADDRESS to use this machine alone"
        ) from None
