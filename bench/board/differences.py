"""In which settings the rows of a board differ, in words: each row against those of its own kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.records.specs import CheckedSpec, in_words

View = dict[str, str]  # {key: `key=value`}


def differences(specs: Sequence[CheckedSpec]) -> list[tuple[str, ...]]:
    """Of each spec `key=value`, or `key not set`, for each key that is not the same in all specs of its kind."""
    views, peers = [kinds(spec) for spec in specs], dict[tuple[str, str], list[View]]()
    for own in views:
        for kind, view in own.items():
            peers.setdefault(kind, []).append(view)
    split = {
        kind: [key for key in sorted(set().union(*found)) if len({view.get(key) for view in found}) > 1]
        for kind, found in peers.items()
    }
    return [
        tuple(view.get(key, f"{key} not set") for kind, view in own.items() for key in split[kind]) for own in views
    ]


def kinds(spec: CheckedSpec) -> dict[tuple[str, str], View]:
    """Methods are compared with the same method, students with the same student, all else with the whole board."""
    settings, extra = spec.settings, spec.model_extra or {}
    views = {
        ("method", spec.method): told(settings.get("method", {})),
        ("student", spec.student): told(settings.get("student", {}), f"{spec.student.partition(':')[0]}."),
        ("track", ""): told(settings.get("track", {}), "track."),
    }
    for part in ("method", "student", "teacher"):
        version = {f"{part} version": spec.versions[part]} if part in spec.versions else {}
        views[f"{part} version", getattr(spec, part)] = told(version)
    nested = [told(part, f"{name}.") for name, part in extra.items() if isinstance(part, dict)]
    rest = told({name: value for name, value in extra.items() if not isinstance(value, dict)})
    return views | {("others", ""): {key: word for view in (*nested, rest) for key, word in view.items()}}


def told(values: Mapping[str, Any], prefix: str = "") -> View:
    return {f"{prefix}{key}": f"{prefix}{key}={in_words(value)}" for key, value in values.items()}
