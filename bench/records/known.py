"""What a spec names is there in the code: tasks, methods, students, their versions and their settings."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from bench.errors import BenchError, RequestError, unknown
from bench.plugins import registry
from bench.plugins.compatible import why_not
from bench.records import names
from bench.records.schemas import Record
from bench.records.specs import OF_TEACHER, CheckedSpec

PLUGINS = ("task", "method", "student")
DIGEST = re.compile("[0-9a-f]{16}")  # the version of a plug-in given by path
KEYS = {"data", "stack"}  # of a spec, beside those that are read
SETTINGS = {"track", "method", "student"}
VERSIONS = {*PLUGINS, "teacher", "kind", "initial", "files", "teachers", "assistants", "starts"}
MOST_STAGES = 4  # of a method: each as long as the track's updates at most


def named(spec: CheckedSpec) -> Iterator[str]:
    """Plug-ins that are not there, and names that could be another's."""
    for kind in PLUGINS:
        name = getattr(spec, kind)
        family = name.partition("/" if kind == "task" else ":")[0]
        version, plugin = spec.versions.get(kind), registry.known(kind).get(family)
        if odd := names.oddness(name):
            yield f"spec.{kind}: {odd}"
        elif isinstance(version, str) and DIGEST.fullmatch(version):
            yield from given_by_path(kind, family)
        elif plugin is None:
            yield str(unknown(kind, family, registry.known(kind))).partition(":")[0]
        elif not isinstance(version, int) or not 1 <= version <= plugin.version(name):
            yield f"spec.versions.{kind}: {version!r:.40} is no version of {family}"
    if odd := names.oddness(spec.teacher):
        yield f"spec.teacher: {odd}"


def given_by_path(kind: str, name: str) -> Iterator[str]:
    taken = {names.skeleton(other): other for other in (*registry.known(kind), *names.RESERVED)}
    if not names.FILE.fullmatch(name):
        yield f"spec.{kind}: {name!r:.60} is no name of a plug-in given by path"
    elif (other := taken.get(names.skeleton(name), name)) != name or name in names.RESERVED:  # it may come in later
        yield f"spec.{kind}: {name!r:.60} could be taken for {other}"


def fits(record: Record, spec: CheckedSpec) -> Iterator[str]:
    """What the plug-ins that are here say of the spec: data set, track, size, settings, and that they fit together."""
    extra = {
        "": set(spec.model_extra or {}) - KEYS, "settings.": set(spec.settings) ^ SETTINGS,
        "versions.": set(spec.versions) - VERSIONS, "data.": set(record.spec.get("data", {})) ^ {"source", "identity"},
    }  # fmt: skip
    for where, keys in extra.items():
        yield from (f"spec.{where}{key}: no run has it, or all have" for key in sorted(keys))
    task = installed("task", spec)
    method, student = installed("method", spec), installed("student", spec)
    if task:
        yield from of_task(spec, registry.load(task))
    if method:
        yield from of_settings("method", registry.load(method).Settings, spec.settings.get("method", {}))
    if student:
        yield from of_student(spec, registry.load(student))
    if task and method and student:
        kind = task.declares.get("kinds", {}).get(spec.task.partition("/")[2], task.declares["kind"])
        reads = task.declares.get("reads", "text")
        if misfit := why_not({**method.declares, "needs": ()}, kind, student.declares, reads):
            yield f"spec.method: {spec.method} does not fit {spec.task} with {spec.student}: {misfit}"
        longest = spec.settings.get("track", {}).get("updates")
        stages = record.cost.stages.values()
        if isinstance(longest, int) and (max(stages, default=0) > longest or sum(stages) > MOST_STAGES * longest):
            yield f"cost.stages: more updates than the {longest} of the settings"


def installed(kind: str, spec: CheckedSpec) -> registry.Plugin | None:
    """The plug-in that is here, where it is of the record's version."""
    name = getattr(spec, kind)
    plugin = registry.known(kind).get(name.partition("/" if kind == "task" else ":")[0])
    return plugin if plugin and plugin.version(name) == spec.versions.get(kind) else None


def of_task(spec: CheckedSpec, cls: Any) -> Iterator[str]:
    dataset = spec.task.partition("/")[2]
    if not dataset if cls.opens else dataset not in (cls.datasets or ("",)):
        yield f"spec.task: there is no {spec.task!r:.80}"
    track = cls.tracks.get(spec.track)
    if track is None or (track.datasets and dataset not in track.datasets):
        yield f"spec.track: {spec.task} is not on the track {spec.track!r:.40}"
        return
    said = spec.settings.get("track", {})
    without = ("teacher", "student", "datasets", *OF_TEACHER)
    if wrong := list(of_settings("track", type(track), said, without=without)):
        yield from wrong
        return
    try:
        dataclasses.replace(track, **said)
    except RequestError as error:
        yield f"spec.settings.track: {error}"


def of_student(spec: CheckedSpec, cls: Any) -> Iterator[str]:
    yield from of_settings("student", cls.Settings, spec.settings.get("student", {}))
    size = spec.student.partition(":")[2]
    try:
        canonical = cls.check(size or cls.default)
    except BenchError as error:
        yield f"spec.student: {error}"
        return
    if canonical != size:
        yield f"spec.student: {spec.student} is written {canonical!r:.60}"


def of_settings(kind: str, cls: Any, said: Mapping[str, Any], without: tuple[str, ...] = ()) -> Iterator[str]:
    """Settings that are not there, are missing, or of another type. What came later need not be said."""
    fields = {f.name: f for f in dataclasses.fields(cls) if f.name not in without}
    hints = get_type_hints(cls)
    for name in sorted(set(said) - set(fields)):
        yield f"spec.settings.{kind}: there is no setting {name!r:.60}"
    for name, field in fields.items():
        if name not in said:
            if "was" not in field.metadata:
                yield f"spec.settings.{kind}: {name} is not said"
        elif not valid(said[name], hints[name]):
            yield f"spec.settings.{kind}.{name}: {said[name]!r:.60} is no value of it"


def valid(value: Any, hint: Any) -> bool:
    try:
        found = TypeAdapter(hint).validate_python(value)
    except ValidationError:
        return False
    return isinstance(value, bool) == isinstance(found, bool) and isinstance(value, str) == isinstance(found, str)
