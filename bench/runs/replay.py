"""The way back from a record: the request, the spec and the command that it stands for. The inverse of `spec`."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.errors import RequestError
from bench.plugins import registry
from bench.records import typed
from bench.records.schemas import Record
from bench.records.specs import OF_TEACHER, checked_spec, in_words
from bench.runs.spec import Request, Spec, defaults, resolve
from bench.teachers.plans import shape_name, split_shape

FOLDER = re.compile("[0-9a-f]{16}#")  # what the identity of a model in a folder begins with


def request_of(record: Record, data_dir: Path | None = None) -> Request:
    """The command line that a record stands for; settings that are defaults today are left out.

    RequestError: a plug-in, a folder or a file of data that it needs is not there.
    """
    if not typed.reads_files(checked_spec(record)) or record.data.source == "hub":
        return _request(record, _data_dir(record, data_dir))
    found = _request(record, None)
    place = str(data_dir) if data_dir else found.tasks[0]
    if not Path(place).expanduser().exists():
        raise RequestError(
            f"the run {record.run_id} read a table of {place}, which is not here: name it with --data-dir"
        )
    return dataclasses.replace(found, tasks=[place])


def _request(record: Record, data_dir: Path | None) -> Request:
    names, spec = _names(record), checked_spec(record)
    return Request(
        [names["task"]], [names["method"]], [names["student"]], _teacher(record), spec.track, [spec.seed], data_dir,
        [*_settings(record, names), *_teaching(record)],
    )  # fmt: skip


def spec_of(record: Record, data_dir: Path | None = None) -> Spec:
    """The resolved spec of a record's run. RequestError: it would be another run today; says what differs."""
    request = request_of(record, data_dir)
    specs = resolve(request)  # several for a task given by path: all its data sets
    if came_first(record):  # the teaching that the command says may be of its own task alone
        own = set(_teaching(record))
        specs += resolve(dataclasses.replace(request, settings=[s for s in request.settings if s not in own]))
    for spec in specs:
        if spec.run_id == record.run_id and not _differences(record.spec, spec.values):
            return spec
    nearest = min((_differences(record.spec, spec.values) for spec in specs), key=len)
    what = "; ".join(nearest) or "the record's run id is not the hash of its own spec"
    raise RequestError(
        f"the run {record.run_id} cannot be carried out again as it was, it would be another run: {what}"
    )


def command_of(record: Record) -> list[str]:
    """The `bench run` that repeats a run.

    RequestError: a plug-in given by path is not where the record's own command had it.
    """
    folder = Path(typed.option(record, "--data-dir") or "DIR") if _in_folder(record) else None
    r = _request(record, folder)
    words = ["--task", *r.tasks, "--method", *r.methods, "--student", *r.students, "--teacher", r.teacher]
    words += ["--track", r.track, "--seeds", *map(str, r.seeds)]
    words += ["--data-dir", str(folder)] if folder else []
    return ["bench", "run", *words, *(w for text in r.settings for w in ("--set", text))]


def _names(record: Record) -> dict[str, str]:
    """Task, method and student as a command line names them: by name, or by path where the record's digest says so."""
    spec, found = checked_spec(record), {}
    for kind in ("task", "method", "student"):
        if typed.by_path(spec, kind):
            plain, colon, size = getattr(spec, kind).partition(":")
            path = _path(record, kind, _family(plain), str(spec.versions[kind]))
            found[kind] = f"{path}:{size}" if colon and ":" not in path else path
        else:
            found[kind] = typed.named(record, spec, kind)
    return found


def _path(record: Record, kind: str, name: str, digest: str) -> str:
    """The file of a plug-in given by path, as the record's own command names it."""
    found = typed.file(record, name)
    if not found or not Path(found).expanduser().is_file():
        raise RequestError(
            f"the run {record.run_id} needs the {kind} file {name}.py (sha256 {digest}...), which is not where its "
            f"command had it: work in the folder in which this was typed: {record.provenance.command[:200]}"
        )
    if registry.find(kind, found).digest != digest:
        raise RequestError(f"{found} has changed since the run {record.run_id}: its {kind} is another now")
    return found


def _teacher(record: Record) -> str:
    """The teacher as a command line names it: one that has the shape of a family given by path, by that path.

    RequestError: it was read from a folder, which is not here.
    """
    name, told = checked_spec(record).teacher, typed.option(record, "--teacher")
    folder = Path(name.partition("#")[0]).expanduser()
    identity = str(checked_spec(record).versions.get("teacher"))
    if FOLDER.match(identity) and not folder.is_dir():
        raise RequestError(
            f"the teacher of the run {record.run_id} is the model in the folder {folder} ({identity}), "
            f"which is not here: work in the folder in which this was typed: {record.provenance.command[:200]}"
        )
    there = typed.FILE.fullmatch(told) and Path(split_shape(told)[0]).expanduser().is_file()
    return told if there and shape_name(told) == name else name


def _teaching(record: Record) -> Iterator[str]:
    """Settings of how the teacher was taught, which are part of its key and not of the run's settings."""
    for word, after in itertools.pairwise(typed.words(record)):
        if word == "--set" and after.partition("=")[0].removeprefix("track.") in OF_TEACHER:
            yield after


def came_first(record: Record) -> bool:
    """Whether the command named other tasks, whose runs wanted this one."""
    task = checked_spec(record).task
    named = [word for word in typed.options(record, "--task") if re.fullmatch(r"[\w-]+(/[\w-]+)?", word)]
    return bool(named) and not any(task == word or task.startswith(f"{word}/") for word in named)


def _in_folder(record: Record) -> bool:
    """Whether the data are in a folder that an option names."""
    return record.data.source == "directory" and not typed.reads_files(checked_spec(record))


def _data_dir(record: Record, data_dir: Path | None) -> Path | None:
    """Where the data is now. RequestError: nobody knows, or a folder was named for data that is in none."""
    if record.data.source != "directory":
        if data_dir is not None:
            raise RequestError(f"the run {record.run_id} read no data from a folder: leave out --data-dir")
        return None
    told = data_dir or Path(typed.option(record, "--data-dir") or "DIR").expanduser()
    if not told.is_dir():
        raise RequestError(f"the run {record.run_id} read its data from a folder, {told}: name it with --data-dir")
    return told


def _family(task: str) -> str:
    """`glue` of `glue/sst2`; a path is a family of its own."""
    return task if task.endswith(".py") else task.partition("/")[0]


def _settings(record: Record, names: Mapping[str, str]) -> Iterator[str]:
    """What `--set` takes, for all that is no default today."""
    spec = checked_spec(record)
    family = names["task"] if names["task"].endswith(".py") else _family(spec.task)
    task = registry.load(registry.find("task", family))
    if spec.track not in task.tracks:
        raise RequestError(f"the task '{spec.task}' has no {spec.track} track any more")
    owners = {"track": ("track", task.track_of(spec.track, spec.task.partition("/")[2]))}
    for kind in ("method", "student"):
        plugin = registry.find(kind, split_shape(names[kind])[0])
        owners[kind] = plugin.name, defaults(plugin, registry.load(plugin), task.reads)
    for kind, (owner, base) in owners.items():
        usual = dataclasses.asdict(base)
        for name, value in (_unsaid(base) | spec.settings.get(kind, {})).items():
            if name not in usual or not _same(usual[name], value):
                yield f"{owner}.{name}={in_words(value)}"


def _unsaid(settings: Any) -> dict[str, Any]:
    """What a record means that has no word of a setting which came later. Of how its teacher was taught no record has
    one: the teacher's identity stands for it."""
    later = (f for f in dataclasses.fields(settings) if "was" in f.metadata and f.name not in OF_TEACHER)
    return {f.name: f.metadata["was"] for f in later}


def _same(a: Any, b: Any) -> bool:
    """Equal as the run id sees them: 1 and 1.0 differ, a tuple and a list do not."""
    return json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


def _differences(recorded: Mapping[str, Any], resolved: Mapping[str, Any]) -> list[str]:
    """What is not the same in two specs, in words."""
    before, now = _flat(recorded), _flat(resolved)
    keys = [k for k in {**before, **now} if k not in before or k not in now or not _same(before[k], now[k])]
    return [f"{key.removeprefix('settings.')} is {_short(now, key)} instead of {_short(before, key)}" for key in keys]


def _short(values: Mapping[str, Any], key: str) -> str:
    """A value in words, a fingerprint by its beginning."""
    text = in_words(values[key]) if key in values else "nothing"
    return text if len(text) <= 60 else f"{text[:12]}..."


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as {dotted key: value}."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return found
