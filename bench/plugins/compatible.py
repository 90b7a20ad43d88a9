"""Which methods fit which tasks and students, told from what their files declare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.signals import BY_KIND, ELSEWHERE, OUTPUT


def why_not(method: Mapping[str, Any], kind: str, student: Mapping[str, Any] | None = None, reads: str = "text") -> str:
    """Why a method does not fit a kind of task (and a student), in words; empty when it fits."""
    needs = {OUTPUT[kind] if n == "output" else n for n in method.get("needs", ())}
    kinds = method.get("kinds", ())
    if kinds and kind not in kinds:
        return f"it is defined for {', '.join(sorted(kinds))} tasks and this one is '{kind}'"
    wanted = needs | set(method.get("wants", ()))
    missing = sorted(wanted - BY_KIND[kind] | wanted & ELSEWHERE[reads])
    if missing:
        return f"it needs the signal {', '.join(missing)}, which networks for '{kind}' tasks on {reads} do not offer"
    if student is None:
        return ""
    if kind not in student.get("kinds", ()):
        return f"that student is built for {', '.join(sorted(student.get('kinds', ())))} tasks and this one is '{kind}'"
    if student.get("reads", "text") != reads:
        return f"that student reads {student.get('reads', 'text')} and this task is on {reads}"
    missing = sorted((wanted | {OUTPUT[kind]}) - set(student.get("offers", ())))
    return f"it needs the signal {', '.join(missing)}, which that student does not expose" if missing else ""
