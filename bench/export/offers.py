"""Which runs `bench export` takes, as far as their records and the store tell: `bench recommend` names no other."""

from __future__ import annotations

import importlib.util

from bench.plugins import registry
from bench.records.schemas import Record
from bench.records.specs import CheckedSpec, checked_spec
from bench.store import folders

PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def command(record: Record) -> tuple[list[str], str]:
    """The command that exports a run, and why it would be refused; empty: nothing speaks against it."""
    spec = checked_spec(record)
    if reason := unfit(spec):
        return [], reason
    formats, data = exports(spec), ["--data-dir", "DATA"] if record.data.source == "directory" else []
    if "hf" not in formats and (reason := onnx_missing()):
        return [], reason
    words = ["bench", "export", record.run_id, "--format", formats[0], "--out", "DIR", *data]
    return words, "" if folders.student_of(record.run_id).is_file() else folders.gone(record.run_id)


def unfit(spec: CheckedSpec) -> str:
    """Why no student of such a run is exported, wherever it is."""
    for what in ("task", "method", "student"):
        if not installed(what, spec):
            return f"the {what} of this run is given by path, or is not the one that is installed here"
    task = registry.found("task")[spec.task.partition("/")[0]].declares
    kind = task.get("kinds", {}).get(spec.task.partition("/")[2], task["kind"])
    if registry.found("kind")[kind].declares.get("output", "logits") == "logits":
        return encoders_alone(spec.task, kind)
    return "" if exports(spec) else f"bench export has no format for {spec.student}"


def installed(what: str, spec: CheckedSpec) -> bool:
    """Whether the task, method or student that is here is that of the run."""
    name = getattr(spec, what).partition("/" if what == "task" else ":")[0]
    plugin = registry.found(what).get(name)
    return plugin is not None and plugin.declares.get("version", 1) == spec.versions.get(what)


def exports(spec: CheckedSpec) -> tuple[str, ...]:
    """Formats that a student's networks fit, the plainest first."""
    return tuple(registry.found("student")[spec.student.partition(":")[0]].declares.get("exports", ()))


def encoders_alone(task: str, kind: str) -> str:
    """Why students of a kind that asks for a head are not exported."""
    return f"bench export writes sentence encoders; {task} has a '{kind}' student"


def onnx_missing() -> str:
    """Which packages of the extra are not there, and what to do; empty: all are there."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    what = f"--format onnx needs {', '.join(missing)}, from the 'onnx' extra: pip install 'bench-kd[onnx]'"
    return what if missing else ""
