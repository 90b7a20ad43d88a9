"""What to run: names resolved, settings checked, everything that decides a result in one hashable place."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from bench.base.console import warn
from bench.errors import RequestError, unknown
from bench.method import Method, Wanted
from bench.networks import places
from bench.plugins import contract, registry
from bench.plugins.compatible import why_not
from bench.records.disk import run_id_of
from bench.records.specs import OF_TEACHER
from bench.runs.misfits import Misfit, in_groups
from bench.runs.opened import open_table
from bench.sources import NoData, choose, lacking
from bench.store import folders
from bench.task import Task, Track, said
from bench.teachers import plans

TRACKS = ("mini", "lite", "full")
FIXED = ("teacher", "student", "datasets")  # of a track: chosen with their own options


@dataclass(frozen=True)
class Request:
    """A command line of `bench run`, before anything is looked up."""

    tasks: Sequence[str]
    methods: Sequence[str]
    students: Sequence[str]
    teacher: str = ""
    track: str = "mini"
    seeds: Sequence[int] = (0,)
    data_dir: Path | None = None
    settings: Sequence[str] = ()  # KEY=VALUE
    there: bool = False  # what has no data, or does not fit, is told and left out, as of a suite; else it is an error
    others: dict[Any, Any] = dataclasses.field(default_factory=dict)  # tasks of wanted runs that were opened, by name


@dataclass(frozen=True)
class Spec:
    """One run, resolved. `values` is what the run id is a hash of, and what the record keeps."""

    values: Mapping[str, Any]
    task: Task
    track: Track
    method: registry.Plugin
    method_settings: Any
    student: registry.Plugin
    student_settings: Any
    size: str
    place: places.Place
    seed: int
    wanted: Wants = ()  # runs that have to be carried out first
    others: Mapping[str, places.Place] = dataclasses.field(default_factory=dict)  # that teach beside its own teacher

    @property
    def run_id(self) -> str:
        return run_id_of(self.values)

    @property
    def label(self) -> str:
        v = self.values
        return f"{v['task']} {v['track']}  {v['method']}  {v['student']}  seed {v['seed']}"


Wants = tuple[tuple[Wanted, Spec], ...]
Opened = dict[tuple[Any, ...], Task]


def resolve(request: Request, opened: Opened | None = None) -> list[Spec]:
    """The product of tasks, methods, students and seeds. RequestError: anything in it that cannot be run.

    `opened`: the tasks of requests before it; one of the same settings is taken again, with the data that it has read.
    """
    if request.track not in TRACKS:
        raise unknown("track", request.track, TRACKS)
    given = parse_settings(request.settings)
    specs: list[Spec] = []
    misfits: list[Misfit] = []
    used: set[tuple[str, str]] = set()  # (key, owner)
    for task in open_tasks(request):
        task.track = override(task.track, "track", (), given, used, skip=FIXED)
        task = (opened if opened is not None else {}).setdefault(told_apart(task, request), task)
        if request.there and lacking(task.name, task.identity):
            continue
        place = plans.locate(request.teacher or task.track.teacher, task)
        for method in find_all("method", request.methods):
            for student in request.students or [task.track.student]:
                try:
                    specs += _specs(request, task, place, method, student, given, used)
                except Misfit as error:
                    if not request.there:
                        raise
                    misfits.append(error)
    for sentence in in_groups(misfits):
        warn(f"left out: {sentence}")
    if not specs and request.there:
        raise RequestError(
            f"nothing of {', '.join(request.tasks)} can be run: is there data? --data-dir names its folder"
        )
    check_used(given, used, specs)
    return list({s.run_id: s for s in specs}.values())  # the same run asked for twice is one run


def told_apart(task: Task, request: Request) -> tuple[Any, ...]:
    """What makes two open tasks of one command the same."""
    return task.name, task.version, request.track, task.source, task.track


def open_tasks_set(request: Request) -> list[Task]:
    """The named tasks with the track's settings of the request. RequestError: a setting that is none of a track."""
    given, used = parse_settings(request.settings), set[tuple[str, str]]()
    tasks = open_tasks(request)
    for task in tasks:
        task.track = override(task.track, "track", (), given, used, skip=FIXED)
    for key in given:
        if key not in {k for k, _ in used}:
            fields = [f for task in tasks for f in dataclasses.fields(task.track)]
            raise unknown("setting", key, {f.name for f in fields if f.name not in FIXED})
    return tasks


def find_all(kind: str, names: Sequence[str]) -> list[registry.Plugin]:
    """The plug-ins of these names and paths. RequestError: two files of one name, whose records would be mixed up."""
    found = [registry.find(kind, name) for name in names]
    for first, second in itertools.combinations(found, 2):
        if first.name == second.name and first.path != second.path:
            raise RequestError(f"two {kind}s are named '{first.name}': {first.path} and {second.path}")
    return found


def open_tasks(request: Request) -> list[Task]:
    """The named tasks; a family of several data sets stands for all of them."""
    tasks = []
    for name in request.tasks:
        if families := registry.openers(name):
            if request.data_dir is not None:
                raise RequestError(f"--task {name} says where its data is: leave out --data-dir")
            tasks.append(open_table(name, families, request.track, lambda track: settled(track, request)))
            continue
        source = choose(request.track, request.data_dir)
        family, _, dataset = name.partition("/") if not name.endswith(".py") else (name, "", "")
        if name and not family.strip(".~"):
            raise RequestError(no_data(name))
        plugin = registry.find("task", family)
        cls = registry.load(plugin)
        if not all(isinstance(track, Track) for track in cls.tracks.values()):
            raise RequestError(f"{contract.place(cls)}: {cls.__name__}.tracks has to hold a Track by each name")
        if request.track not in cls.tracks:
            raise RequestError(f"the task '{name}' has no {request.track} track: there are {', '.join(cls.tracks)}")
        there = cls.tracks[request.track].datasets or cls.datasets
        if dataset and dataset not in cls.datasets:
            raise unknown("task", name, [f"{family}/{d}" for d in cls.datasets] or [family])
        if dataset and dataset not in there:
            raise RequestError(f"{name} is not on the {request.track} track: there are {', '.join(there)}")
        for chosen in [dataset] if dataset else there or [""]:
            task = cls(source, request.track, chosen)
            task.name = plugin.name + (f"/{chosen}" if chosen else "")
            task.version = plugin.digest or cls.versions.get(chosen, cls.version)  # of this instance alone
            tasks.append(task)
    return tasks


def no_data(name: str) -> str:
    """Of a path that no task opens: what they open."""
    opens = {p.name: [e for e in p.declares.get("opens") or () if e[0] == "."] for p in registry.found("task").values()}
    known = "; ".join(f"{', '.join(endings)} ({family})" for family, endings in opens.items() if endings)
    return (
        f"no task reads {name}: there are {known}; other data takes a task of its own, a .py file: docs/add-a-task.md"
    )


def settled(track: Track, request: Request) -> Track:
    """The track with the settings of the command."""
    found: Track = override(track, "track", (), parse_settings(request.settings), set(), skip=FIXED)
    return found


def _specs(
    request: Request, task: Task, place: places.Place, method: registry.Plugin, student: str, given: dict, used: set
) -> Iterable[Spec]:
    family, _, size = student.partition(":") if not student.endswith(".py") else (student, "", "")
    plugin = registry.find("student", family)
    method_class, student_class = registry.load(method), registry.load(plugin)
    settings = override(defaults(method, method_class, task.reads), method.name, ("",), given, used)
    misfit = why_not(asked(method_class, settings), task.kind, declared(student_class), task.reads)
    if misfit:
        raise Misfit.of(method.name, task.name, student, misfit)
    size = student_class.check(size or student_class.default)
    build = override(defaults(plugin, student_class), plugin.name, (), given, used)
    if untrained := sorted(
        contract.answer(student_class(build).demands, of=str) - asked(method_class, settings)["wants"]
    ):
        raise RequestError(
            f"'{method.name}' leaves {', '.join(untrained)} of {student} untrained, which is in its output"
        )
    name = f"{plugin.name}:{size}" if size else plugin.name
    identity = contract.answer(task.identity, of=None)
    initial = contract.answer(student_class(build).initial, task, of=None)
    files = contract.answer(method_class.content, settings, of=None)
    teachers = contract.answer(method_class.teachers, settings, of=str)
    others = {reference: plans.locate(reference, task, place) for reference in teachers}
    for seed in request.seeds:
        first = wanted_runs(request, task, place, method_class, settings, seed, student, given)
        helpers, starts = ([s.run_id for w, s in first if w.use == use] for use in ("teaches", "starts"))
        values = {
            "task": task.name, "track": request.track, "method": method.name, "student": name,
            "teacher": place.name, "seed": seed,
            "data": {"source": task.source.kind, "identity": identity},
            "settings": {
                "track": said(task.track, without=FIXED + OF_TEACHER), "method": said(settings), "student": said(build),
            },
            "versions": {
                "teacher": place.identity, "task": task.version,
                "method": method.digest or method_class.version, "student": plugin.digest or student_class.version,
                **({"kind": task.goal.version} if task.goal.version > 1 else {}),
                **({"initial": initial} if initial else {}), **({"files": files} if files else {}),
                **({"teachers": [other.identity for other in others.values()]} if others else {}),
                **({"assistants": helpers} if helpers else {}), **({"starts": starts} if starts else {}),
            },
        }  # fmt: skip
        yield Spec(values, task, task.track, method, settings, plugin, build, size, place, seed, first, others)


def wanted_runs(
    request: Request, task: Task, place: places.Place, method: type[Method], settings: Any, seed: int, student: str,
    given: Mapping[str, str],
) -> Wants:  # fmt: skip
    """The runs that come first: with their methods' defaults but for what is said, and the teachers that they name.

    `student`, `given`: the run's own, and the settings of its command.
    """
    found: dict[str, tuple[Wanted, Spec]] = {}
    for wanted in contract.answer(method.wanted, settings, of=Wanted):
        teacher = run_place(found[wanted.teacher][1]) if wanted.teacher else place
        try:
            other, where = (task, teacher) if not wanted.task else elsewhere(request, wanted, place)
        except NoData as error:
            raise NoData(f"{wanted.method} has a {wanted.name} first, {wanted.task}: {error}") from None
        single = dataclasses.replace(request, seeds=[seed if wanted.seed is None else wanted.seed])
        plugin = registry.find("method", wanted.method)
        chosen = {} if wanted.student else of_student(student, given)
        chosen |= {f"{plugin.name}.{key}": str(value) for key, value in wanted.settings.items()}
        specs = _specs(single, other, where, plugin, wanted.student or student, chosen, set())
        found[wanted.name] = wanted, next(iter(specs))
    return tuple(found.values())


def of_student(student: str, given: Mapping[str, str]) -> dict[str, str]:
    """The settings that are the student's."""
    family = registry.find("student", student if student.endswith(".py") else student.partition(":")[0]).name
    return {key: value for key, value in given.items() if key.rpartition(".")[0] == family}


def elsewhere(request: Request, wanted: Wanted, own: places.Place) -> tuple[Task, places.Place]:
    """Another task on the same track, with the settings of it that are wanted, else the command's. Its teacher is the
    one that is wanted, else what the run's own is taught from, taught on that task; where the run's own is ready as it
    is, that task's default."""
    key = (wanted.task, *sorted(wanted.track.items()))
    if key not in request.others:
        (task,) = open_tasks(dataclasses.replace(request, tasks=[wanted.task]))
        given = {} if wanted.track else parse_settings(request.settings)
        task.track = override(dataclasses.replace(task.track, **wanted.track), "track", (), given, set(), skip=FIXED)
        request.others[key] = task
    task = request.others[key]
    model = own.origin.model if isinstance(own.origin, plans.Plan) else task.track.teacher
    return task, plans.locate(wanted.model or model, task)


def run_place(spec: Spec) -> places.Place:
    """A run's student in the place of a teacher."""
    name = f"{spec.values['method']}/{spec.values['student']}"
    return places.Place(name, f"run {spec.run_id}", "", folders.root() / "runs" / spec.run_id, origin=spec)


def declared(cls: type) -> dict[str, Any]:
    """What the class itself says: inherited and computed attributes too, which its source alone may not show."""
    return {
        name: getattr(cls, name)
        for name in ("needs", "wants", "kinds", "offers", "reads", "told")
        if hasattr(cls, name)
    }


def asked(method: type[Method], settings: Any) -> dict[str, Any]:
    """What a method declares, with those of its needs that these settings ask for."""
    return declared(method) | {"needs": contract.answer(method.needed, settings, method.needs, of=str)}


def defaults(plugin: registry.Plugin, cls: Any, reads: str = "") -> Any:
    """The plug-in's settings without any --set, on such inputs. RequestError: they are not what settings have to be."""
    try:
        settings = dataclasses.replace(cls.Settings(), **getattr(cls, "defaults", {}).get(reads, {}))
        json.dumps(dataclasses.asdict(settings), allow_nan=False)
        hints = get_type_hints(type(settings))
    except (TypeError, ValueError, NameError) as error:
        needed = "a frozen dataclass whose fields all have a type and a default that JSON can hold"
        raise RequestError(f"{plugin.path}: Settings must be {needed} ({error})") from None
    if plugin.digest:
        contract.check_defaults(settings, hints)
    return settings


def parse_settings(settings: Sequence[str], option: str = "--set") -> dict[str, str]:
    """KEY=VALUE pairs; a key may be prefixed by what it belongs to: `disco.queue`, `bert.init`, `track.updates`."""
    given = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals or not key.strip():
            raise RequestError(f"{option} takes KEY=VALUE, not '{setting}'")
        if key.strip() in given:
            raise RequestError(f"--set {key.strip()} is given twice")
        given[key.strip()] = value.strip()
    return given


def override(base: Any, owner: str, extra: Sequence[str], given: dict, used: set, skip: Sequence[str] = ()) -> Any:
    """`base` with the given values that belong to `owner`: keys `owner.name`, and bare names where extra holds ""."""
    hints = get_type_hints(type(base), include_extras=True)
    names = [f.name for f in dataclasses.fields(base) if f.name not in skip]
    changes = {}
    for key, text in given.items():
        prefix, _, name = key.rpartition(".")
        if (prefix == owner or (not prefix and (prefix in extra or owner == "track"))) and name in names:
            if name in changes:
                raise RequestError(f"--set {name} and --set {owner}.{name} are the same setting: give one of them")
            changes[name] = parse_value(key, text, hints[name])
            used.add((key, owner))
    return dataclasses.replace(base, **changes)


def parse_value(key: str, text: str, hint: Any) -> Any:
    """A value of the field's type; lists and mappings as JSON. RequestError: it is not one, or not finite."""
    from pydantic import TypeAdapter, ValidationError

    adapter = TypeAdapter(hint)
    try:
        if text == "none":
            with suppress(ValidationError):
                return adapter.validate_python(None)
        try:
            value = adapter.validate_python(text)
        except ValidationError:
            if not text.startswith(("[", "{")) and not text.isdigit():  # a digit: of a choice among numbers
                raise
            value = adapter.validate_json(text)
    except ValidationError as error:
        raise RequestError(f"--set {key}={text}: {error.errors()[0]['msg']}") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise RequestError(f"--set {key}={text}: not a finite number")
    return value


def nothing_takes(key: str, owners: Collection[str], known: Collection[str]) -> RequestError:
    """Of a setting: it is of something that the command does not run, or of nothing."""
    owner = key.rpartition(".")[0]
    kind = next((kind for kind in ("method", "student") if owner in registry.found(kind)), "")
    if kind and owner not in owners:
        return RequestError(f"--set {key}: {owner} is a {kind}, and none of this command")
    return unknown("setting", key, set(known))


def check_used(given: dict[str, str], used: set, specs: Sequence[Spec]) -> None:
    """Every key must belong to something, and a bare one to every method of the command."""
    methods = {s.method.name: s.method_settings for s in specs}
    students = {s.student.name: s.student_settings for s in specs}
    track = list({f.name: None for s in specs for f in dataclasses.fields(s.track) if f.name not in FIXED})
    owners = {**methods, **students}
    known = track + [f"{o}.{f.name}" for o, s in owners.items() for f in dataclasses.fields(s)]
    known += [f.name for s in methods.values() for f in dataclasses.fields(s)]
    for key in given:
        takers = {owner for k, owner in used if k == key}
        if not takers:
            raise nothing_takes(key, owners, known)
        if "." not in key and "track" in takers and len(takers) > 1:
            choices = " or ".join(f"{owner}.{key}" for owner in sorted(takers))
            raise RequestError(f"--set {key} would set several things: write {choices}")
        if "." not in key and "track" not in takers and takers != set(methods):
            lacking = ", ".join(sorted(set(methods) - takers))
            raise RequestError(f"--set {key}: {lacking} has no such setting; write {sorted(takers)[0]}.{key}")
