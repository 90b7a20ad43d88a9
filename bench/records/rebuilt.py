"""The network that a student's name stands for, made again without weights, data or a teacher: what it has and does."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import RequestError
from bench.plugins import registry
from bench.records import known, plausible
from bench.records.schemas import Record
from bench.records.specs import CheckedSpec

if TYPE_CHECKING:
    from bench.student import Outline

MOST = 5000  # tensors of a network that is made: a name is made up quickly, and takes as long as it has layers
HEADER, ENTRY = 4096, 256  # bytes of a file of weights beside them: of the whole, and of a tensor
COUNTERS = "torch", "transformers"  # whose versions may count operations otherwise
PACKAGE = "package:"  # of a model's place, see bench.networks.places


@dataclass(frozen=True)
class Counts:
    """Of one network."""

    width: int
    total: int
    embedding: int
    stored: int  # bytes of its tensors
    tensors: int
    row: int  # parameters of a word whose number data decides; 0: data decides none
    rows: int | None  # words at most
    operations: Mapping[str, float]
    output: int = 0  # parameters of a number that its head gives, where no record says how many these are

    @property
    def active(self) -> int:
        return self.total - self.embedding


def counts(record: Record, spec: CheckedSpec, outputs: int) -> Iterator[Counts]:
    """Of the networks that the record's student may be; none: its shapes do not follow from what records say.

    `outputs`: numbers of an input in its predictions; 0: lists of any length.
    """
    task, student = known.installed("task", spec), known.installed("student", spec)
    if task is None or student is None:
        return
    kinds = task.declares.get("kinds", {})
    goal = registry.load(registry.installed("kind", kinds.get(spec.task.partition("/")[2], task.declares["kind"])))
    teacher, size = teacher_of(registry.load(task).teachers, spec.teacher), size_of(record)

    settings = json.dumps(spec.settings.get("student", {}), sort_keys=True)

    def made(number: int) -> Networks:
        return networks(student, spec.student, settings, goal.of(number, (), lambda: None), size, teacher)

    if goal.output != "logits":
        yield from made(0)
    elif outputs:
        yield from (one for number in dict.fromkeys((outputs, 1)) for one in made(number))
    else:
        for one, two in zip(made(1), made(2), strict=True):
            yield dataclasses.replace(one, output=two.total - one.total)


@dataclass
class Networks:
    """Those that a name may stand for, each made when it is first asked for. Whatever is raised is raised again."""

    others: Iterator[Counts]
    made: list[Counts] = field(default_factory=list)
    error: Exception | None = None

    def __iter__(self) -> Iterator[Counts]:
        yield from list(self.made)
        if self.error:
            raise self.error
        try:
            for one in self.others:
                self.made.append(one)
                yield one
        except Exception as error:
            self.error = error
            raise


@lru_cache(maxsize=256)
def networks(
    plugin: registry.Plugin, name: str, settings: str, goal: Any, size: float, teacher: Path | None
) -> Networks:
    return Networks(outlined(plugin, name, json.loads(settings), goal, size, teacher))


def outlined(
    plugin: registry.Plugin, name: str, settings: dict[str, Any], goal: Any, size: float, teacher: Path | None
) -> Iterator[Counts]:
    from bench.student import Known

    cls = registry.load(plugin)
    came_later = {f.name: f.metadata["was"] for f in dataclasses.fields(cls.Settings) if "was" in f.metadata}
    student = cls(cls.Settings(**came_later | settings))
    open_ = student.outlines(name.partition(":")[2], Known(goal, size, teacher))
    while one := following(open_):
        yield one


def following(outlines: Iterator[Outline]) -> Counts | None:
    """Of the next network; None: there is no other, it is too large, or its kind asks for more, as for a tokenizer."""
    import torch

    with torch.device("meta"), torch.random.fork_rng([]), torch.no_grad(), limited():
        try:
            found = next(outlines, None)
        except RequestError:
            return None
        return None if found is None else counted(found)


@contextmanager
def limited() -> Iterator[None]:
    """Inside, modules get MOST parameters. RequestError: they were to get more."""
    from torch.nn.modules.module import register_module_parameter_registration_hook

    numbers = itertools.count()

    def another(*_: Any) -> None:
        if next(numbers) >= MOST:
            raise RequestError(f"a network of more than {MOST} tensors")

    handle = register_module_parameter_registration_hook(another)
    try:
        yield
    finally:
        handle.remove()


def counted(outline: Outline) -> Counts:
    from torch.utils.flop_counter import FlopCounterMode

    network, operations = outline.network.eval(), {}
    for name, run in outline.passes.items():
        with FlopCounterMode(display=False) as counter:
            run()
        operations[name] = float(counter.get_total_flops())
    tensors = network.state_dict().values()
    total = sum(p.numel() for p in network.parameters())
    stored = sum(t.numel() * t.element_size() for t in tensors)
    shape = network.width, total, network.embedding_parameters(), stored, len(tensors)
    return Counts(*shape, outline.row, outline.rows, operations)


def teacher_of(places: Mapping[str, str], name: str) -> Path | None:
    """The folder of a packaged model, by the name that a record has of it, or of what was taught from it."""
    from bench.sources import package_file

    place = places.get(name.partition("#")[0].partition("~")[0], "").partition("#")[0]
    if not place.startswith(PACKAGE):
        return None
    package, _, inside = place.removeprefix(PACKAGE).partition("/")
    try:
        return package_file(package, inside)
    except RequestError:
        return None


def size_of(record: Record) -> float:
    return record.efficiency.tokens.get("mean", 1.0)


def doubts(made: Iterable[Counts], record: Record, pruned: bool) -> list[str]:
    """What a record says otherwise than the first of the networks that its student may be, where it is none of them."""
    first: list[str] = []
    for one in made:
        wrong = list((fewer if pruned else differences)(one, record))
        if not wrong:
            return []
        first = first or wrong
    return first


def fewer(whole: Counts, record: Record) -> Iterator[str]:
    """Of a student from which its method took parts away."""
    p = record.efficiency.parameters
    if not whole.row and p.total > whole.total:
        yield f"efficiency.parameters: {p.total:,}, and {record.student.name} has {whole.total:,} before it is pruned"


def differences(one: Counts, record: Record) -> Iterator[str]:
    p, name = record.efficiency.parameters, record.student.name
    if record.student.width != one.width:
        yield f"student.width: {record.student.width}, that of {name} is {one.width}"
    if not fits(p.embedding - one.embedding, one.row) or (one.rows and p.embedding > one.rows * one.row):
        yield f"efficiency.parameters.embedding: {p.embedding:,}, which are no tables of {name}"
    if not fits(p.active - one.active, one.output):
        yield f"efficiency.parameters.active: {p.active:,}, {name} has {one.active:,}"
    beside = record.efficiency.disk_bytes - one.stored - 4 * (p.total - one.total)
    if not plausible.frozen(name) and not 0 <= beside <= HEADER + ENTRY * one.tensors:
        yield f"efficiency.disk_bytes: {record.efficiency.disk_bytes:,}, which no file of {name} has"
    if not one.output and counted_here(record):
        for point, number in one.operations.items():
            if abs(record.efficiency.flops.get(point, number) - number) > 1e-6 * number:
                yield f"efficiency.flops.{point}: {record.efficiency.flops[point]:,.0f}, {name} takes {number:,.0f}"


def fits(more: int, step: int) -> bool:
    """Whether there are so many more of something, in whole steps."""
    return more >= 0 and more % step == 0 if step else not more


def counted_here(record: Record) -> bool:
    """Whether the libraries that count operations were those that are here."""
    said = record.environment.get("libraries")
    return isinstance(said, dict) and all(said.get(name) == metadata.version(name) for name in COUNTERS)
