"""What there is: tasks, methods, students, teachers and metrics, and which of them fit. Imports no plug-in."""

from __future__ import annotations

from typing import Any

from bench.base.groups import grouped
from bench.plugins import suites
from bench.plugins.compatible import why_not
from bench.plugins.registry import Plugin, found


def catalogue() -> dict[str, list[dict[str, Any]]]:
    """{tasks, suites, methods, students, teachers, metrics}: objects with a `name`, as `bench list --json` shows."""
    tasks = [describe_task(p, name) for p in found("task").values() for name in task_names(p)]
    return {
        "tasks": tasks,
        "suites": [describe_suite(suite) for suite in suites.found().values()],
        "methods": [describe_method(p, tasks) for p in found("method").values()],
        "students": [describe_student(p) for p in found("student").values()],
        "teachers": teachers(),
        "metrics": metrics(),
    }


def task_names(plugin: Plugin) -> list[str]:
    datasets = plugin.declares.get("datasets", ())
    return [f"{plugin.name}/{d}" for d in datasets] or [plugin.name]


def describe_task(plugin: Plugin, name: str) -> dict[str, Any]:
    d, dataset = plugin.declares, name.partition("/")[2]
    return {
        "name": name, "title": d.get("title", plugin.summary),
        "kind": d.get("kinds", {}).get(dataset, d["kind"]), "reads": d.get("reads", "text"),
        "metric": d.get("main_metrics", {}).get(dataset, d.get("main_metric")),
    }  # fmt: skip


def describe_suite(suite: suites.Suite) -> dict[str, Any]:
    """What its cells and its averages are the mean of, and what is run of it where a command names nothing."""
    return {
        "name": suite.name, "tasks": suite.tasks,
        "columns": {column.name: list(column.metrics) for column in suite.columns},
        "averages": {name: list(columns) for name, columns in suite.averages.items()},
        "methods": list(suite.methods), "students": list(suite.students),
    }  # fmt: skip


def describe_method(plugin: Plugin, tasks: list[dict[str, Any]]) -> dict[str, Any]:
    """A method, the tasks it fits, and for the others the reason."""
    reasons = {t["name"]: why_not(plugin.declares, t["kind"], reads=t["reads"]) for t in tasks}
    return {
        "name": plugin.name,
        "title": plugin.declares.get("title", plugin.summary),
        "needs": sorted(plugin.declares.get("needs", ())),
        "fits": [name for name, reason in reasons.items() if not reason],
        "misfits": {name: reason for name, reason in reasons.items() if reason},
    }


def describe_student(plugin: Plugin) -> dict[str, Any]:
    d = plugin.declares
    return {
        "name": plugin.name,
        "title": plugin.summary,
        "sizes": d.get("sizes", ""),
        "default": f"{plugin.name}:{d['default']}" if d.get("default") else plugin.name,
        "offers": sorted(d.get("offers", ())),
        "kinds": sorted(d.get("kinds", ())),
        "reads": d.get("reads", "text"),
    }


def teachers() -> list[dict[str, Any]]:
    """Teachers with a short name. Any folder or Hub id of a fitting model is a teacher too."""
    named = (
        (name, where, task_names(plugin))
        for plugin in found("task").values()
        for name, where in sorted(plugin.declares.get("teachers", {}).items())
    )
    return [
        {"name": name, "where": where, "tasks": [task for *_, tasks in own for task in tasks]}
        for (name, where), own in grouped(named, lambda n: n[:2]).items()
    ]


def metrics() -> list[dict[str, Any]]:
    """Metrics that `bench.metrics` and tasks know; K of those that look at the first documents is any depth."""
    from bench.scoring.metrics import CUT, DEPTHS, METRICS  # and with it numpy

    known = {name: metric for name, metric in METRICS.items() if "@" not in name or name.partition("@")[0] not in CUT}
    known |= {f"{name}@K": metric(DEPTHS[-1]) for name, metric in CUT.items()}
    return [{"name": name, "title": first_paragraph(type(metric))} for name, metric in known.items()]


def first_paragraph(cls: type) -> str:
    return " ".join((cls.__doc__ or "").partition("\n\n")[0].split())
