"""Which students `bench export` writes, as far as the record of a run tells: commands and the site offer no other."""

from __future__ import annotations

from bench.plugins import registry
from bench.records.specs import CheckedSpec


def unfit(spec: CheckedSpec) -> str:
    """Why no student of such a run is exported, wherever it is."""
    for what in ("task", "method", "student"):
        if not installed(what, spec):
            return f"the {what} of this run is given by path, or is not the one that is installed here"
    task = registry.found("task")[spec.task.partition("/")[0]].declares
    kind = task.get("kinds", {}).get(spec.task.partition("/")[2], task["kind"])
    if registry.found("kind")[kind].declares.get("output", "logits") == "logits":
        return encoders_alone(spec.task, kind)
    return "" if formats(spec) else f"bench export has no format for {spec.student}"


def installed(what: str, spec: CheckedSpec) -> bool:
    """Whether the task, method or student that is here is that of the run."""
    name = getattr(spec, what).partition("/" if what == "task" else ":")[0]
    plugin = registry.found(what).get(name)
    return plugin is not None and plugin.declares.get("version", 1) == spec.versions.get(what)


def formats(spec: CheckedSpec) -> tuple[str, ...]:
    """Formats that a student's networks fit, the plainest first."""
    return tuple(registry.found("student")[spec.student.partition(":")[0]].declares.get("exports", ()))


def encoders_alone(task: str, kind: str) -> str:
    """Why students of a kind that asks for a head are not exported."""
    return f"bench export writes sentence encoders; {task} has a '{kind}' student"
