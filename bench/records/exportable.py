"""Which students `bench export` writes, as far as the record of a run tells: commands and the site offer no other."""

from __future__ import annotations

from bench.plugins import registry
from bench.records.specs import CheckedSpec


def unfit(spec: CheckedSpec) -> str:
    """Why no student of such a run is exported, wherever it is."""
    for what in ("task", "method", "student"):
        if not installed(what, spec):
            return f"the {what} of this run is given by path, or is not the one that is installed here"
    if formats(spec):
        return ""
    kind = kind_of(spec)
    return encoders_alone(spec.task, kind) if headed(kind) else f"bench export has no format for {spec.student}"


def kind_of(spec: CheckedSpec) -> str:
    """The kind of the run's task, by name."""
    task = registry.found("task")[spec.task.partition("/")[0]].declares
    return str(task.get("kinds", {}).get(spec.task.partition("/")[2], task["kind"]))


def headed(kind: str) -> bool:
    """Whether networks for such tasks have a head."""
    return bool(registry.found("kind")[kind].declares.get("output", "logits") == "logits")


def installed(what: str, spec: CheckedSpec) -> bool:
    """Whether the task, method or student that is here is that of the run."""
    name = getattr(spec, what)
    plugin = registry.found(what).get(name.partition("/" if what == "task" else ":")[0])
    return plugin is not None and plugin.version(name) == spec.versions.get(what)


def formats(spec: CheckedSpec) -> tuple[str, ...]:
    """Formats that a student's networks fit, the plainest first."""
    which = "heads" if headed(kind_of(spec)) else "exports"
    return tuple(registry.found("student")[spec.student.partition(":")[0]].declares.get(which, ()))


def encoders_alone(task: str, kind: str) -> str:
    """Why students of a kind that asks for a head are not exported."""
    return (
        "bench export writes sentence encoders, and with a head bert students and readers of words; "
        f"{task} has another '{kind}' student"
    )
