"""Rows of the board by name, and what their stored predictions contribute."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import cast

from bench.base import files
from bench.board.leaderboard import Board, Row
from bench.board.scores import taught_by
from bench.errors import RequestError, unknown
from bench.plugins import registry
from bench.records import disk, scorer
from bench.records.arrays import unpack
from bench.records.derived import of_other, own
from bench.records.schemas import Record
from bench.records.specs import checked_spec
from bench.scoring.bootstrap import Score
from bench.scoring.contributions import Contributions, Runs, by_influence, contributions
from bench.scoring.scores import REFERENCE, TEACHER, Predictions, Scores, same
from bench.scoring.trivial import one_answer, trivial

Recorded = Mapping[str, Mapping[str, float | None]]  # scores as a record has them


def find_pair(found: Sequence[Board], a: str, b: str, student: str) -> tuple[Board, list[int]]:
    """The board, and the places of both rows on it. RequestError: none, or more than one, with the choices."""
    for name in (a, b):
        if not any(matching(board, name, student) for board in found):
            raise nothing_called(name, student, found)
    both = [board for board in found if matching(board, a, student) and matching(board, b, student)]
    there = "; ".join(board.words for board in both or found)
    if not both:
        raise RequestError(f"{a} and {b} have no board in common: {there} cannot be compared")
    if len(both) > 1:
        raise RequestError(f"{a} and {b} are on {len(both)} boards: choose with --board: {there}")
    places = [only(both[0], name, student) for name in (a, b)]
    if places[0] == places[1]:
        raise RequestError(f"{a} and {b} are the same row ({label(both[0], places[0])}): name two rows")
    return both[0], places


def matching(board: Board, name: str, student: str) -> list[int]:
    """Rows that a name means: the one with just this label, else those of the method (and student, when given)."""
    places = range(len(board.rows))
    if exact := [i for i in places if label(board, i) == name]:
        return exact
    method, student = parsed(name, student)
    if method == TEACHER:
        return [i for i in places if board.rows[i].is_teacher]
    rows = [i for i in places if board.rows[i].method == method and student in ("", board.rows[i].student)]
    if version := version_now(name):
        return [i for i in rows if board.rows[i].version in ("", version)]
    return [i for i in rows if not board.rows[i].older] or rows


def parsed(name: str, student: str) -> tuple[str, str]:
    """`method@student` -> both; a file given by path is called by its stem."""
    method, _, own = name.partition("@")
    return Path(method).stem if method.endswith(".py") else method, own or student


def version_now(name: str) -> str:
    """Of a method that is named by a file that is here, the version that this is; empty: it is not."""
    path = name.partition("@")[0]
    return registry.digest_of(Path(path)) if path.endswith(".py") and Path(path).is_file() else ""


def label(board: Board, place: int) -> str:
    """The row in words, by which no other row of the board goes."""
    row = board.rows[place]
    twins = [other for other in board.rows if other.name == row.name]
    return row.name if len(twins) == 1 else f"{row.name} teacher={row.teacher}"


def only(board: Board, name: str, student: str) -> int:
    """The one row that a name means. RequestError: it means several."""
    rows = matching(board, name, student)
    if len(rows) == 1:
        return rows[0]
    choices = ", ".join(f"'{label(board, i)}'" for i in rows)
    raise RequestError(f"'{name}' is {len(rows)} rows: name one of {choices}")


def nothing_called(name: str, student: str, boards: Sequence[Board]) -> RequestError:
    """The method is not there, or not with this student."""
    method, student = parsed(name, student)
    rows = [row for board in boards for row in board.rows]
    if version_now(name) and (known := [row.name for row in rows if row.method == method and row.version]):
        choices = ", ".join(f"'{one}'" for one in known)
        raise RequestError(f"{name} has no run as it is now: run it, or name one of its older versions, {choices}")
    students = {row.student for row in rows if row.method == method}
    if students and method:
        return unknown(f"student of {method}", student, students)
    return unknown("row", name, {TEACHER} | {row.method or row.reference for row in rows if not row.is_teacher})


class Unreadable(RequestError):
    """Runs whose predictions cannot stand on their board beside the others': {run id: why}."""

    def __init__(self, why: Mapping[str, str]) -> None:
        super().__init__("; ".join(why.values()))
        self.why = why


class Reader:
    """The stored predictions of a board."""

    def __init__(self, board: Board, found: Iterable[Record], results: Path) -> None:
        self.board, self.results = board, results
        self.records: Mapping[str, Record] = {record.run_id: record for record in found}
        self.scored: list[
            tuple[Predictions, list[str]]
        ] = []  # runs by what they were scored on, alike on a sound board
        self.broken: dict[str, str] = {}  # runs whose predictions cannot be read, and why
        self.one_answer: set[str] = set()  # ids of runs that gave every input the same answer

    @cached_property
    def score(self) -> Score:
        """The task's own metrics; loaded only for a metric that the engine does not know from inside."""
        record = next(iter(self.records[run_id] for row in self.board.rows for _, run_id in row.runs))
        return scorer.of(checked_spec(record), record.metrics.all)

    @cached_property
    def examples(self) -> int:
        return sum(len(arrays["gold"]) for arrays in self.scored[0][0].values()) if self.scored else 0

    @cached_property
    def trivial(self) -> float | None:
        """The score of the best answer that reads no input."""
        if not self.scored:
            return None
        predictions, (first, *_) = self.scored[0]
        known = self.influence(predictions, self.records[first].metrics.all) is not None
        return trivial(predictions, lambda p: self.score(p), self.board.metric, known)

    def rows(self, wanted: set[int]) -> dict[int, Runs]:
        """Contributions of all rows by place on the board. A teacher whose predictions nobody stored is left out.

        Unreadable: runs whose predictions are missing, are not those of the record, or were scored on other examples
        than most. RequestError: nothing is stored of a wanted row.
        """
        found: dict[int, Runs] = {}
        for place, row in enumerate(self.board.rows):
            if row.method:
                found[place] = self.student(row)
        self.agree()
        for place, row in enumerate(self.board.rows):
            if row.method:
                continue
            if runs := self.beside(row):
                found[place] = runs
            elif place in wanted:
                raise RequestError(
                    f"the records hold no predictions of the {row.name}: records before schema 2 have none, nor has a "
                    "teacher that is told the answers"
                )
        return dict(sorted(found.items()))

    def agree(self) -> None:
        """Unreadable: not all runs could be read, or they were not scored on the same examples."""
        self.scored.sort(key=lambda group: -len(group[1]))
        for _, others in self.scored[1:]:
            why = "{} was not scored on the examples of the other records of its board"
            self.broken |= {run_id: why.format(run_id) for run_id in others}
        if self.broken:
            raise Unreadable(self.broken)

    def student(self, row: Row) -> Runs:
        """A row's runs by seed; those that cannot be read are `broken`."""
        found: dict[int | None, Contributions] = {}
        for seed, run_id in row.runs:
            try:
                predictions = {name: own(arrays) for name, arrays in self.stored(run_id).items()}
                found[seed] = self.contributions(predictions, run_id, self.records[run_id].metrics.all)
                if one_answer(predictions):
                    self.one_answer.add(run_id)
            except RequestError as error:
                self.broken[run_id] = str(error)
            except (KeyError, IndexError, TypeError, ValueError, ArithmeticError, AttributeError):
                self.broken[run_id] = f"stored predictions of {run_id} are not those of this task"
        return found

    def beside(self, row: Row) -> Runs:
        """The one run of a teacher or a reference, from the first record beside which it is stored."""
        name = REFERENCE + row.reference if row.reference else TEACHER
        for run_id in self.with_row(row):
            if found := of_other(self.stored(run_id), name):
                record = self.records[run_id]
                said = record.references[row.reference].metrics if row.reference else record.teacher.metrics
                return {None: self.influence(found, said or {}) or contributions(found, self.score, self.board.metric)}
        return {}

    def with_row(self, row: Row) -> Iterator[str]:
        """Runs whose records hold a reference, or of a teacher's students."""
        for run_id in sorted(run_id for row in self.board.rows for _, run_id in row.runs):
            record = self.records[run_id]
            if row.reference in record.references if row.reference else taught_by(row, record):
                yield run_id

    def stored(self, run_id: str) -> Predictions:
        """The arrays beside a record."""
        record = self.records[run_id]
        path = disk.beside(disk.path_of(self.results, record.spec, run_id), record.predictions.file)
        try:
            data = files.plain(disk.inside(path, self.results))
        except OSError as error:
            raise RequestError(f"cannot read the predictions {path}: {error.strerror}") from None
        if files.sha256(data) != record.predictions.sha256:
            raise RequestError(f"{path} does not hold the predictions that {run_id} was scored from")
        return unpack(path, data)

    def contributions(self, predictions: Predictions, run_id: str, recorded: Recorded) -> Contributions:
        """What each example adds; the run joins those that were scored on the same examples."""
        found = self.influence(predictions, recorded) or contributions(predictions, self.score, self.board.metric)
        for others, runs in self.scored:
            if alike(others, predictions):
                runs.append(run_id)
                return found
        self.scored.append((predictions, [run_id]))
        return found

    def influence(self, predictions: Predictions, recorded: Recorded) -> Contributions | None:
        """Contributions by a metric that the engine knows from inside, of a record that says it; None: it does not."""
        told = all(recorded.get(name, {}).get(self.board.metric) is not None for name in predictions)
        return by_influence(predictions, lambda _: cast(Scores, recorded), self.board.metric) if told else None


def alike(one: Predictions, two: Predictions) -> bool:
    """Whether two runs were scored on equal arrays of the same data sets in the same order."""
    return list(one) == list(two) and all(
        one[name].keys() == two[name].keys()
        and all(same(a, two[name][k]) for k, a in one[name].items() if k != "prediction")
        for name in one
    )
