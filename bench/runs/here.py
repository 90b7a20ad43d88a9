"""The networks of records, built again and timed on this machine: `bench recommend --here`. Nothing is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.base.console import Console
from bench.base.groups import grouped
from bench.errors import BenchError, RequestError
from bench.measuring import cache, session
from bench.measuring.counting import parameters
from bench.network import Network
from bench.records.schemas import Record
from bench.runs import protocol, replay
from bench.runs.spec import Opened, Spec, resolve

TEACHER = "teacher"
MOST = 8  # networks that are in memory beside their teacher
EFFORT = session.QUICK  # seconds for each network, whatever the track: somebody waits


@dataclass(frozen=True)
class Timings:
    """What sessions say of each record by its run id, or why they say nothing."""

    found: Mapping[str, Mapping[str, Any]]  # a session's networks are called `teacher` and by run ids
    why_not: Mapping[str, str]


def timings(records: Sequence[Record], data_dir: Path | None, console: Console) -> Timings:
    """One record of each shape is given. Those of one teacher are timed in turn with it, MOST in a session, which the
    store keeps."""
    tasks: Opened = {}
    found, why_not = dict[str, Mapping[str, Any]](), dict[str, str]()
    for together in (part for own in grouped(records, lambda r: r.teacher.identity).values() for part in parts(own)):
        networks = dict[str, Network]()
        for record in together:
            try:
                spec = spec_of(record, data_dir, tasks)
                teacher = protocol.untaught(spec.task, spec.place)
                networks.setdefault(TEACHER, checked(teacher.network, record.teacher.efficiency.parameters.total))
                built = protocol.build_student(spec, teacher)
                networks[record.run_id] = checked(built, record.efficiency.parameters.total)
            except BenchError as error:
                why_not[record.run_id] = str(error)
        if len(networks) > 1:
            found |= dict.fromkeys([*networks][1:], timed(networks, spec, console))
    return Timings(found, why_not)


def parts(records: Sequence[Record]) -> list[Sequence[Record]]:
    return [records[start : start + MOST] for start in range(0, len(records), MOST)]


def spec_of(record: Record, data_dir: Path | None, tasks: Opened) -> Spec:
    """What the record's command means today: a version that has changed since does not matter to the clock."""
    specs = resolve(replay.request_of(record, data_dir), tasks)
    spec = next(spec for spec in specs if spec.values["task"] == record.spec["task"])
    spec.task.unseal()  # inputs alone: nothing is trained, chosen or scored
    return spec


def checked(network: Network, recorded: int) -> Network:
    """RequestError: it is not what was scored, as where training cuts units."""
    if (now := parameters(network)["total"]) != recorded:
        raise RequestError(f"built anew it has {now:,} parameters, and {recorded:,} where it was scored")
    return network.eval()


def timed(networks: Mapping[str, Network], spec: Spec, console: Console) -> Mapping[str, Any]:
    """From the store where the same were timed before."""
    inputs, want = spec.task.inputs("test"), frozenset({spec.task.goal.output})
    console(f"  timing the teacher {spec.place.name} and {len(networks) - 1} students")
    key = cache.key_of(networks, inputs, EFFORT, ())
    return cache.once(key, lambda: session.measure(networks, inputs, want, EFFORT, console, ()))
