"""Which student may I use under my limits? The board's rows, filtered and sorted by score; nothing is weighed.

Limits are checked against the value of a row: mean over its runs of score and retention, the latency of its network
(scenario `single`, p50), and the parameters of its largest run. The interval of a retention is the score's interval
over the teacher's score, so it holds the luck of the student alone; a limit that lies inside it is said.

Rows that are as good as each other (`Verdicts.as_good`) share a place. Among them the faster comes first, and of equal
networks the one that was better on dev: what test says of them is noise.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.board import choice, here, leaderboard
from bench.board.leaderboard import Board, Row
from bench.board.learned import marks
from bench.board.limits import Limits
from bench.board.speed import Hardware, Score, Speed
from bench.board.verdicts import Verdicts, having_intervals, judge
from bench.records.schemas import Record

NOT_TIMED = "latency not measured on this hardware"
# the command that exports a run (empty: none does), and what speaks against it or it takes besides
Exporting = Callable[[Record], tuple[list[str], str]]


@dataclass(frozen=True)
class Candidate:
    """A row of the board, and what limits are checked against; the teacher is one too."""

    row: Row
    at: int  # of the row on its board
    speed: Speed | None  # on the chosen hardware
    teacher: Row  # its teacher's row; a teacher's is itself
    marks: tuple[str, ...]

    @property
    def latency_ms(self) -> float | None:
        return self.speed.latency_ms if self.speed else None

    @property
    def parameters(self) -> int:
        return int(self.row.parameters.high)

    @property
    def score(self) -> Score:
        if self.row.score is None:
            raise ValueError(f"{self.row.name} has no score")
        return self.row.score

    @property
    def retention(self) -> Score | None:
        """With the score's interval over the teacher's score."""
        row, scale = self.row, self.row.per_score
        if row.retention is None or scale is None:
            return None
        return Score(row.retention, self.score.low * scale, self.score.high * scale)


def recommend(
    results: Path, task: str, track: str, limits: Limits, exporting: Exporting, device: str = "", board: str = "",
    timing: here.Timing | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The answer as `--json` prints it; with `timing` its latencies are those of this machine.

    RequestError: no such records, or several boards or devices and none chosen, or nothing can be timed here.
    """
    found, boards = leaderboard.chosen(results, task, track)
    verdicts = judge(choice.board(boards, board), found, results)
    chosen, not_timed = having_intervals(verdicts), dict[str, str]()
    if timing:
        chosen, not_timed = here.retimed(chosen, found, timing)
    asked = chosen.hardware or device or limits.max_latency_ms is not None
    hardware = choice.hardware(chosen, device) if asked else None
    teachers, students = candidates(chosen, verdicts, hardware, found)
    missed = [(c, list(misses(c, limits))) for c in students]
    kept = placed([c for c, own in missed if not own], verdicts)
    best = placed(students, verdicts)[0][1]
    rejected = [_told(c, limits) | {"misses": own} for c, own in missed if own]
    return {
        "task": task, "track": track, "limits": asdict(limits),
        "board": {"slug": chosen.slug, "data": chosen.identity, "metric": chosen.metric, "dataset": chosen.dataset},
        "hardware": asdict(hardware) if hardware else None, "not_timed": not_timed,
        "recommended": [
            {"place": place} | _told(c, limits) | {"given_up": _given_up(c, best)} for place, c in kept
        ],
        "pareto": [_told(c, limits) for c in front([*teachers, *students], verdicts)],
        "rejected": rejected,
        "nearest": None if kept else nearest_miss(rejected, limits),
        "teacher": _told(teachers[0], limits),
        "export": _export([c.row for place, c in kept if place == 1], found, exporting) if kept else None,
    }  # fmt: skip


def placed(found: Sequence[Candidate], verdicts: Verdicts) -> list[tuple[int, Candidate]]:
    """With their places, best first. A place counts the rows that a row is not as good as; of equal networks whose
    scores are open all have the best place of one."""

    def order(own: tuple[int, Candidate]) -> tuple[Any, ...]:
        place, c = own
        latency, score = math.inf if c.latency_ms is None else c.latency_ms, c.row.score.value if c.row.score else 0
        return place, latency, c.parameters, -(c.row.dev or 0), -score, c.row.name

    below = {c.at: sum(not verdicts.as_good(c.at, other.at) for other in found) for c in found}
    equals = ([o.at for o in found if o.row.shapes == c.row.shapes and verdicts.as_good(c.at, o.at)] for c in found)
    places = [1 + min(below[at] for at in own) for own in equals]
    return sorted(zip(places, found, strict=True), key=order)


def candidates(
    board: Board, verdicts: Verdicts, hardware: Hardware | None, found: Iterable[Record]
) -> tuple[list[Candidate], list[Candidate]]:
    """(teachers, students), each by score."""
    identity = {r.run_id: r.teacher.identity for r in found}
    teachers = {(r.teacher, r.identity): r for r in board.rows if r.is_teacher}

    def teacher_of(row: Row) -> Row:
        if not row.method:
            return row
        return teachers[row.teacher, identity[row.runs[0][1]]]

    every = [
        Candidate(r, at, r.speed.get(hardware) if hardware else None, teacher_of(r), tuple(marks(verdicts, at)))
        for at, r in enumerate(board.rows)
    ]
    return [c for c in every if not c.row.method], [c for c in every if c.row.method]


def misses(candidate: Candidate, limits: Limits) -> Iterator[dict[str, Any]]:
    """The limits that a row does not keep; `by` in the limit's unit. A value that is not known keeps none."""
    retention, least = candidate.retention, limits.min_retention
    reaches = ", though its interval reaches it" if retention and least is not None and retention.high >= least else ""
    told = f"retention {_spread(retention)} is {{1:.2g}} below {{2:g}}{reaches}" if retention else ""
    asked: tuple[tuple[str, float | None, int, str, str], ...] = (
        ("max_latency_ms", candidate.latency_ms, 1, "latency {:.4g} ms is {:.2g} ms above {:g} ms", NOT_TIMED),
        ("max_params", candidate.parameters, 1, "{:,} parameters are {:,} above {:,}", ""),
        ("min_retention", retention.value if retention else None, -1, told,
         "retention not known, as the teacher has no score above 0"),
    )  # fmt: skip
    for name, value, sign, form, unknown in asked:
        limit = getattr(limits, name)
        by = None if value is None or limit is None else sign * (value - limit)
        if limit is not None and (by is None or by > 0):
            reason = unknown if by is None else form.format(value, by, limit)
            yield {"limit": name, "value": value, "by": by, "reason": reason}


def _spread(score: Score) -> str:
    return f"{score.value:.4f} [{score.low:.4f}, {score.high:.4f}]"


def notes(candidate: Candidate, limits: Limits) -> list[str]:
    """What a reader has to know before relying on a row."""
    found = []
    retention, least = candidate.retention, limits.min_retention
    if candidate.row.method and retention and least is not None and retention.low < least <= retention.value:
        found.append(f"retention {_spread(retention)} may be below {least:g}")
    if candidate.speed and candidate.speed.noisy:
        found.append("noisy timings")
    if candidate.latency_ms is None:
        found.append(NOT_TIMED)
    if candidate.row.few_seeds:
        found.append(f"fewer than {leaderboard.ENOUGH_SEEDS} seeds")
    return [*found, *candidate.marks]


def front(found: Iterable[Candidate], verdicts: Verdicts) -> list[Candidate]:
    """The Pareto front in score, latency and parameters, best score first.

    A row goes where another is as good, as fast and as small, and in one of these better. A row without a score or a
    latency cannot be placed, and is left out.
    """
    known = [c for c in found if c.row.score and c.latency_ms is not None]

    def beats(one: Candidate, other: Candidate) -> bool:
        costs = [(c.latency_ms or 0.0, c.parameters) for c in (one, other)]
        if any(x > y for x, y in zip(*costs, strict=True)) or not verdicts.as_good(one.at, other.at):
            return False
        return costs[0] != costs[1] or not verdicts.as_good(other.at, one.at)

    kept = [c for c in known if not any(beats(other, c) for other in known)]
    return sorted(kept, key=lambda c: -c.score.value)


def pareto(costs: Sequence[tuple[float, ...]]) -> list[int]:
    """The places that no other beats: as low in all costs, and lower in one. Equal ones do not beat each other."""

    def beats(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
        return one != other and all(x <= y for x, y in zip(one, other, strict=True))

    return [i for i, own in enumerate(costs) if not any(beats(other, own) for other in costs)]


def _told(candidate: Candidate, limits: Limits) -> dict[str, Any]:
    row, speed = candidate.row, candidate.speed
    return {
        "name": row.name, "role": "student" if row.method else "teacher",
        "method": row.method, "student": row.student, "teacher": row.teacher, "differs": list(row.differs),
        "score": _interval(row.score), "retention": _interval(candidate.retention) if row.method else None,
        "latency_ms": candidate.latency_ms, "noisy": speed.noisy if speed else None,
        "sessions": speed.sessions if speed else 0,
        "parameters": candidate.parameters, "speedup": _interval(speed.speedup) if speed else None,
        "seeds": [seed for seed, _ in row.runs], "runs": [run_id for _, run_id in row.runs],
        "notes": notes(candidate, limits),
    }  # fmt: skip


def _interval(score: Score | None) -> dict[str, Any] | None:
    return {"value": score.value, "ci95": [score.low, score.high]} if score else None


def _given_up(candidate: Candidate, best: Candidate) -> dict[str, Any]:
    """Against its teacher, and against the best student without limits. Latencies are made of paired speed-ups, so
    that their ratio is one of speed-ups too."""
    speedup = candidate.speed.speedup if candidate.speed else None
    return {
        "teacher": _change(candidate, candidate.teacher, speedup.value if speedup else None),
        "best": _change(candidate, best.row, _ratio(best.latency_ms, candidate.latency_ms)),
    }


def _change(candidate: Candidate, other: Row, faster: float | None) -> dict[str, Any]:
    """`score_points`: hundredths of a score, below 0 when the candidate's is lower."""
    theirs = other.score.value if other.score else None
    return {
        "name": other.name,
        "score_points": None if theirs is None else 100 * (candidate.score.value - theirs),
        "retention": _ratio(candidate.score.value, theirs) if theirs is not None and theirs > 0 else None,
        "times_faster": faster,
        "times_smaller": _ratio(other.parameters.high, candidate.parameters),
    }


def _ratio(numerator: float | None, denominator: float | None) -> float | None:
    return None if numerator is None or not denominator else numerator / denominator


def _export(rows: Sequence[Row], found: Iterable[Record], exporting: Exporting) -> dict[str, Any]:
    """The run with the highest dev score of the rows in the first place, of those that can be exported where there are
    any: which run to use is a choice, and choices are made on dev."""
    of = {run_id: (seed, row) for row in rows for seed, run_id in row.runs}
    asked = [(r, *exporting(r)) for r in found if r.run_id in of]
    able = [one for one in asked if not one[2]]
    first, command, refused = max(able or asked, key=lambda own: (own[0].metrics.dev, -of[own[0].run_id][0]))
    seed, row = of[first.run_id]
    return {
        "run_id": first.run_id, "seed": seed, "dev": first.metrics.dev, "name": row.name,
        "command": shlex.join(command) or None, "refused": refused or None,
    }  # fmt: skip


def nearest_miss(rejected: Sequence[dict[str, Any]], limits: Limits) -> str:
    """Of what keeps no limits, the row whose worst miss is the smallest part of its limit, and why it is out."""

    def worst(row: dict[str, Any]) -> float:
        return max(math.inf if m["by"] is None else m["by"] / getattr(limits, m["limit"]) for m in row["misses"])

    nearest = min(rejected, key=lambda r: (worst(r), -r["score"]["value"]))
    return f"{nearest['name']}: {' and '.join(m['reason'] for m in nearest['misses'])}"
