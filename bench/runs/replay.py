"""The way back from a record: the request, the spec and the command that it stands for. The inverse of `spec`."""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_type_hints

from bench.errors import RequestError
from bench.plugins import registry
from bench.records.schemas import Record
from bench.records.specs import checked_spec, in_words
from bench.runs.spec import FIXED, OF_TEACHER, Request, Spec, parse_settings, parse_value, resolve
from bench.teachers.plans import shape_name, split_shape

RUN_ID = re.compile("[0-9a-f]{16}")
NEAR = 3  # run ids that an error offers
FILE = re.compile(r"(.+\.py)(?::.*)?")  # a plug-in given by path; after the colon a student's size
DIGEST = RUN_ID  # of the same form: the version of such a plug-in, where an installed one has a number


def find_record(results: Path, run: str) -> Path:
    """The record of a run given by path, run id or unambiguous beginning of it. RequestError: none, or several."""
    if run.endswith(".json"):
        if not Path(run).is_file():
            raise RequestError(f"there is no record {run}: give its path, or a run id and the folder with --results")
        return Path(run)
    known = sorted(p for p in results.rglob("*.json") if RUN_ID.fullmatch(p.stem))
    if not known:
        raise RequestError(f"there are no records in {results}: name another folder with --results")
    found = [p for p in known if p.stem == run] or [p for p in known if run and p.stem.startswith(run)]
    if len(found) == 1:
        return found[0]
    if found:
        raise RequestError(f"'{run}' names {len(found)} records: {_some(map(str, found))}")
    ids = [p.stem for p in known]
    near = difflib.get_close_matches(run, ids, n=NEAR, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {_some(iter(ids))}"
    raise RequestError(f"no record of a run '{run}' in {results}: {hint}")


def _some(names: Iterator[str]) -> str:
    """The first few names, and how many more there are."""
    first, *rest = names
    shown = [first, *rest[: NEAR - 1]]
    return ", ".join(shown) + (f" and {1 + len(rest) - len(shown)} more" if len(rest) >= NEAR else "")


def request_of(record: Record, data_dir: Path | None = None) -> Request:
    """The command line that a record stands for, every setting said.

    A setting whose value `--set` has no text for is left at its default, which has to be that value. RequestError: a
    plug-in or folder that it needs is not there, or the plug-in has other settings today.
    """
    names, spec = _names(record), checked_spec(record)
    return Request(
        [names["task"]], [names["method"]], [names["student"]], _teacher(record), spec.track, [spec.seed],
        _data_dir(record, data_dir), [*(s.text for s in _settings(record, names) if s.text), *_teaching(record)],
    )  # fmt: skip


def spec_of(record: Record, data_dir: Path | None = None) -> Spec:
    """The resolved spec of a record's run. RequestError: it would be another run today; says what differs."""
    specs = resolve(request_of(record, data_dir))  # several for a task given by path: all its data sets
    for spec in specs:
        if spec.run_id == record.run_id and not _differences(record.spec, spec.values):
            return spec
    nearest = min((_differences(record.spec, spec.values) for spec in specs), key=len)
    what = "; ".join(nearest) or "the record's run id is not the hash of its own spec"
    raise RequestError(
        f"the run {record.run_id} cannot be carried out again as it was, it would be another run: {what}"
    )


def command_of(record: Record) -> list[str]:
    """The shortest `bench run` that repeats a run: what is a default today is left out.

    RequestError: a plug-in given by path is not where the record's own command had it.
    """
    names, spec = _names(record), checked_spec(record)
    track = registry.load(registry.find("task", _family(names["task"]))).tracks[spec.track]
    words = ["--task", names["task"], "--method", names["method"]]
    words += ["--student", names["student"]] if not _is_default_student(names["student"], track.student) else []
    words += ["--teacher", teacher] if (teacher := _teacher(record)) != track.teacher else []
    words += ["--track", spec.track] if spec.track != "mini" else []
    words += ["--seeds", str(spec.seed)] if spec.seed else []
    if record.data.source == "directory":
        words += ["--data-dir", _option(record, "--data-dir") or "DIR"]
    chosen = [*(s.text for s in _settings(record, names) if not s.default), *_teaching(record)]
    return ["bench", "run", *words, *(w for text in chosen for w in ("--set", text))]


def _is_default_student(name: str, default: str) -> bool:
    """`bert` is `bert:3` when 3 is the family's default size."""
    if ":" not in default and not default.endswith(".py"):
        size = registry.load(registry.find("student", default)).default
        default = f"{default}:{size}" if size else default
    return name == default


def _names(record: Record) -> dict[str, str]:
    """Task, method and student as a command line names them: by name, or by path where the record's digest says so."""
    spec, found = checked_spec(record), {}
    for kind in ("task", "method", "student"):
        name, version = getattr(spec, kind), spec.versions.get(kind)
        plain, colon, size = name.partition(":")
        if isinstance(version, str) and DIGEST.fullmatch(version):
            path = _path(record, kind, _family(plain), version)
            found[kind] = f"{path}:{size}" if colon and ":" not in path else path
        else:
            found[kind] = name
    return found


def _path(record: Record, kind: str, name: str, digest: str) -> str:
    """The file of a plug-in given by path, as the record's own command names it."""
    for word in _words(record):
        match = FILE.fullmatch(word.partition("=")[2] if word.startswith("--") else word)
        if match and Path(match[1]).stem == name:
            if not Path(match[1]).expanduser().is_file():
                break
            if registry.find(kind, match[1]).digest != digest:
                raise RequestError(f"{match[1]} has changed since the run {record.run_id}: its {kind} is another now")
            return match[1]
    raise RequestError(
        f"the run {record.run_id} needs the {kind} file {name}.py (sha256 {digest}...), which is not where its command "
        f"had it: work in the folder in which this was typed: {record.provenance.command[:200]}"
    )


def _words(record: Record) -> list[str]:
    try:
        return shlex.split(record.provenance.command)
    except ValueError:  # a quote that never ends: no command that was ever typed
        return []


def _option(record: Record, name: str) -> str | None:
    """The value of an option in the command that made the record."""
    words = _words(record)
    joined = [w.removeprefix(f"{name}=") for w in words if w.startswith(f"{name}=")]
    return next(iter(joined + [after for w, after in itertools.pairwise(words) if w == name]), None)


def _teacher(record: Record) -> str:
    """The teacher as a command line names it: one that has the shape of a family given by path, by that path."""
    name, told = checked_spec(record).teacher, _option(record, "--teacher") or ""
    there = FILE.fullmatch(told) and Path(split_shape(told)[0]).expanduser().is_file()
    return told if there and shape_name(told) == name else name


def _teaching(record: Record) -> list[str]:
    """Settings of how the teacher was taught, which are part of its key and not of the run's settings."""
    pairs = itertools.pairwise(_words(record))
    given = [after for word, after in pairs if word == "--set"]
    return [text for text in given if text.partition("=")[0].removeprefix("track.") in OF_TEACHER]


def _data_dir(record: Record, data_dir: Path | None) -> Path | None:
    """Where the data is now. RequestError: nobody knows, or a folder was named for data that is in none."""
    source = record.data.source
    if source != "directory":
        if data_dir is not None:
            place = "from the Hub" if source == "hub" else "that packages ship"
            raise RequestError(f"the run {record.run_id} read data {place}: leave out --data-dir")
        return None
    told = data_dir or Path(_option(record, "--data-dir") or "")
    if data_dir is None and (told == Path() or not told.expanduser().is_dir()):
        where = f" {told}, which is not here" if told != Path() else ""
        raise RequestError(f"the run {record.run_id} read its data from a folder{where}: name it with --data-dir")
    return told.expanduser()


def _family(task: str) -> str:
    """`glue` of `glue/sst2`; a path is a family of its own."""
    return task if task.endswith(".py") else task.partition("/")[0]


@dataclasses.dataclass(frozen=True)
class Setting:
    """One setting of a record: the text that `--set` takes, and whether the value is today's default."""

    text: str  # empty: --set has no text for this value
    default: bool


def _settings(record: Record, names: Mapping[str, str]) -> Iterator[Setting]:
    spec = checked_spec(record)
    task = registry.load(registry.find("task", _family(names["task"])))
    if spec.track not in task.tracks:
        raise RequestError(f"the task '{spec.task}' has no {spec.track} track any more")
    yield from _of("track", task.tracks[spec.track], spec.settings.get("track", {}))
    for kind in ("method", "student"):
        match = FILE.fullmatch(names[kind])
        plugin = registry.find(kind, match[1] if match else names[kind].partition(":")[0])
        yield from _of(plugin.name, registry.load(plugin).Settings(), spec.settings.get(kind, {}))


def _of(owner: str, base: Any, values: Mapping[str, Any]) -> Iterator[Setting]:
    """The settings of one owner; `base` has the defaults and the types."""
    hints = get_type_hints(type(base), include_extras=True)
    defaults = {k: v for k, v in dataclasses.asdict(base).items() if not (owner == "track" and k in FIXED)}
    for name, value in values.items():
        key = f"{owner}.{name}"
        if name not in defaults:
            raise RequestError(f"there is no setting {key} any more, which the record has as {in_words(value)}")
        text, default = f"{key}={in_words(value)}", _same(defaults[name], value)
        if not _parses_back(text, hints[name], value):
            if not default:
                raise RequestError(f"--set has no text for {key} = {in_words(value)}, as the record has it")
            text = ""
        yield Setting(text, default)


def _parses_back(text: str, hint: Any, value: Any) -> bool:
    try:
        ((key, given),) = parse_settings([text]).items()
        return _same(parse_value(key, given, hint), value)
    except RequestError:
        return False


def _same(a: Any, b: Any) -> bool:
    """Equal as the run id sees them: 1 and 1.0 differ, a tuple and a list do not."""
    return json.dumps(a, sort_keys=True) == json.dumps(b, sort_keys=True)


def _differences(recorded: Mapping[str, Any], resolved: Mapping[str, Any]) -> list[str]:
    """What is not the same in two specs, in words."""
    before, now = _flat(recorded), _flat(resolved)
    keys = [k for k in {**before, **now} if k not in before or k not in now or not _same(before[k], now[k])]
    return [_told(key, _short(before, key), _short(now, key)) for key in keys]


def _told(key: str, before: str, now: str) -> str:
    part, _, name = key.partition(".")
    subject = {
        "data.identity": "the data are others (fingerprint",
        "versions.initial": "the checkpoint that the student starts from is another (version",
    }.get(key)
    if subject is None and part == "versions":
        subject = f"the {name} is another (version"
    said = f"{now} instead of {before}"
    return f"{subject} {said})" if subject else f"{key.removeprefix('settings.')} is {said}"


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
