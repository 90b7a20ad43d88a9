"""Many runs on a Ray cluster: the runs, the store and the records of `--engine local`, several at once.

    teachers are taught, side by side
    networks of each shape are timed, one session at a time on a machine where nothing else of the command goes on
    runs are carried out side by side, each after those that it wants

Ray moves calls to machines and tries again where a worker died; the run then resumes from its checkpoint in the store.
Where Ray is and how much of it a run gets: `ray_cluster.py`. What a worker does: `worker.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from bench.base import stopping
from bench.base.console import Console
from bench.cluster import ray_cluster, worker
from bench.cluster.ray_cluster import Cluster, Share, Work
from bench.runs import sweep
from bench.runs.recording import with_first
from bench.runs.spec import Request, Spec
from bench.store import folders
from bench.teachers import plans

Found = tuple[dict[str, Any], int]  # as sweep.attempt gives it


GOES_ON = "the same command goes on from the last checkpoint of each run"


@dataclass(frozen=True)
class Call:
    """One thing for a worker to do."""

    work: Work
    run_id: str
    prefix: str  # of its lines
    needs: dict[str, Any]  # Ray's options: CPUs, GPUs, a machine
    after: frozenset[str] = field(default=frozenset())  # run ids of calls that have to be over


def run_all(
    requests: Sequence[Request], specs: Sequence[Spec], results: Path, device: str, jobs: int | None, console: Console
) -> tuple[list[dict[str, Any]], int]:
    """As sweep.run_all. Ray is not started where every run is finished."""
    sweep.check_writable(results)
    sweep.check_writable(folders.root())
    prefixes = {s.run_id: f"[{number}/{len(specs)}]" for number, s in enumerate(specs, 1)}
    found: dict[str, Found] = {}
    for spec in specs:
        if sweep.is_finished(spec, results):
            console(f"{prefixes[spec.run_id]} {spec.label}  ({spec.run_id})")
            skip = partial(sweep.run_one, spec, results, None, console)
            found[spec.run_id] = sweep.attempt(spec.run_id, skip, console)
    rest = [s for s in specs if s.run_id not in found]
    if rest:
        found |= carry_out(requests, rest, results, device, jobs, console, prefixes)
    outcomes = [sweep.describe(s, "failed") | found[s.run_id][0] for s in specs]
    return outcomes, max(found[s.run_id][1] for s in specs)


def carry_out(
    requests: Sequence[Request], specs: Sequence[Spec], results: Path, device: str, jobs: int | None, console: Console,
    prefixes: dict[str, str],
) -> dict[str, Found]:  # fmt: skip
    """What came of each run, by id."""
    with stopping.saying(lambda: GOES_ON), ray_cluster.join() as cluster:
        share = cluster.share(device, jobs)
        console(f"Ray: {cluster.describe()}; {share.describe()}")
        told = worker.order(requests, results, share.device, share.threads)
        runs = [s for s in with_first(specs).values() if not sweep.is_finished(s, results)]
        finish = partial(carry_out_calls, cluster, told, console)
        finish(teach_calls(runs, share))
        finish(time_calls(runs, cluster, share))
        return finish(run_calls(runs, share, prefixes), share.jobs)


def teach_calls(runs: Iterable[Spec], share: Share) -> list[Call]:
    """One for each teacher that is not there yet."""
    missing = {s.place.identity: s for s in runs if plans.untaught(s.place)}
    needs = share.of(len(missing))
    return [Call(worker.teach, s.run_id, f"[teacher {s.place.name}]", needs) for s in missing.values()]


def time_calls(runs: Iterable[Spec], cluster: Cluster, share: Share) -> list[Call]:
    """One for each shape of networks on each machine.

    Speed does not depend on weights, so shapes are timed before there is a run beside them, and the runs find their
    timings in the store. Left out: shapes taught by a run of this command, which are timed beside others and marked as
    noisy.
    """
    shapes = {shape(s): s for s in runs if not isinstance(s.place.origin, Spec)}
    return [
        Call(worker.time, s.run_id, f"[timing {s.values['student']}]", whole)
        for s in shapes.values()
        for whole in cluster.whole_machines(share.device)
    ]


def shape(spec: Spec) -> tuple[str, ...]:
    """What the networks of a run have in common with those of others, within one command."""
    values = spec.values
    return values["task"], values["student"], repr(values["settings"]["student"]), spec.place.identity


def run_calls(runs: Sequence[Spec], share: Share, prefixes: dict[str, str]) -> list[Call]:
    """One for each run, after its assistants' and those of other teachers in turn.

    Runs of one teacher would wait for each other while the first has it read the training inputs.
    """
    seen: Counter[str] = Counter()
    turns = {}
    for spec in runs:
        turns[spec.run_id] = seen[spec.place.identity]
        seen[spec.place.identity] += 1
    ours = {s.run_id for s in runs}
    return [
        Call(
            worker.run,
            s.run_id,
            prefixes.get(s.run_id, f"[assistant {s.run_id}]"),
            share.of(share.jobs),
            frozenset(other.run_id for _, other in s.wanted) & ours,
        )
        for s in sorted(runs, key=lambda s: turns[s.run_id])
    ]


def carry_out_calls(
    cluster: Cluster, told: str, console: Console, calls: Sequence[Call], most: int | None = None
) -> dict[str, Found]:
    """What came of each call, by run id; `most` are handed to Ray at a time, so that no more run at once."""
    waiting, running, found = list(calls), dict[Any, Call](), dict[str, Found]()
    while waiting or running:
        unfinished = {c.run_id for c in [*waiting, *running.values()]}
        ready = [c for c in waiting if not c.after & unfinished]
        for call in ready[: None if most is None else most - len(running)]:
            waiting.remove(call)
            running[cluster.start(call.work, told, call.run_id, call.prefix, call.needs)] = call
        for reference in cluster.wait(list(running), console):
            call = running.pop(reference)
            found[call.run_id] = cluster.result(reference)
            if "error" in found[call.run_id][0]:
                console(f"{call.prefix}  failed: {found[call.run_id][0]['error']}")
            if most is not None:  # a run, and no teacher or timing that is its first call
                console.ended({"run_id": call.run_id, "status": "failed", "value": None} | found[call.run_id][0])
    return found
