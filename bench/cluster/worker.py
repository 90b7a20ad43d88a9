"""What a worker of a cluster does: it is told plain values, resolves the command again, and carries out a part."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any

from bench.base.console import Console
from bench.errors import RequestError
from bench.measuring.machine import threads
from bench.runs import sweep
from bench.runs.protocol import time_ahead
from bench.runs.recording import with_first
from bench.runs.spec import Opened, Request, Spec, resolve
from bench.runs.teach import ensure
from bench.store import folders


class Lines(Console):
    """Its lines are printed where the command was typed, each with the name of what it is about."""

    def __init__(self, queue: Any, prefix: str) -> None:
        super().__init__(quiet=True)
        self.queue, self.prefix = queue, prefix

    def __call__(self, line: str) -> None:
        self.queue.put(f"{self.prefix}  {line.strip()}")


def order(requests: Sequence[Request], results: Path, device: str, threads: int) -> str:
    """All that workers are told, as JSON: the command, where it was typed, and the threads that it has there."""
    told = {
        "requests": [asdict(r) | {"data_dir": r.data_dir and str(r.data_dir)} for r in requests],
        "results": str(results), "device": device, "threads": threads,
        "folder": str(Path.cwd()), "store": str(folders.root().absolute()), "arguments": sys.argv,
        "quota": str(folders.quota()),
    }  # fmt: skip
    return json.dumps(told, default=list)


def run(told: str, run_id: str, console: Console) -> dict[str, Any]:
    """Carry out a run with its part of the machine. It is timed with all threads, as without a cluster."""
    values, spec, device = begin(told, run_id)
    console(f"{spec.label}  ({run_id})")
    return sweep.run_one(spec, Path(values["results"]), device, console, cores=values["threads"])


def teach(told: str, run_id: str, console: Console) -> dict[str, Any]:
    """Teach the run's teacher."""
    _, spec, device = begin(told, run_id)
    ensure(spec.place.origin, device, console)
    return {}


def time(told: str, run_id: str, console: Console) -> dict[str, Any]:
    """Time networks of the run's shapes, with the machine to itself."""
    values, spec, device = begin(told, run_id)
    with threads(values["threads"]):
        time_ahead(spec, device, console)
    return {}


def begin(told: str, run_id: str) -> tuple[dict[str, Any], Spec, Any]:
    """Make this process what the command's own would be; the run and its device.

    RequestError: other files, data or packages are here than where the command was typed.
    """
    import torch

    values, here = json.loads(told), platform.node()
    try:
        os.chdir(values["folder"])
    except OSError as error:
        raise RequestError(
            f"{here} has no {values['folder']} ({error.strerror}): all machines have to share it"
        ) from None
    os.environ["BENCH_CACHE"] = values["store"]
    folders.set_quota(values["quota"])
    sys.argv = values["arguments"]  # the command of the record
    torch.set_num_threads(min(values["threads"], cpus()))
    specs = resolved(told)
    if run_id not in specs:
        raise RequestError(f"{run_id} is another run on {here}: give it the files, data and packages of this machine")
    return values, specs[run_id], torch.device(values["device"])


def cpus() -> int:
    """What Ray has given to this call."""
    import ray

    return int(ray.get_runtime_context().get_assigned_resources().get("CPU", 1))


@lru_cache(maxsize=1)
def resolved(told: str) -> dict[str, Spec]:
    """The runs of the command and those that they want, by id; worked out once for all parts that this worker gets."""
    opened: Opened = {}
    requests = (
        Request(**r | {"data_dir": r["data_dir"] and Path(r["data_dir"])}) for r in json.loads(told)["requests"]
    )
    return with_first([spec for request in requests for spec in resolve(request, opened)])
