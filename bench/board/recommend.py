"""Which student may I use under my limits? The board's rows, filtered and sorted by score; nothing is weighed.

Limits are checked against the value of a row: mean over its runs of score, retention and latency (scenario `single`,
p50), and the parameters of its largest run. The interval of a retention is the score's interval over the teacher's
score, so it holds the luck of the student alone; a limit that lies inside it is said.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.board import leaderboard
from bench.board.leaderboard import Board, Hardware, Row, Score, Speed
from bench.board.limits import Limits
from bench.board.verdicts import with_intervals
from bench.errors import RequestError, unknown
from bench.records import disk
from bench.records.schemas import Record


@dataclass(frozen=True)
class Candidate:
    """A row of the board, and what limits are checked against; the teacher is one too."""

    row: Row
    speed: Speed | None  # on the chosen hardware
    teacher: Row  # its teacher's row; a teacher's is itself

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
        """With the score's interval over the teacher's score, which is score / retention. None: teacher not above 0."""
        if self.row.retention is None or not self.row.score or not self.row.score.value:
            return None
        per_score = self.row.retention / self.row.score.value
        return Score(self.row.retention, self.row.score.low * per_score, self.row.score.high * per_score)


@dataclass(frozen=True)
class Miss:
    """A limit that a row does not keep. `by` in the limit's unit; None where the value is not known."""

    limit: str
    value: float | None
    by: float | None
    reason: str


def recommend(
    results: Path, task: str, track: str, limits: Limits, device: str = "", board: str = ""
) -> dict[str, Any]:
    """The answer as `--json` prints it. RequestError: no such records, or several boards or devices and none chosen."""
    found = list(_read(results))
    chosen = with_intervals(choose_board(leaderboard.rows(found), task, track, board, results), found, results)
    hardware = choose_hardware(chosen, device)
    teachers, students = candidates(chosen, hardware, found)
    kept = [c for c in students if not misses(c, limits)]
    best = students[0]  # rows come by score
    return {
        "task": task, "track": track, "limits": asdict(limits),
        "board": {"slug": chosen.slug, "data": chosen.identity, "metric": chosen.metric, "dataset": chosen.dataset},
        "hardware": asdict(hardware),
        "recommended": [_told(c, limits) | {"given_up": _given_up(c, best)} for c in kept],
        "pareto": [_told(c, limits) for c in pareto([*teachers, *students])],
        "rejected": [
            _told(c, limits) | {"misses": [asdict(m) for m in missed]}
            for c in students if (missed := misses(c, limits))
        ],
        "teacher": _told(teachers[0], limits),
        "export": _export(kept[0].row, found) if kept else None,
    }  # fmt: skip


def _read(results: Path) -> Iterable[Record]:
    if not results.is_dir():
        raise RequestError(f"there is no results folder {results}: run `bench run` first, or name another --results")
    return disk.read_all(results)


def choose_board(boards: Sequence[Board], task: str, track: str, name: str, results: Path) -> Board:
    """The board of a task and track; `name`, a slug or the beginning of a data identity, chooses between several."""
    if not boards:
        raise RequestError(f"the results folder {results} holds no records: run `bench run --task {task}` first")
    tasks = [b for b in boards if b.task == task]
    if not tasks:
        raise unknown("task", task, {b.task for b in boards})
    found = [b for b in tasks if b.track == track]
    if not found:
        tracks = ", ".join(dict.fromkeys(b.track for b in tasks))
        raise RequestError(f"no records of {task} on the track '{track}' in {results}: there are {tracks}")
    fits = [b for b in found if name == b.slug or b.identity.startswith(name)]
    if len(fits) == 1:
        return fits[0]
    there = "; ".join(_board_in_words(b) for b in found)
    if not fits:
        raise RequestError(f"--board {name} is no board of {task} on {track}: there are {there}")
    raise RequestError(f"{task} on {track} has several boards, which cannot be compared: choose with --board: {there}")


def _board_in_words(board: Board) -> str:
    runs = sum(len(row.runs) for row in board.rows)
    what = f"{board.metric} on {board.dataset}, task version {board.version}"
    return f"{board.slug} (data {board.identity[:12]}, {what}, {runs} runs)"


def choose_hardware(board: Board, name: str) -> Hardware:
    """What latencies are read from; `name` is a part of device and threads, or the whole description.

    A part of the scope would not do: `TPU` is in `outputs`. RequestError: none or several fit.
    """
    wanted = name.lower()
    fits = [h for h in board.hardware if wanted in _device(h).lower() or wanted == in_words(h).lower()]
    if len(fits) == 1:
        return fits[0]
    there = "; ".join(in_words(h) for h in fits or board.hardware)
    if not fits:
        raise RequestError(f"nothing was measured on --device {name}: there are {there}")
    raise RequestError(f"timings of different hardware cannot be compared: choose with --device: {there}")


def _device(hardware: Hardware) -> str:
    return f"{hardware.device}, {hardware.threads} thread{'s' * (hardware.threads != 1)}"


def in_words(hardware: Hardware) -> str:
    return f"{_device(hardware)}, {hardware.scope}"


def candidates(board: Board, hardware: Hardware, found: Iterable[Record]) -> tuple[list[Candidate], list[Candidate]]:
    """(teachers, students), each by score."""
    identity = {r.run_id: r.teacher.identity for r in found}
    rows = [r for r in board.rows if not r.method]
    teachers = {(r.teacher, *r.differs): r for r in rows}

    def teacher_of(row: Row) -> Row:
        return teachers[row.teacher, *([identity[row.runs[0][1]]] if len(rows) > 1 else [])]

    students = [Candidate(r, r.speed.get(hardware), teacher_of(r)) for r in board.rows if r.method]
    return [Candidate(r, r.speed.get(hardware), r) for r in rows], students


def misses(candidate: Candidate, limits: Limits) -> list[Miss]:
    """The limits that a row does not keep; a value that is not known keeps none."""
    found = []
    latency, retention = candidate.latency_ms, candidate.retention
    if (limit := limits.max_latency_ms) is not None and (latency is None or latency > limit):
        reason = "latency not measured on this hardware"
        if latency is not None:
            reason = f"latency {latency:.4g} ms is {latency - limit:.2g} ms above {limit:g} ms"
        found.append(Miss("max_latency_ms", latency, None if latency is None else latency - limit, reason))
    if (most := limits.max_params) is not None and (size := candidate.parameters) > most:
        reason = f"{size:,} parameters are {size - most:,} above {most:,}"
        found.append(Miss("max_params", size, size - most, reason))
    if (least := limits.min_retention) is not None and (retention is None or retention.value < least):
        found.append(_retention_miss(retention, least))
    return found


def _retention_miss(retention: Score | None, least: float) -> Miss:
    if retention is None:
        return Miss("min_retention", None, None, "retention not known, as the teacher has no score above 0")
    by = least - retention.value
    reason = f"retention {_spread(retention)} is {by:.2g} below {least:g}"
    if retention.high >= least:
        reason += ", though its interval reaches it"
    return Miss("min_retention", retention.value, by, reason)


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
        found.append("latency not measured on this hardware")
    if candidate.row.few_seeds:
        found.append(f"fewer than {leaderboard.ENOUGH_SEEDS} seeds")
    return found


def pareto(found: Iterable[Candidate]) -> list[Candidate]:
    """Rows that no other row beats: as good in score, latency and parameters, and better in one of them.

    Equal rows do not beat each other. A row without a score or a latency cannot be placed, and is left out.
    """
    placed = [c for c in found if c.row.score and c.latency_ms is not None]
    front = [c for c in placed if not any(_beats(other, c) for other in placed)]
    return sorted(front, key=lambda c: -c.score.value)


def _beats(one: Candidate, other: Candidate) -> bool:
    a, b = _place(one), _place(other)
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


def _place(candidate: Candidate) -> tuple[float, float, int]:
    """Less is better in each."""
    return -candidate.score.value, candidate.latency_ms or 0.0, candidate.parameters


def _told(candidate: Candidate, limits: Limits) -> dict[str, Any]:
    row, speed = candidate.row, candidate.speed
    return {
        "name": row.name, "role": "student" if row.method else "teacher",
        "method": row.method, "student": row.student, "teacher": row.teacher, "differs": list(row.differs),
        "score": _interval(row.score), "retention": _interval(candidate.retention) if row.method else None,
        "latency_ms": candidate.latency_ms, "noisy": speed.noisy if speed else None,
        "parameters": candidate.parameters, "speedup": _interval(speed.speedup) if speed else None,
        "seeds": [seed for seed, _ in row.runs], "runs": [run_id for _, run_id in row.runs],
        "notes": notes(candidate, limits),
    }  # fmt: skip


def _interval(score: Score | None) -> dict[str, Any] | None:
    return {"value": score.value, "ci95": [score.low, score.high]} if score else None


def _given_up(candidate: Candidate, best: Candidate) -> dict[str, Any]:
    """Against its teacher, and against the best student without limits. Speed against the teacher is the measured
    speed-up; against another student, which was timed at another time, the ratio of their latencies."""
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


def _export(row: Row, found: Iterable[Record]) -> dict[str, Any]:
    """The run of a row with the highest dev score: which seed to use is a choice, and choices are made on dev."""
    runs = {run_id: seed for seed, run_id in row.runs}
    first = max((r for r in found if r.run_id in runs), key=lambda r: (r.metrics.dev, -runs[r.run_id]))
    return {
        "run_id": first.run_id, "seed": runs[first.run_id], "dev": first.metrics.dev, "name": row.name,
        "command": f"bench export {first.run_id} --format hf --out DIR",
    }  # fmt: skip


def nearest_miss(answer: dict[str, Any]) -> str:
    """Why nothing is recommended, by the row whose worst miss is the smallest part of its limit."""

    def worst(row: dict[str, Any]) -> float:
        return max(math.inf if m["by"] is None else m["by"] / answer["limits"][m["limit"]] for m in row["misses"])

    nearest = min(answer["rejected"], key=lambda r: (worst(r), -r["score"]["value"]))
    reasons = " and ".join(m["reason"] for m in nearest["misses"])
    task, track = answer["task"], answer["track"]
    return f"no student of {task} on {track} keeps these limits; the nearest is {nearest['name']}: {reasons}"
