"""In which settings the rows of a board differ, in words: each row against those of its own kind."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from bench.records.specs import CheckedSpec, in_words

View = Callable[[CheckedSpec], Mapping[str, Any]]


def settings(part: str) -> View:
    return lambda spec: spec.settings.get(part, {})


def version(part: str) -> View:
    return lambda spec: {f"{part} version": spec.versions[part]} if part in spec.versions else {}


def others(spec: CheckedSpec) -> Mapping[str, Any]:
    """What else a spec holds: {a: {b: 1}} -> {a.b: 1}, one level, which is as deep as it goes outside its settings."""
    extra = spec.model_extra or {}
    return {f"{k}.{n}": v for k, part in extra.items() if isinstance(part, dict) for n, v in part.items()} | {
        k: v for k, v in extra.items() if not isinstance(v, dict)
    }


# Methods are compared with the same method, students with the same student, all else with the whole board.
VIEWS: dict[str, tuple[str, View]] = {
    "method": ("method", settings("method")), "student": ("student", settings("student")),
    "track": ("", settings("track")), "method version": ("method", version("method")),
    "student version": ("student", version("student")), "teacher version": ("teacher", version("teacher")),
    "others": ("", others),
}  # fmt: skip


class Differences:
    """The keys in which rows differ are found once for each kind, and not once for each row."""

    def __init__(self, specs: Sequence[CheckedSpec]) -> None:
        self.specs = specs
        self._split: dict[tuple[str, str], list[str]] = {}

    def of(self, spec: CheckedSpec) -> tuple[str, ...]:
        """`key=value` for each key that is not the same in all rows of its kind."""
        prefixes = {"student": f"{spec.student.partition(':')[0]}.", "track": "track."}
        words = []
        for name, (_, view) in VIEWS.items():
            own, prefix = view(spec), prefixes.get(name, "")
            told = {key: f"{prefix}{key}={in_words(own[key])}" for key in own}
            words += [told.get(key, f"{prefix}{key} not set") for key in self.split(name, spec)]
        return tuple(words)

    def split(self, name: str, spec: CheckedSpec) -> list[str]:
        """The keys of a view that are not the same in all rows of the spec's kind."""
        by, view = VIEWS[name]
        kind = getattr(spec, by) if by else ""
        if (name, kind) not in self._split:
            peers = [view(s) for s in self.specs if not by or getattr(s, by) == kind]
            values: dict[str, set[str]] = {key: set() for peer in peers for key in peer}
            for key, found in values.items():
                found |= {json.dumps(peer[key], sort_keys=True) if key in peer else "" for peer in peers}
            self._split[name, kind] = sorted(key for key, found in values.items() if len(found) > 1)
        return self._split[name, kind]
