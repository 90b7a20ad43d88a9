"""How fast a network is: one answer for each network of a board, from all sessions in which it was timed.

Speed depends on a network's shape, the hardware and the inputs, and not on the method or the seed that made its
weights. Rows of equal shape so have the same speed. Of the sessions that timed a network the quiet ones count, and the
noisy ones only where there is no other:

    speed-up = median over its sessions of the paired speed-up over the teacher
    latency = the teacher's latency / speed-up        the teacher's: the median over all sessions that timed it

and so for inputs a second. Teacher and student of a session are timed in turn, so what slows both cancels in their
ratio; a quotient of two times of different sessions would compare sessions, not networks.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass

from bench.base.groups import grouped
from bench.records.derived import SEARCH
from bench.records.schemas import Interval, Record, Size


@dataclass(frozen=True, order=True)
class Hardware:
    """What must be equal for two timings to share a column."""

    device: str
    threads: int
    scope: str  # what is inside the clock
    inputs: int  # of the test split, drawn with one seed: as many are the same ones

    @property
    def machine(self) -> str:
        return f"{self.device}, {self.threads} thread{'s' * (self.threads != 1)}"

    @property
    def words(self) -> str:
        return f"{self.machine}, {self.scope}, {self.inputs} inputs"


@dataclass(frozen=True)
class Shape:
    """What tells a network from others, as far as its speed goes: its name and its counts."""

    name: str
    parameters: int
    embedding: int
    flops: float | None  # of a mean input

    @classmethod
    def of(cls, name: str, size: Size) -> Shape:
        return cls(name, size.parameters.total, size.parameters.embedding, size.flops.get("mean"))


@dataclass(frozen=True)
class Score:
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Speed:
    """Of one network on one hardware. None: not measured."""

    latency_ms: float | None  # scenario `single`, p50
    search_ms: float | None  # a query is encoded and compared with all documents, p50; none: users do not search
    offline_per_s: float | None
    speedup: Score | None  # over the teacher; low and high span the intervals of its sessions. None of a teacher
    seconds: float | None  # to distil a run of the row: training, teacher's forwards, runs that came first
    sessions: int  # that the values are of
    noisy: bool  # there is no quiet session


@dataclass(frozen=True)
class Session:
    """What one session says of a teacher and a student."""

    teacher: Shape
    student: Shape
    latency_ms: float | None  # the teacher's
    offline_per_s: float | None  # the teacher's
    speedup: Interval | None  # of `single`; None: the student's latency was not measured
    offline: float | None  # the same of `offline`
    searches: tuple[float | None, float | None]  # p50 of the search of teacher and student, in ms
    noisy: bool


def hardware_of(record: Record) -> Hardware:
    e = record.efficiency
    return Hardware(e.device, e.threads, e.scope, e.inputs)


def shapes(record: Record) -> tuple[Shape, Shape]:
    """Of the teacher and the student."""
    teacher = Shape.of(record.teacher.name, record.teacher.efficiency)
    return teacher, Shape.of(record.student.name, record.efficiency)


class Clock:
    """All sessions of a board. Runs that share a session, as those of a sweep do, count once."""

    def __init__(self, records: Iterable[Record]) -> None:
        found: dict[Hardware, dict[tuple[str, Shape, Shape], Session]] = {}
        for record in records:
            if record.efficiency.samples is None:  # not timed
                continue
            key = record.efficiency.samples.sha256, *shapes(record)
            found.setdefault(hardware_of(record), {}).setdefault(key, _session(record))
        self.sessions: Mapping[Hardware, Sequence[Session]] = {h: list(own.values()) for h, own in found.items()}

    def of_teacher(self, teachers: Set[Shape]) -> dict[Hardware, Speed]:
        """A teacher by hardware; several shapes where records count its operations in other ways."""
        found = {}
        for hardware, sessions in self.sessions.items():
            if own := quiet([s for s in sessions if s.teacher in teachers]):
                latency, offline = _median(s.latency_ms for s in own), _median(s.offline_per_s for s in own)
                search = _median(s.searches[0] for s in own)
                found[hardware] = Speed(latency, search, offline, None, None, len(own), own[0].noisy)
        return found

    def of_student(self, pairs: Set[tuple[Shape, Shape]]) -> dict[Hardware, Speed]:
        """The networks of a row, each beside its teacher, by hardware; several where the shape depends on the seed."""
        teachers = {teacher for teacher, _ in pairs}
        found = {}
        for hardware, sessions in self.sessions.items():
            if own := quiet([s for s in sessions if (s.teacher, s.student) in pairs]):
                reference = self.of_teacher(teachers)[hardware]
                speedup = _spanned([s.speedup for s in own if s.speedup])
                found[hardware] = Speed(
                    _ratio(reference.latency_ms, speedup.value if speedup else None),
                    _median(s.searches[1] for s in own),
                    _product(reference.offline_per_s, _median(s.offline for s in own)),
                    speedup, None, len(own), own[0].noisy,
                )  # fmt: skip
        return found


def _session(record: Record) -> Session:
    single, e = record.teacher.efficiency.latency.get("single", {}), record.efficiency
    offline = e.speedups.get("offline")
    return Session(
        *shapes(record), single.get("p50_ms"), record.teacher.efficiency.throughput.get("offline_per_s"),
        e.speedup if "p50_ms" in e.latency.get("single", {}) else None, offline.value if offline else None,
        (record.teacher.efficiency.latency.get(SEARCH, {}).get("p50_ms"), e.latency.get(SEARCH, {}).get("p50_ms")),
        e.noisy,
    )  # fmt: skip


def quiet(sessions: Sequence[Session]) -> Sequence[Session]:
    """The sessions that count."""
    return grouped(sessions, lambda s: s.noisy).get(False, sessions)


def _spanned(found: Sequence[Interval]) -> Score | None:
    """The median of the values, and the span of all their intervals. None: of none."""
    if not found:
        return None
    low, high = zip(*(s.ci95 for s in found), strict=True)
    return Score(statistics.median(s.value for s in found), min(low), max(high))


def _median(values: Iterable[float | None]) -> float | None:
    """Of those that are known."""
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def _ratio(above: float | None, below: float | None) -> float | None:
    return None if above is None or not below else above / below


def _product(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one * other
