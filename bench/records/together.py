"""What records say of each other: runs on the same data share its answers, its card and its teacher, and no more."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.base.groups import grouped
from bench.plugins import registry
from bench.records import names, rebuilt
from bench.records.schemas import Before, Record, Taught
from bench.records.specs import CheckedSpec
from bench.scoring.scores import REFERENCE, TEACHER, Predictions, Ragged, digest
from bench.scoring.trivial import one_answer

SAMPLED = 4096  # numbers of a run's predictions that are compared with those of others
COPIED = 1 - 1e-5  # correlation of predictions above which one run is a copy of the other
TAUGHT_ALIKE = 0.99  # of a teacher's predictions on two machines
CONTRACT = "bench.method"  # whose `finish` gives a student back as it is
FEW = 200  # answers that are no numbers, fewer of which may be the same by chance

Problems = Iterator[tuple[Path, str]]


@dataclass(frozen=True)
class Seen:
    """What is kept of a record to compare it with others."""

    path: Path
    record: Record
    spec: CheckedSpec
    answers: str  # digest of gold and units
    others: Mapping[str, str]  # digests of the references' predictions
    own: np.ndarray | str  # the student's predictions: standardised numbers, or a digest
    teacher: np.ndarray | str
    outputs: int  # numbers of an input in its predictions; 0: lists of any length
    sound: bool = True  # whether nothing is wrong with it by itself

    @classmethod
    def of(cls, path: Path, record: Record, spec: CheckedSpec, found: Predictions, sound: bool = True) -> Seen:
        references = {n for arrays in found.values() for n in arrays if n.startswith(REFERENCE)}
        others = {n: digest({d: {n: arrays[n]} for d, arrays in found.items() if n in arrays}) for n in references}
        own = "" if one_answer(found) else sketch(found, "prediction")
        return cls(path, record, spec, answers(found), others, own, sketch(found, TEACHER), outputs_of(found), sound)


def answers(found: Predictions) -> str:
    """Digest of gold and units."""
    return digest({name: {k: a for k, a in arrays.items() if k in ("gold", "units")} for name, arrays in found.items()})


def outputs_of(found: Predictions) -> int:
    """Of a list of any length, or of several rows for an input, 0."""
    arrays = next(iter(found.values()))
    array = arrays["prediction"]
    return 0 if isinstance(array, Ragged) or "units" in arrays else int(np.prod(array.shape[1:]))


def sketch(found: Predictions, name: str) -> np.ndarray | str:
    """Standardised numbers, or of other answers their digest; empty: there are none, or too few to tell anything."""
    arrays = [own[name] for own in found.values() if name in own]
    if not arrays:
        return ""
    if all(isinstance(a, np.ndarray) and a.dtype.kind == "f" for a in arrays):
        values = np.concatenate([a.ravel() for a in arrays]).astype(np.float64)
        values = values[:: max(1, len(values) // SAMPLED)] if len(values) > SAMPLED else values
        deviation = values.std()
        return (values - values.mean()) / deviation / np.sqrt(len(values)) if deviation > 0 else ""
    if sum(map(len, arrays)) < FEW:
        return ""
    return digest({str(number): {name: array} for number, array in enumerate(arrays)})


def compared(seen: Sequence[Seen], taught: Mapping[str, Taught]) -> Problems:
    """Problems of records beside others. `taught`: the records of teachers, by key."""
    for group in grouped(seen, lambda s: (s.record.data.identity, s.spec.task)).values():
        yield from on_the_same_data(group)
    yield from called_alike(seen)
    yield from built_otherwise(seen)
    by_id = {s.record.run_id: s for s in seen}
    for one in seen:
        yield from ((one.path, why) for why in of_teacher(one, taught, by_id))
        yield from ((one.path, why) for why in came_first(one, by_id))
        yield from ((one.path, why) for why in stacked(one, seen))


def on_the_same_data(group: Sequence[Seen]) -> Problems:
    yield from minority(group, lambda s: s.answers, "the gold answers of its predictions")
    yield from minority(group, lambda s: (s.record.data.source, s.record.data.licence), "data.source or data.licence")
    for name in sorted({n for s in group for n in s.record.data.sizes}):
        those = [s for s in group if name in s.record.data.sizes]
        examples = grouped(those, lambda s: json.dumps(s.spec.settings.get("track", {}).get("examples")))
        for own in examples.values():
            yield from minority(own, lambda s: s.record.data.sizes[name], f"data.sizes.{name}")  # noqa: B023
    for name in sorted({n for s in group for n in s.others}):
        those = [s for s in group if name in s.others]
        yield from minority(those, lambda s: s.others[name], f"the predictions of {name}")  # noqa: B023
    for own in grouped(group, lambda s: (s.record.teacher.identity, libraries(s))).values():
        yield from of_one_teacher(own)
    for own in grouped((s for s in group if keeps_shape(s)), network).values():
        yield from minority(own, sizes, "parameters or operations of the same student")
    for own in grouped(group, lambda s: json.dumps(s.spec.of_any_seed, sort_keys=True)).values():
        yield from minority(own, lambda s: tuple(s.record.cost.stages.items()), "cost.stages of the same runs")
    yield from copies(group)


def minority(group: Iterable[Seen], said: Callable[[Seen], Hashable], what: str) -> Problems:
    """Those that say something else than most; of equally many the first by path are right."""
    found = grouped(group, said)
    if len(found) > 1:
        first = max(found.values(), key=len)
        for own in found.values():
            if own is not first:
                yield from ((s.path, f"{what}: not those of {first[0].path.stem} on the same data") for s in own)


def of_one_teacher(group: Sequence[Seen]) -> Problems:
    """Records of runs with a teacher of one identity. One that is taught is taught anew on every machine."""
    ready = not group[0].record.teacher.identity.startswith(("taught ", "run "))
    if ready:
        yield from minority(group, lambda s: s.record.teacher.fingerprint, "teacher.fingerprint")
    yield from minority(group, teacher_size, "teacher.efficiency: its parameters or operations")
    for own in grouped(group, lambda s: s.record.teacher.fingerprint).values():
        first = own[0]
        for other in own[1:]:
            if not close(first.teacher, other.teacher, TAUGHT_ALIKE):
                yield other.path, f"the teacher's predictions: not those of {first.path.stem}, whose teacher it is"


def close(one: np.ndarray | str, two: np.ndarray | str, least: float) -> bool:
    if isinstance(one, str) or isinstance(two, str):
        return isinstance(one, str) and isinstance(two, str) and one == two
    return one.shape == two.shape and float(one @ two) >= least


def teacher_size(seen: Seen) -> Hashable:
    size = seen.record.teacher.efficiency
    return (
        size.parameters.total,
        size.parameters.active,
        round(size.flops.get("mean", 0.0)),
        seen.record.efficiency.inputs,
    )


def libraries(seen: Seen) -> str:
    """What counts operations and names modules, one way in one version and another in the next."""
    return json.dumps(seen.record.environment.get("libraries"), sort_keys=True)


def keeps_shape(seen: Seen) -> bool:
    """Whether the run's student is as its family builds it: no method that is known to change it, and none unknown."""
    plugin = registry.found("method").get(seen.spec.method)
    return plugin is not None and registry.load(plugin).finish.__module__ == CONTRACT


def prunes(seen: Seen) -> bool:
    plugin = registry.found("method").get(seen.spec.method)
    return plugin is not None and bool(plugin.declares.get("prunes"))


def built_otherwise(seen: Sequence[Seen]) -> Problems:
    """Records whose student has not the shapes that its name stands for."""
    for s in seen:
        if not s.sound or not (keeps_shape(s) or prunes(s)):
            continue
        try:
            found = rebuilt.doubts(rebuilt.counts(s.record, s.spec, s.outputs), s.record, prunes(s))
        except Exception as error:  # libraries refuse what no network is like in many ways
            found = [f"spec.student: it cannot be made ({type(error).__name__})"]
        yield from ((s.path, why) for why in found)


def network(seen: Seen) -> Hashable:
    """All that a student's shape depends on."""
    s, names_ = seen.spec, ("student", "teacher", "initial", "kind")
    track = {key: s.settings.get("track", {}).get(key) for key in ("examples", "max_length")}
    said = s.method, s.student, s.settings.get("student"), {n: s.versions.get(n) for n in names_}, track
    return json.dumps(said, sort_keys=True), seen.record.efficiency.inputs, libraries(seen)


def sizes(seen: Seen) -> Hashable:
    size = seen.record.efficiency
    return size.parameters.total, size.parameters.active, round(size.flops.get("mean", 0.0)), seen.record.student.width


def copies(group: Sequence[Seen]) -> Problems:
    """Runs whose predictions are those of another: only what updates have hardly moved may be equal, as both runs say,
    and, of one seed, what began with another run, which may have kept its own start."""
    told = [s for s in group if not isinstance(s.own, str) or s.own]
    for number, one in enumerate(told):
        for other in told[:number]:
            still = one.record.hardly_moved and other.record.hardly_moved
            alike = (one.spec.method, one.spec.seed) == (other.spec.method, other.spec.seed)  # settings may be idle
            begun = one.spec.seed == other.spec.seed and bool(one.spec.first or other.spec.first)
            if not still and not alike and not begun and close(one.own, other.own, COPIED):
                yield one.path, f"its predictions are those of {other.path.stem}, which is another run"


def called_alike(seen: Sequence[Seen]) -> Problems:
    """Names of methods, students and teachers that differ and look the same."""
    for kind in ("method", "student", "teacher"):
        for own in grouped(seen, lambda s: names.skeleton(getattr(s.spec, kind))).values():  # noqa: B023
            counts = Counter(getattr(s.spec, kind) for s in own)
            usual = counts.most_common(1)[0][0]
            for s in own:
                if (name := getattr(s.spec, kind)) != usual:
                    yield s.path, f"spec.{kind}: {name!r:.60} could be taken for {usual!r:.60}"


def of_teacher(seen: Seen, taught: Mapping[str, Taught], by_id: Mapping[str, Seen]) -> Iterator[str]:
    """A teacher that was taught here has a record, of the same data."""
    what, _, key = seen.record.teacher.identity.partition(" ")
    if what == "run" and key not in by_id:
        yield f"teacher.identity: there is no record of the run {key!r:.40}"
    if what != "taught":
        return
    record = taught.get(key)
    if record is None:
        yield f"teacher.identity: there is no record of a teacher {key!r:.40}"
        return
    name = record.model if not record.seed else f"{record.model}~{record.seed}"
    said = seen.spec.task, seen.record.data.identity, seen.spec.teacher
    if said != (record.task, record.data.identity, name) and seen.spec.teacher != record.model:
        yield f"teacher: the record of {key} is of another teacher, task or data"
    elif said[:2] != (record.task, record.data.identity):
        yield f"teacher: the record of {key} is of another task or data"
    elif record.parameters != seen.record.teacher.efficiency.parameters:
        yield f"teacher.efficiency.parameters: not those of the record of {key}"


def came_first(seen: Seen, by_id: Mapping[str, Seen]) -> Iterator[str]:
    """Assistants and starts have records of the same seed, and what they cost is what these say."""
    if missing := sorted(seen.spec.first - set(by_id)):
        yield f"spec.versions: there is no record of the run {missing[0]}, which came first"
        return
    costs = [by_id[run_id].record.cost for run_id in closure(seen, by_id)]
    before = seen.record.cost.before
    if not costs or before is None:  # a cost without runs is found in the record itself
        if costs:
            yield "cost.before: runs came first, and their cost is not said"
        return
    again = Before(
        runs=len(costs), student_updates=sum(c.student_updates for c in costs),
        teacher_forwards=sum(c.forwards or 0 for c in costs), seconds=sum(c.own_seconds or 0.0 for c in costs),
    )  # fmt: skip
    same = np.isclose(again.seconds, before.seconds, rtol=1e-6)
    if not same or again.model_dump(exclude={"seconds"}) != before.model_dump(exclude={"seconds"}):
        yield "cost.before: not what the records of the runs that came first add up to"


def closure(seen: Seen, by_id: Mapping[str, Seen]) -> list[str]:
    """All runs that had to come first, each once."""
    found, open_ = dict[str, None](), sorted(seen.spec.first)
    while open_:
        run_id = open_.pop()
        if run_id in by_id and run_id not in found:
            found[run_id] = None
            open_ += sorted(by_id[run_id].spec.first)
    return list(found)


def stacked(one: Seen, seen: Sequence[Seen]) -> Iterator[str]:
    """Seeds that were trained together all have records."""
    stack: Any = (one.spec.model_extra or {}).get("stack")
    if isinstance(stack, list):
        own = one.spec.of_any_seed
        there = {s.spec.seed for s in seen if s.spec.of_any_seed == own}
        if missing := [seed for seed in stack if seed not in there]:
            yield f"spec.stack: there is no record of the seed {str(missing[0])[:40]}"
