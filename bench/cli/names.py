"""What a shell completes: names of tasks, methods, students, tracks and suites, from the sources of plug-ins alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.plugins.registry import Plugin

TRACKS = ("mini", "lite", "full")


def tasks(incomplete: str) -> list[str]:
    """Families and their data sets."""
    from bench.plugins.catalogue import task_names

    plugins = found("task")
    return begins(incomplete, [*plugins, *(name for plugin in plugins.values() for name in task_names(plugin))])


def methods(incomplete: str) -> list[str]:
    return begins(incomplete, found("method"))


def students(incomplete: str) -> list[str]:
    """Families, each with its default size."""
    defaults = ((name, plugin.declares.get("default")) for name, plugin in found("student").items())
    return begins(incomplete, [f"{name}:{size}" if size else name for name, size in defaults])


def suites(incomplete: str) -> list[str]:
    from bench.plugins import suites as known

    return begins(incomplete, known.found())


def tracks(incomplete: str) -> list[str]:
    return begins(incomplete, TRACKS)


def found(kind: str) -> dict[str, Plugin]:
    """None where a plug-in is broken: a shell is no place to say so."""
    from bench.plugins import registry

    try:
        return registry.found(kind)
    except BenchError:
        return {}


def begins(incomplete: str, names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name for name in names if name.startswith(incomplete)))
