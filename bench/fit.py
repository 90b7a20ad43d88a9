"""Which methods fit which tasks and students, told from what their files declare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.signals import BY_KIND, OUTPUT


def why_not(method: Mapping[str, Any], kind: str, student: Mapping[str, Any] | None = None) -> str:
    """Why a method does not fit a kind of task (and a student), in words; empty when it fits."""
    needs = {OUTPUT[kind] if n == "output" else n for n in method.get("needs", ())}
    kinds = method.get("kinds", ())
    if kinds and kind not in kinds:
        return f"it is defined for {', '.join(sorted(kinds))} tasks and this one is '{kind}'"
    missing = sorted(needs - BY_KIND[kind])
    if missing:
        return f"it needs the signal {', '.join(missing)}, which '{kind}' tasks do not offer"
    if student is None:
        return ""
    if kind not in student.get("kinds", ()):
        return f"that student is built for {', '.join(sorted(student.get('kinds', ())))} tasks and this one is '{kind}'"
    missing = sorted((needs | {OUTPUT[kind]}) - set(student.get("offers", ())))
    return f"it needs the signal {', '.join(missing)}, which that student does not expose" if missing else ""
