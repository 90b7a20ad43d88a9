"""What a record's own command names by path: files of plug-ins, and of data. A name in a record alone leads to none."""

from __future__ import annotations

import itertools
import re
import shlex
from pathlib import Path

from bench.plugins import registry
from bench.records.schemas import Record
from bench.records.specs import CheckedSpec

FILE = re.compile(r"(.+\.py)(?::.*)?")  # a plug-in given by path; after the colon a student's size
DIGEST = re.compile("[0-9a-f]{16}")  # the version of such a plug-in, where an installed one has a number


def words(record: Record) -> list[str]:
    """The command that made the record, `--option=value` as two words."""
    try:
        found = shlex.split(record.provenance.command)
    except ValueError:  # a quote that never ends: no command that was ever typed
        return []
    return [part for word in found for part in (word.split("=", 1) if word.startswith("--") else [word])]


def option(record: Record, name: str) -> str:
    """The value of an option in the command that made the record; empty: it has none."""
    return next(iter(options(record, name)), "")


def options(record: Record, name: str) -> list[str]:
    """All values of an option that may be given several times."""
    return [after for word, after in itertools.pairwise(words(record)) if word == name]


def by_path(spec: CheckedSpec, kind: str) -> bool:
    """Whether the task, method or student was a file."""
    return isinstance(version := spec.versions.get(kind), str) and bool(DIGEST.fullmatch(version))


def file(record: Record, name: str) -> str:
    """The file of a plug-in of this name, as the command has it; empty: it has none."""
    matches = (match[1] for word in words(record) if (match := FILE.fullmatch(word)))
    return next((path for path in matches if Path(path).stem == name), "")


def reads_files(spec: CheckedSpec) -> bool:
    """Whether the run's task is one that opens files of data."""
    plugin = registry.found("task").get(spec.task.partition("/")[0])
    return bool(plugin and plugin.declares.get("opens"))


def data(record: Record, spec: CheckedSpec) -> str:
    """The file or folder of data that is the run's task, as the command has it, or the data set of the Hub at the
    record's revision; empty: it has none."""
    dataset = spec.task.partition("/")[2]
    named = (after for word, after in itertools.pairwise(words(record)) if word == "--task")
    found = next((word for word in named if registry.openers(word) and registry.data_name(word) == dataset), "")
    return f"{found.partition('@')[0]}@{record.data.revision}" if found.startswith(registry.ON_HUB) else found


def data_option(record: Record, spec: CheckedSpec) -> list[str]:
    """What a command about the run says of its data: the folder, where they are in one and no command names them."""
    return ["--data-dir", "DATA"] if record.data.source == "directory" and not reads_files(spec) else []


def made_from(record: Record, spec: CheckedSpec, name: str) -> bool:
    """Whether the file or folder of data that the run's command named is the one that this names."""
    told = data(record, spec)
    return bool(told) and Path(told).expanduser().resolve() == Path(name).expanduser().resolve()


def tasks(name: str) -> list[str]:
    """What records call the task that a command names so: by its file, or by the file of its data."""
    if name.endswith(".py"):
        return [Path(name).stem]
    return [f"{plugin.name}/{registry.data_name(name)}" for plugin in registry.openers(name)] or [name]


def named(record: Record, spec: CheckedSpec, kind: str) -> str:
    """The task, method or student as a command line names it: by path where the record's command does, else by name."""
    name: str = getattr(spec, kind)
    if kind == "task" and reads_files(spec):
        return data(record, spec) or name
    if not by_path(spec, kind):
        return name
    plain, colon, size = name.partition(":")
    return (file(record, plain) or plain) + colon + size


def teacher(record: Record, spec: CheckedSpec) -> str:
    """The teacher as a command line names it: a student's shape whose family is a file by that file."""
    told = option(record, "--teacher")
    path, _, size = told.rpartition(":") if ".py:" in told else (told, "", "")
    same = path.endswith(".py") and spec.teacher == ":".join(filter(None, (Path(path).stem, size)))
    return told if same else spec.teacher
