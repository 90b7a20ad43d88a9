"""The leaderboard as data: records grouped into boards and rows. Every number of the board is computed here."""

from __future__ import annotations

import hashlib
import json
import math
import re
import shlex
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.base.console import warn
from bench.base.groups import grouped
from bench.board.differences import differences, shortened
from bench.board.speed import Clock, Hardware, Score, Shape, Speed, hardware_of, shapes
from bench.errors import RequestError, unknown
from bench.plugins import registry
from bench.records import disk, typed
from bench.records.schemas import Data, Interval, Record, Size
from bench.records.specs import TRACK_ORDER, CheckedSpec, checked_spec, in_words

Z = 1.96
ENOUGH_SEEDS = 3
ALWAYS = ("finetune", "kd")  # the rows that a board needs to mean anything, beside the teacher


@dataclass(frozen=True)
class Run:
    record: Record
    spec: CheckedSpec


@dataclass(frozen=True)
class Range:
    """Smallest and largest over the runs of a row; equal unless a student's size depends on its seed."""

    low: float
    high: float


@dataclass(frozen=True)
class Row:
    """A teacher (no method), one method with one student over its seeds, or a reference, which has neither."""

    method: str
    student: str
    teacher: str
    score: Score | None
    retention: float | None
    parameters: Range
    active: Range
    disk_bytes: Range
    speed: Mapping[Hardware, Speed]
    runs: tuple[tuple[int, str], ...] = ()  # (seed, run id)
    differs: tuple[str, ...] = ()  # what tells it from rows of its method and student, in words
    identity: str = ""  # of a teacher
    updates: float | None = None
    teacher_forwards: float | None = None
    flops: float | None = None  # of a mean test input, a multiply-add as two
    dev: float | None = None
    shapes: frozenset[tuple[Shape, Shape]] = frozenset()  # of teacher and student, one unless it depends on the seed
    teacher_score: float | None = None  # of its teacher on the same test set
    kept_start: tuple[int, ...] = ()  # seeds of the runs whose student is as it was before its first update
    reference: str = ""  # its name, as bm25
    index_bytes: float | None = None  # of the vectors of all documents, where users search
    version: str = ""  # of a method that is a file: its digest
    older: bool = False  # its method or student is a file, of which the board has a later run in another version
    key: str = ""  # names it on its board, whatever other rows are there
    alike: str = ""  # the same of rows that were trained alike, with other methods

    @property
    def is_teacher(self) -> bool:
        return not self.method and not self.reference

    @property
    def few_seeds(self) -> bool:
        return 0 < len(self.runs) < ENOUGH_SEEDS

    @property
    def per_score(self) -> float | None:
        """Retention over score, which is 1 / the teacher's score. None: a score of 0, or a teacher not above 0."""
        if self.retention is None or not self.score or not self.score.value:
            return None
        return self.retention / self.score.value

    @property
    def name(self) -> str:
        """The row in words."""
        if self.reference:
            return self.reference
        words = (self.method, self.student) if self.method else ("teacher", self.teacher)
        return " ".join([*words, *self.differs])


@dataclass(frozen=True)
class Missing:
    """A row that the protocol asks for and nobody has run, with the command that makes it."""

    method: str
    students: tuple[str, ...]
    command: str


@dataclass(frozen=True)
class Board:
    """Rows that can be compared: one task, track, data, task version and main metric."""

    task: str
    track: str
    identity: str
    version: str
    metric: str
    dataset: str
    data: Data
    hardware: tuple[Hardware, ...]
    rows: tuple[Row, ...]
    missing: tuple[Missing, ...] = field(default=())

    @property
    def slug(self) -> str:
        """A name that is safe in a URL, the same for the same board."""
        key = json.dumps([self.task, self.track, self.identity, self.version, self.metric, self.dataset])
        words = re.sub(r"[^a-z0-9]+", "-", f"{self.task} {self.track}".lower()).strip("-")[:60]
        return f"{words}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"

    @property
    def words(self) -> str:
        """What tells it from other boards of its task and track."""
        what = f"{self.metric} on {self.dataset}, task version {self.version}"
        return f"{self.slug} (data {self.identity[:12]}, {what}, {sum(len(row.runs) for row in self.rows)} runs)"


def chosen(results: Path, task: str, track: str) -> tuple[list[Record], list[Board]]:
    """All records of a folder, and the boards of a task and track; no track: all of them. RequestError: none, with what
    there is."""
    found = list(disk.read_all(folder(results)))
    boards = rows(found)
    if not boards:
        raise RequestError(f"the results folder {results} holds no records: run `bench run --task {task}` first")
    of_task = [board for board in boards if board.task in typed.tasks(task)]
    if not of_task:
        raise nothing_on(task, results, {board.task for board in boards})
    on_track = [board for board in made_from(task, of_task, found) if track in ("", board.track)]
    if not on_track:
        tracks = ", ".join(dict.fromkeys(board.track for board in of_task))
        raise RequestError(f"{results} holds no record of {task} on track {track}; there is: {tracks}")
    return found, on_track


def made_from(task: str, boards: list[Board], records: Iterable[Record]) -> list[Board]:
    """Of a file or folder of data its boards; where none was made from it, those of its name, which is told."""
    if not registry.openers(task) or task.startswith(registry.ON_HUB):
        return boards
    own = {r.run_id for r in records if typed.reads_files(spec := checked_spec(r)) and typed.made_from(r, spec, task)}
    found = [board for board in boards if any(run_id in own for row in board.rows for _, run_id in row.runs)]
    if not found:
        warn(f"no run here was made from {task}: shown are those of data of the same name")
    return found or boards


def nothing_on(task: str, results: Path, measured: set[str]) -> RequestError:
    """Of a family its data sets that are measured; of a task that is known, that it is not."""
    family, _, dataset = task.partition("/")
    plugin = registry.found("task").get(family)
    own = sorted(name for name in measured if name.partition("/")[0] == family)
    if plugin and not dataset and own:
        return RequestError(f"{family} has several data sets: name one of {', '.join(own)}")
    if plugin and dataset in (plugin.declares.get("datasets") or ()):
        return RequestError(f"{results} holds no record of {task}; of {family}: {', '.join(own) or 'none'}")
    return unknown("task", task, measured)


def folder(results: Path) -> Path:
    """The folder of results. RequestError: it is not there, or is a part of one."""
    if not results.is_dir():
        raise RequestError(f"there is no results folder {results}: run `bench run` first, or name another --results")
    disk.check_level(results)
    return results


def rows(records: Iterable[Record]) -> list[Board]:
    """The boards, by task and track; of records of the same run the first counts, and the others are told and left out.

    RequestError: a record whose spec does not say what was run.
    """
    runs = sorted((Run(r, checked_spec(r)) for r in records), key=lambda run: run.record.run_id)
    boards = [_board(_once(group)) for group in grouped(runs, _board_key).values()]
    return sorted(boards, key=lambda b: (b.task, _place(b.track), b.version, b.identity, b.metric, b.dataset))


def without(board: Board, records: Iterable[Record], why: Mapping[str, str]) -> Board | None:
    """The board without some of its runs, each of which is told with its reason; None: no run would be left."""
    own = {run_id for row in board.rows for _, run_id in row.runs} - set(why)
    if not own:
        return None
    for sentence in why.values():
        warn(f"left out: {sentence}")
    return rows(record for record in records if record.run_id in own)[0]


def _once(runs: list[Run]) -> list[Run]:
    """Each run once."""
    found: dict[tuple[str, int], Run] = {}
    for run in runs:
        first = found.setdefault((json.dumps(run.spec.of_any_seed, sort_keys=True), run.spec.seed), run)
        if first is not run:
            one, two = first.record.run_id, run.record.run_id
            warn(f"left out: {two}, which is the same run as {one} (seed {run.spec.seed}): remove one of them")
    return list(found.values())


def combined(scores: Sequence[Interval]) -> Score:
    """Mean over seeds with its 95% interval; of a single run, its own bootstrap interval.

        half = 1.96 sqrt(var_seeds / n + mean(var_bootstrap))        var_bootstrap = ((high - low) / (2 * 1.96))^2

    var_seeds is the sample variance of the n values. All seeds are scored on the same test examples, so the bootstrap
    part, which is the luck of the examples, does not shrink with n.
    """
    if len(scores) == 1:
        return Score(scores[0].value, *scores[0].ci95)
    values = [s.value for s in scores]
    bootstrap = statistics.fmean(((s.ci95[1] - s.ci95[0]) / (2 * Z)) ** 2 for s in scores)
    mean = statistics.fmean(values)
    half = Z * math.sqrt(statistics.variance(values, mean) / len(values) + bootstrap)
    return Score(mean, mean - half, mean + half)


def spanned(scores: Sequence[Interval]) -> Score | None:
    """Mean of the values, and the span of all their intervals: for ratios, which are not combined. None: of none."""
    if not scores:
        return None
    low, high = zip(*(s.ci95 for s in scores), strict=True)
    return Score(statistics.fmean(s.value for s in scores), min(low), max(high))


def _board_key(run: Run) -> tuple[str, str, str, str, str, str]:
    main = run.record.metrics.main
    version = in_words(run.spec.versions.get("task", ""))
    return run.spec.task, run.spec.track, run.record.data.identity, version, main.name, main.dataset


def _place(track: str) -> tuple[int, str]:
    return (TRACK_ORDER.index(track) if track in TRACK_ORDER else len(TRACK_ORDER)), track


def _board(runs: list[Run]) -> Board:
    first = runs[0].record
    groups = grouped(runs, lambda r: json.dumps(r.spec.of_any_seed, sort_keys=True)).values()
    differ = differences([group[0].spec for group in groups])
    teachers = grouped(runs, lambda r: (r.spec.teacher, r.record.teacher.identity)).values()
    times = Clock(r.record for r in runs)
    last = newest(runs)
    students = [_row(*each, times, last) for each in zip(groups, differ, strict=True)]
    return Board(
        *_board_key(runs[0]), first.data,
        hardware=tuple(sorted(times.sessions)),
        rows=(
            *_ranked(_teacher_row(t, teachers, times) for t in teachers), *_ranked(_references(runs)),
            *_ranked(students),
        ),
        missing=tuple(_missing(runs)),
    )  # fmt: skip


def _ranked(found: Iterable[Row]) -> list[Row]:
    return sorted(found, key=lambda r: (-r.score.value if r.score else math.inf, r.name, r.teacher, r.runs))


def newest(runs: Iterable[Run]) -> dict[str, str]:
    """Of each method and student that is a file, by what versions call it, the version that was run last."""
    ordered = sorted(runs, key=lambda run: run.record.provenance.finished)
    return {name: version for run in ordered for name, version in _files(run.spec).items()}


def _files(spec: CheckedSpec) -> dict[str, str]:
    names = {kind: getattr(spec, kind).partition(":")[0] for kind in ("method", "student") if typed.by_path(spec, kind)}
    return {f"{kind} {name}": str(spec.versions[kind]) for kind, name in names.items()}


def _row(runs: list[Run], differs: tuple[str, ...], times: Clock, last: Mapping[str, str]) -> Row:
    records = [r.record for r in runs]
    seeds = sorted((r.spec.seed, r.record.run_id) for r in runs)
    spec, pairs = runs[0].spec, frozenset(map(shapes, records))
    return Row(
        spec.method, spec.student, spec.teacher, combined([r.metrics.main for r in records]),
        retention=_mean(r.metrics.retention for r in records),
        runs=tuple(seeds),
        differs=differs,
        updates=_mean(r.cost.student_updates for r in records),
        teacher_forwards=_mean(r.cost.forwards for r in records),
        dev=_mean(r.metrics.dev for r in records),
        shapes=pairs,
        speed={clock: replace(own, seconds=_seconds(records, clock)) for clock, own in times.of_student(pairs).items()},
        teacher_score=_mean(r.teacher.main.value if r.teacher.main else None for r in records),
        kept_start=tuple(sorted(r.spec.seed for r in runs if r.record.kept_start)),
        version=str(spec.versions["method"]) if typed.by_path(spec, "method") else "",
        older=any(last[name] != version for name, version in _files(spec).items()),
        key=_key(spec.method, spec.student, spec.of_any_seed),
        alike=_alike(spec),
        **_sizes([r.efficiency for r in records]),
    )  # fmt: skip


def _alike(spec: CheckedSpec) -> str:
    """Equal for runs of which only the method differs, and what comes with it: as long, as large batches, the same
    start, the same teaching."""
    student: Mapping[str, Any] = spec.settings.get("student", {})
    brings = _declared(spec, "brings", {})
    without = {name: brings.get(name, value) for name, value in student.items()}
    start = spec.versions.get("initial") if without == student else None
    versions = [*(spec.versions.get(name) for name in ("teacher", "student")), start]
    return json.dumps([spec.student, spec.teacher, spec.settings.get("track"), without, versions], sort_keys=True)


def _declared(spec: CheckedSpec, name: str, otherwise: Any) -> Any:
    """What the run's method declares, where it is installed."""
    plugin = registry.found("method").get(spec.method)
    return plugin.declares.get(name, otherwise) if plugin else otherwise


def _seconds(records: Iterable[Record], clock: Hardware) -> float | None:
    """What it took to distil a run that was timed on this hardware, and so was most likely trained there."""
    return _mean(record.cost.seconds for record in records if hardware_of(record) == clock)


def _teacher_row(runs: list[Run], teachers: Collection[list[Run]], times: Clock) -> Row:
    """Its score is the same in every record but for rounding on other devices; the interval covers all of them."""
    metric, teacher = runs[0].record.metrics.main.name, runs[0].record.teacher
    twins = sum(own[0].spec.teacher == runs[0].spec.teacher for own in teachers)
    score = spanned([main for r in runs if (main := r.record.teacher.main) and main.name == metric])
    return Row(
        "", "", runs[0].spec.teacher, score,
        retention=1.0 if score and score.value else None,
        identity=teacher.identity,
        differs=(shortened(teacher.identity),) if twins > 1 else (),
        speed=times.of_teacher({shapes(r.record)[0] for r in runs}),
        teacher_score=score.value if score else None,
        key=_key("teacher", runs[0].spec.teacher, teacher.identity),
        **_sizes([r.record.teacher.efficiency for r in runs]),
    )  # fmt: skip


def _references(runs: list[Run]) -> Iterable[Row]:
    """What the records hold beside teachers and students: it has no parameters, and is not timed."""
    for name in sorted({name for r in runs for name in r.record.references}):
        score = spanned([r.record.references[name].main for r in runs if name in r.record.references])
        none, key = Range(0, 0), _key("reference", name, name)
        yield Row("", "", "", score, None, none, none, none, {}, reference=name, key=key)


def _key(what: str, name: str, whole: Any) -> str:
    """Safe in an address: words of ASCII for people, and a hash of all that makes the row another one."""
    words = re.sub(r"[^a-z0-9]+", "-", f"{what} {name}".lower()).strip("-")[:60].strip("-") or "row"
    return f"{words}-{hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:8]}"


def _sizes(found: Sequence[Size]) -> dict[str, Any]:
    """What a row says of the size of its network; `found`: of the runs' students, or of their teachers."""
    return {
        "parameters": _range(size.parameters.total for size in found),
        "active": _range(size.parameters.active for size in found),
        "disk_bytes": _range(size.disk_bytes for size in found),
        "flops": _mean(size.flops.get("mean") for size in found),
        "index_bytes": _mean(size.index_bytes for size in found),
    }


def _mean(values: Iterable[float | None]) -> float | None:
    """None when one of them is unknown: a mean over the others would stand for all."""
    found = list(values)
    known = [v for v in found if v is not None]
    return statistics.fmean(known) if known and len(known) == len(found) else None


def _range(values: Iterable[float]) -> Range:
    found = list(values)
    return Range(min(found), max(found))


def _missing(runs: Sequence[Run]) -> Iterable[Missing]:
    """The rows without which a student's score cannot be judged: trained as it was, with the student's defaults. A
    student that is pruned is not, in the end, what its name says, and asks for no other of that name."""
    first = runs[0]
    begins = ["bench", "run", "--task", typed.named(first.record, first.spec, "task"), "--track", first.spec.track]
    folder = first.record.data.source == "directory" and not typed.reads_files(first.spec)
    ends = [*(["--data-dir", "DIR"] if folder else []), "--seeds", "0,1,2"]
    whole = [run for run in runs if not _declared(run.spec, "prunes", False)]
    trained = grouped(whole, lambda run: (run.spec.student, _trained(run.spec)))
    for method in ALWAYS:
        lacking = [own[0] for own in trained.values() if not any(run.spec.method == method for run in own)]
        for settings, own in grouped(sorted(lacking, key=lambda run: run.spec.student), _typed).items():
            paths = {run.spec.student: typed.named(run.record, run.spec, "student") for run in own}
            named = [w for path in paths.values() for w in ("--student", path)]
            command = shlex.join([*begins, "--method", method, *named, *settings, *ends])
            yield Missing(method, tuple(paths), command)


def _trained(spec: CheckedSpec) -> str:
    """How long, on what and by whom a student was trained: equal for rows that differ in method and its settings."""
    return json.dumps([spec.settings.get("track"), spec.teacher, spec.versions.get("teacher")], sort_keys=True)


def _typed(run: Run) -> tuple[str, ...]:
    """A run's teacher, and the settings of its track in the command that made it, as they are typed. Of those that
    teach, the run's settings hold the teacher's identity."""
    track = run.spec.settings.get("track", {})
    named = {said: said.partition("=")[0].removeprefix("track.") for said in typed.options(run.record, "--set")}
    chosen = [said for said, name in named.items() if name in track or name.startswith("teach")]
    return *(w for said in chosen for w in ("--set", said)), "--teacher", typed.teacher(run.record, run.spec)
