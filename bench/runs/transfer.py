"""`bench transfer`: methods that begin with a run of another task, from each source to each target."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bench.base.console import Console
from bench.base.groups import grouped
from bench.errors import RequestError
from bench.plugins import registry
from bench.runs.spec import Request, Spec, open_tasks, resolve
from bench.sources import DataError


def methods(names: Sequence[str]) -> list[str]:
    """Those asked for; of none all that transfer. RequestError: one begins with no run of another task."""
    there = [name for name, plugin in registry.found("method").items() if plugin.declares.get("transfers")]
    for name in names:
        if not registry.find("method", name).declares.get("transfers"):
            raise RequestError(f"'{name}' begins with no run of another task: there are {', '.join(there)}")
    return list(names) or there


def plan(request: Request, sources: Sequence[str], targets: Sequence[str], console: Console) -> list[Spec]:
    """The runs: each method on each target from each source but itself, and on each target the method that all of them
    begin with, for comparison. RequestError: there is no such task, or nothing to transfer between."""
    names = methods(request.methods)
    sources, targets = (tasks_of(asked, which, names, request, console) for asked, which in
                        ((sources, "sources"), (targets, "targets")))  # fmt: skip
    zero = sorted({registry.find("method", name).declares["transfers"] for name in names})
    found: dict[str, Spec] = {}
    for source in sources:
        others = [target for target in targets if target != source]
        given = [*request.settings, *(f"{registry.find('method', name).name}.source={source}" for name in names)]
        if others:
            one = replace(request, tasks=others, methods=[*zero, *names], settings=given)
            found |= {spec.run_id: spec for spec in resolve(one)}
    if not found:
        raise RequestError("there is nothing to transfer: the only source is the only target")
    return list(found.values())


def tasks_of(
    asked: Sequence[str], which: str, names: Sequence[str], request: Request, console: Console
) -> list[str]:  # fmt: skip
    """Tasks by their names here or in a paper; the name of a method stands for all of its paper's whose data is there,
    and what is left out is said."""
    declared = {name: registry.find("method", name).declares for name in names}
    known = {paper: task for own in declared.values() for paper, task in own.get("sources", {}).items()}
    found: list[str] = []
    for name in asked:
        own = declared.get(name, {})
        if own.get(which):
            every = [known[paper] for paper in own[which]]
            found += [task for task in every if there(task, request, console)]
        else:
            found.append(known.get(name, name))
    return list(dict.fromkeys(found))


def there(task: str, request: Request, console: Console) -> bool:
    """Whether the data of a task can be read."""
    try:
        for each in open_tasks(replace(request, tasks=[task])):
            each.identity()
    except DataError as error:
        console(f"left out: {task}: {error}")
        return False
    return True


def cells(specs: Iterable[Spec], outcomes: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each cell of the matrix: the mean over seeds of the main metric, and how far it is from the method that all begin
    with on the same target; None where a run failed. Differences with intervals are on the board."""
    of_run = {outcome["run_id"]: outcome for outcome in outcomes}
    groups = grouped(specs, lambda s: (s.values["method"], s.values["student"], source_of(s), s.values["task"]))
    means = {key: mean(of_run[spec.run_id]["value"] for spec in group) for key, group in groups.items()}
    found = []
    for (method, student, source, task), value in means.items():
        begins = registry.found("method").get(method)
        zero = means.get((begins.declares.get("transfers") if begins else None, student, "", task))
        gain = None if value is None or zero is None else value - zero
        count = len(groups[method, student, source, task])
        found.append({"method": method, "student": student, "source": source, "target": task, "seeds": count,
                      "value": value, "gain": gain})  # fmt: skip
    return found


def source_of(spec: Spec) -> str:
    """The task that a run begins with; empty: none."""
    transfers = spec.method.declares.get("transfers")
    return str(spec.method_settings.source) if transfers else ""


def mean(values: Iterable[float | None]) -> float | None:
    found = list(values)
    return None if None in found else statistics.fmean(found)  # type: ignore[arg-type]
