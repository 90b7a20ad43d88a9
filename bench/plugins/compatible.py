"""Which methods fit which tasks and students, told from what their files declare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bench.plugins import registry

Declared = Mapping[str, Any]


def why_not(method: Declared, kind: str, student: Declared | None = None, reads: str = "text") -> str:
    """Why a method does not fit a kind of task (and a student), in words; empty when it fits."""
    goal = registry.installed("kind", kind).declares
    if method.get("kinds") and kind not in method["kinds"]:
        return f"it is defined for {', '.join(sorted(method['kinds']))} tasks and this one is '{kind}'"
    output, feature = goal.get("output", "logits"), goal.get("feature", "embedding")
    wanted = {output if n == "output" else n for n in (*method.get("needs", ()), *method.get("wants", ()))}
    if student and (misfit := unfit(student, kind, goal, reads)):
        return misfit
    if missing := sorted(wanted - offered([*readers(reads), *filter(None, [student])], output, feature)):
        return f"it needs the signal {', '.join(missing)}, which networks for '{kind}' tasks on {reads} do not offer"
    missing = sorted(wanted - offered([student], output, feature)) if student else []
    return f"it needs the signal {', '.join(missing)}, which that student does not expose" if missing else ""


def unfit(student: Declared, kind: str, goal: Declared, reads: str) -> str:
    """Why a student cannot be built for a kind of task on such inputs; empty: it can."""
    if student.get("told"):
        return "that network is told the answers: it can teach, and be no student"
    kinds, own = student.get("kinds", ()), student.get("reads", "text")
    if kinds and kind not in kinds:
        return f"that student is built for {', '.join(sorted(kinds))} tasks and this one is '{kind}'"
    if own != reads:
        return f"that student reads {own} and this task is on {reads}"
    feature = goal.get("feature", "embedding")
    if feature not in student.get("offers", ()):
        return f"a '{kind}' task reads the signal {feature}, which that student does not expose"
    return ""


def readers(reads: str) -> list[Declared]:
    """What the installed students that read such inputs declare."""
    declared = (plugin.declares for plugin in registry.found("student").values())
    return [d for d in declared if d.get("reads", "text") == reads]


def offered(students: Iterable[Declared], output: str, feature: str) -> set[str]:
    """What networks of these students expose: their bodies' signals, logits where the kind has a head, and each layer's
    embedding where it has none. One that reads a feature of another sort makes no embedding of the input."""
    signals = {name for student in students for name in student.get("offers", ())} | {output}
    heads = {name for name in signals if name.partition(".")[0] == "logits"}
    absent = heads if output != "logits" else {"pooled"}
    return signals - absent - ({"embedding"} - {output, feature})
