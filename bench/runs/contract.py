"""`bench test`: whether a plug-in keeps its contract, on a toy, in seconds; a sentence for each thing checked."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench.errors import BenchError, RequestError
from bench.method import Run
from bench.plugins import registry
from bench.records.specs import in_words
from bench.runs import inspected, toy
from bench.runs.spec import Request, Spec, defaults, override, resolve
from bench.runs.trial import Trial, differing, interrupted, train


@dataclass(frozen=True)
class Check:
    """Something that was checked, in a sentence that holds unless `why` says what is wrong; `seen`: numbers of it."""

    what: str
    why: str = ""
    seen: str = ""


Examined = Callable[[Request, Path], Iterator[tuple[str, Callable[[], str]]]]


class Wrong(BenchError):
    """What a check found."""


def examine(file: str, given: Request) -> tuple[str, list[Check]]:
    """(the kind of plug-in, what was checked). `given`: task, student, teacher and settings in the place of the toy's.

    It ends at the first thing that is wrong, as what follows builds on it. RequestError: no plug-in.
    """
    kind = kind_of(file)
    with scratch() as folder:
        return kind, list(checked(BY_KIND[kind], planned(kind, file, given, folder), folder))


NOTHING = Request([], [], [])


def faults(file: str | Path) -> list[str]:
    """What `bench test` says is wrong with a file, for a test of its own; empty: nothing."""
    return [f"{check.what}: {check.why}" for check in examine(str(file), NOTHING)[1] if check.why]


def alone(file: str | Path, student_width: int = 4, teacher_width: int = 4, **settings: Any) -> Any:
    """A method on the toy, for tests of its losses, with embeddings so wide."""
    with scratch() as folder:
        said = [f"{Path(file).stem}.{name}={in_words(value)}" for name, value in settings.items()]
        spec = one(planned("method", str(file), Request([], [], [], settings=said), folder))
        run = Run(spec.task, spec.track, student_width, teacher_width, spec.seed)
        return registry.load(spec.method)(spec.method_settings, run)


def built(file: str | Path, size: str = "") -> Any:
    """A student's network for the toy, with its first weights."""
    with scratch() as folder:
        spec = one(planned("student", str(file), NOTHING, folder))
        sized = dataclasses.replace(spec, size=registry.load(spec.student).check(size)) if size else spec
        return inspected.network(sized)


def opened(file: str | Path) -> Any:
    """A task with its data."""
    return one(Request([str(file)], ["finetune"], [])).task


def checked(checks: Examined, request: Request, folder: Path) -> Iterator[Check]:
    """One after the other, up to the first that fails."""
    for what, check in checks(request, folder):
        try:
            yield Check(what, seen=check())
        except Exception as error:
            plain = isinstance(error, BenchError)
            yield Check(what, str(error) if plain else f"{type(error).__name__}: {error}")
            return


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder, and in it a store of its own: nothing of a test is kept."""
    before = os.environ.get("BENCH_CACHE")
    with TemporaryDirectory(prefix="bench-test-") as folder:
        os.environ["BENCH_CACHE"] = str(Path(folder) / "cache")
        try:
            yield Path(folder)
        finally:
            os.environ.pop("BENCH_CACHE")
            if before is not None:
                os.environ["BENCH_CACHE"] = before


def kind_of(file: str) -> str:
    """task, method, student or kind. RequestError: the file has no class of any, or of several."""
    path = Path(file)
    if not file.endswith(".py") or not path.is_file():
        raise RequestError(f"no such file: {file}; bench test takes the file of a method, task, student or kind")
    found = [kind for kind in registry.ROOMS if registry.defines(path, kind.capitalize())]
    if len(found) != 1:
        names = ", ".join(kind.capitalize() for kind in found) or "none"
        raise RequestError(f"{file} must define a subclass of Task, Method, Student or Kind; it defines {names}")
    return found[0]


def planned(kind: str, file: str, given: Request, folder: Path) -> Request:
    """What is carried out: the toy, or what is given."""
    tasks, method = given.tasks, file if kind == "method" else "finetune"
    if kind == "kind" and not tasks:
        tasks = [task_of(Path(file))]
    if kind == "task" or tasks:
        tasks = [file] if kind == "task" else list(tasks)
        student, teacher = toy.models(tasks[0], folder)
        first = Request(tasks, [method], student, teacher, given.track, settings=toy.SMALL)
    else:
        first = toy_of(kind, file, method, folder)
    if kind == "student":
        first = dataclasses.replace(first, students=[file])
    told = {text.partition("=")[0] for text in given.settings}
    settings = [text for text in first.settings if text.partition("=")[0] not in told] + [*given.settings]
    return dataclasses.replace(
        first, students=given.students or first.students, teacher=given.teacher or first.teacher,
        data_dir=given.data_dir, settings=settings,
    )  # fmt: skip


def toy_of(kind: str, file: str, method: str, folder: Path) -> Request:
    """The toy that the plug-in's declarations fit."""
    declares, every = registry.find(kind, file).declares, registry.found("kind")
    if kind == "method":
        return toy.request(folder, method, "", declares.get("reads", "text"), declares.get("kinds") or set(every))
    offers = declares.get("offers", ())
    kinds = {name for name, p in every.items() if p.declares.get("feature", "embedding") in offers}
    kinds &= set(declares.get("kinds") or kinds)
    return toy.request(folder, method, file, declares.get("reads", "text"), kinds)


def task_of(path: Path) -> str:
    """A task beside the file of a kind that is of this kind. RequestError: there is none."""
    for other in sorted(path.parent.glob("*.py")):
        if registry.defines(other, "Task") and registry.declared(other, "Task").get("kind") == path.stem:
            return str(other)
    raise RequestError(f"no task beside {path} says kind = {path.stem!r}: name one with --task")


def one(request: Request) -> Spec:
    """The run, or of a family of tasks the first."""
    return resolve(request)[0]


def of_method(request: Request, folder: Path) -> Iterator[tuple[str, Callable[[], str]]]:
    kept: dict[str, Any] = {}

    def fits() -> str:
        kept["spec"] = one(request)
        return str(kept["spec"].label)

    yield "it is read, and fits a task and a student", fits
    yield "settings have defaults, which --set says again", lambda: said_again("method", request.methods[0])
    yield from of_training(kept, folder, own=True)


def of_training(kept: dict[str, Any], folder: Path, own: bool = False) -> Iterator[tuple[str, Callable[[], str]]]:
    """What holds of every training. `own`: that every parameter of the method learns is asked too."""

    def trains() -> str:
        kept["trial"] = train(kept["spec"], folder)
        return losses(kept["trial"])

    yield "it trains, and every loss is a named finite number", trains
    yield "gradients reach the student" + " and all that the method learns" * own, lambda: reached(kept["trial"], own)
    yield "what is frozen stays as it is", lambda: frozen(kept["trial"])
    yield "the same seed gives the same, bit by bit", lambda: same(kept["trial"], train(kept["spec"], folder))
    again = lambda: same(kept["trial"], interrupted(kept["spec"], folder))  # noqa: E731
    yield "an interrupted run goes on to the same result", again


def losses(trial: Trial) -> str:
    """The first and the last of each loss."""
    read = [point["losses"] for point in trial.curve if point["losses"]]
    if not read:
        raise Wrong("no loss was read")
    names = dict.fromkeys(name for point in read for name in point)
    ends = {name: [point[name] for point in read if name in point] for name in names}
    return ", ".join(f"{name} {values[0]:.4f} to {values[-1]:.4f}" for name, values in ends.items())


def reached(trial: Trial, own: bool) -> str:
    """Norms of the largest gradients."""
    norms = {who: [g for name, g in trial.gradients.items() if name.partition(".")[0] == who] for who in WHO}
    if not any(norms["student"]):
        raise Wrong("no loss has a gradient to the student: is it made of the student's signals?")
    if own and (left := [name.partition(".")[2] for name in trial.learning if not trial.gradients.get(name)]):
        raise Wrong(f"no gradient ever reaches {', '.join(left[:3])}: use it in a loss, or keep it as a buffer")
    return ", ".join(f"{who} {max(found):.3g}" for who, found in norms.items() if found)


WHO = ("student", "method")


def frozen(trial: Trial) -> str:
    if trial.moved:
        raise Wrong(f"{trial.moved[0]} of a frozen network has changed")
    return ""


def same(one: Trial, two: Trial) -> str:
    if where := differing(one, two):
        raise Wrong(f"{where}: random numbers are drawn from torch, and what changes is a parameter or a buffer")
    return ""


def said_again(kind: str, name: str) -> str:
    """RequestError: a default that no `--set` can say."""
    plugin = registry.find(kind, name.partition(":")[0] if ".py:" not in name else name.rpartition(":")[0])
    base = defaults(plugin, registry.load(plugin))
    words = {f"{plugin.name}.{f.name}": in_words(getattr(base, f.name)) for f in dataclasses.fields(base)}
    if override(base, plugin.name, (), words, set()) != base:
        raise Wrong("a setting that is said as its default is another one")
    return ", ".join(f"{key.partition('.')[2]}={value}" for key, value in words.items()) or "none"


def of_student(request: Request, folder: Path) -> Iterator[tuple[str, Callable[[], str]]]:
    kept: dict[str, Any] = {}

    def fits() -> str:
        kept["spec"] = one(request)
        return str(kept["spec"].label)

    yield "it is read, and fits a task", fits
    yield "settings have defaults, which --set says again", lambda: said_again("student", request.students[0])
    yield "sizes have one form, and others are refused", lambda: inspected.sizes(kept["spec"])
    yield "a seed gives the same first weights", lambda: inspected.seeded(kept["spec"])
    yield "every signal that is offered is there, with its axes", lambda: inspected.offered(kept["spec"])
    yield "padding changes nothing: an input gives the same alone", lambda: inspected.alone(kept["spec"])
    yield from of_training(kept, folder)


def of_task(request: Request, folder: Path) -> Iterator[tuple[str, Callable[[], str]]]:
    kept: dict[str, Any] = {}

    def opens() -> str:
        kept["spec"] = one(request)
        return str(kept["spec"].label)

    yield "it is read, and finetune fits it", opens
    yield "the data's identity is the same when they are read again", lambda: inspected.identity(kept["spec"], request)
    yield "training sets have groups of their inputs, and labels", lambda: inspected.training_sets(kept["spec"])
    yield "test is sealed, and dev is scored", lambda: inspected.judged(kept["spec"])
    yield from of_training(kept, folder)


def of_kind(request: Request, folder: Path) -> Iterator[tuple[str, Callable[[], str]]]:
    yield from of_task(request, folder)
    spec = one(request)
    yield "the loss is one number of the outputs, and has a gradient", lambda: inspected.loss(spec)
    yield "equal outputs match: distilling them moves nothing", lambda: inspected.match(spec)


BY_KIND: dict[str, Examined] = {"method": of_method, "student": of_student, "task": of_task, "kind": of_kind}


def wrong(checks: Sequence[Check]) -> bool:
    return any(check.why for check in checks)
