"""A board as flat facts that JSON holds: what pages, plots, downloads and scripts all read. Units are in the names.

Scores are shares (0.93), not percent. None is a value that is unknown or does not apply; nothing is estimated.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.base.groups import grouped
from bench.board import axes, leaderboard, learned, suites
from bench.board.limits import Limits
from bench.board.recommend import candidates, misses, placed
from bench.board.speed import Hardware, Speed
from bench.board.transfers import transferred
from bench.board.verdicts import Verdicts, judge, standing
from bench.plugins import registry
from bench.records.schemas import Record
from bench.records.specs import checked_spec
from bench.web import training, use

SCHEMA = 2  # of the files under api/: raised when a field changes its meaning or goes
LIMITS = ("any", *(f"{what}/{part}" for what in ("latency", "parameters") for part in (2, 5, 10)))
TRACKS = ("full", "lite", "mini")
INNER = frozenset({"hidden", "attention_scores", "maps", "queries", "keys", "values"})
PARTS = (2, 5, 10)  # of a teacher's time and parameters, for which a row is named without a script
FAMILIES = {"inner layers": INNER, "embeddings": frozenset({"embedding"}), "outputs": frozenset({"logits", "output"})}


def boards(known: Collection[Record], results: Path) -> list[tuple[dict[str, Any], list[Any]]]:
    """Each board's facts, and the comparison of all its pairs of rows.

    RequestError: records that cannot stand beside each other.
    """
    judged = [judge(board, known, results) for board in leaderboard.rows(known)]
    records = {record.run_id: record for record in known}
    return [(facts(verdicts, records), list(verdicts.pairs())) for verdicts in judged]


def facts(verdicts: Verdicts, records: Mapping[str, Record]) -> dict[str, Any]:
    """One board: what it is, its rows, and what it says of each method. `records`: by the ids of runs.

    `trivial`: the score of the best answer that reads no input; `weakness`: why the board cannot tell students apart,
    in a sentence, or empty; `blind_students`: those that learned nothing without a teacher; `sees`: the smallest
    difference that the board would call one, and the seeds that would halve it; `grids`: what bench/board/axes.py
    makes of rows that differ in single choices; `suites`: its columns of suites.
    """
    board = verdicts.board
    rows = [row_facts(verdicts, place, records) for place in range(len(board.rows))]
    return {
        "slug": board.slug, "task": board.task, "track": board.track, "metric": board.metric, "dataset": board.dataset,
        "version": board.version, "identity": board.identity, "data": board.data.model_dump(),
        "hardware": [asdict(h) for h in board.hardware],
        "rows": rows, "finished": max(row["finished"] for row in rows), "within": within(verdicts, records.values()),
        "missing": [asdict(missing) for missing in board.missing],
        "by_path": by_path(board, records), "standing": standing(verdicts), "no_comparison": verdicts.why,
        "trivial": verdicts.trivial,
        "weakness": learned.weakness(verdicts), "blind_students": learned.blind(verdicts),
        "sees": asdict(verdicts.power) if verdicts.power else None, "grids": axes.grids(verdicts, records),
        "suites": suites.of_board(verdicts, records),
    }  # fmt: skip


def by_path(board: leaderboard.Board, records: Mapping[str, Record]) -> dict[str, Any]:
    """What files of the users' say of themselves, by kind and name; of several versions the last that was run."""
    own = sorted((records[i] for row in board.rows for _, i in row.runs), key=lambda r: r.provenance.finished)
    found: dict[str, Any] = {"method": {}, "student": {}}
    for record in own:
        for kind in found.keys() & record.by_path.keys():
            name = getattr(checked_spec(record), kind).partition(":")[0]
            found[kind][name] = record.by_path[kind].model_dump()  # type: ignore[index]
    return found


def row_facts(verdicts: Verdicts, place: int, records: Mapping[str, Record]) -> dict[str, Any]:
    """One row, with what the comparison says of it; `against`: its differences to the baselines of its student;
    `marks`: what has to be known before its score is read, in words."""
    board, row = verdicts.board, verdicts.board.rows[place]
    low, high, covers = verdicts.interval(place) or (None, None, None)
    networks = list(dict.fromkeys(other.shapes for other in board.rows))
    ranks = verdicts.ranks.get(place, (None, None))
    return {
        "board": board.slug, "key": row.key, "task": board.task, "track": board.track, "metric": board.metric,
        "name": row.name, "method": row.method, "family": "reference" if row.reference else family(row.method),
        "student": row.student, "teacher": row.teacher, "reference": row.reference,
        "settings": ", ".join(row.differs), "seeds": len(row.runs),
        "provisional": row.few_seeds, "score": row.score.value if row.score else None,
        "score_low": low, "score_high": high, "interval": covers,
        "retention": row.retention, "retention_above_trivial": learned.retention_above_trivial(verdicts, place),
        "not_learned": bool(learned.not_learned(verdicts, place)), "older": row.older,
        "kept_start": bool(row.kept_start),
        "marks": list(learned.marks(verdicts, place)), "rank_low": ranks[0], "rank_high": ranks[1],
        "best": place in verdicts.best, "best_or_tied": verdicts.ties_with_best(place) if row.method else None,
        "behind": behind(verdicts, place), "network": networks.index(row.shapes), "dev": row.dev,
        "parameters": int(row.parameters.high), "parameters_low": int(row.parameters.low),
        "active": int(row.active.high), "active_low": int(row.active.low),
        "disk_bytes": int(row.disk_bytes.high), "disk_bytes_low": int(row.disk_bytes.low),
        "index_bytes": row.index_bytes, "flops": row.flops,
        "updates": row.updates, "teacher_forwards": row.teacher_forwards,
        "timings": [timing(hardware, speed) for hardware, speed in sorted(row.speed.items())],
        "against": against(verdicts, place) if row.method else {},
        "runs": [
            {"seed": seed, "run_id": run_id, "kept_start": seed in row.kept_start,
             "one_answer": run_id in verdicts.one_answer}
            for seed, run_id in row.runs
        ],
        "export": use.exported(row, records), **training.trained(row, board, records),
        **transferred(verdicts, place, records),
    }  # fmt: skip


def behind(verdicts: Verdicts, place: int) -> list[int]:
    """The rows of methods in whose place a method's row cannot be offered, by their places on the board."""
    rows = verdicts.board.rows
    return [i for i, r in enumerate(rows) if rows[place].method and r.method and not verdicts.as_good(place, i)]


def against(verdicts: Verdicts, place: int) -> dict[str, dict[str, Any] | None]:
    """A row's differences to the baselines of its student, which are named as rows are."""
    found = verdicts.against(place)
    return {method: d and {"key": verdicts.board.rows[d["row"]].key} | without(d, "row") for method, d in found.items()}


def without(found: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in found.items() if name not in names}


def timing(hardware: Hardware, speed: Speed) -> dict[str, Any]:
    """How fast a row's network is on one hardware, over `sessions` of the clock; noisy: none of them was quiet."""
    ratio = speed.speedup
    return asdict(hardware) | {
        "latency_ms": speed.latency_ms, "search_ms": speed.search_ms, "offline_per_s": speed.offline_per_s,
        "speedup": ratio.value if ratio else None, "speedup_low": ratio.low if ratio else None,
        "speedup_high": ratio.high if ratio else None, "distil_seconds": speed.seconds,
        "sessions": speed.sessions, "noisy": speed.noisy,
    }  # fmt: skip


def family(method: str) -> str:
    """What a method matches in its teacher, by what its file declares; empty for a teacher's row."""
    plugin = registry.found("method").get(method)
    if plugin is None:
        return "not installed" if method else ""
    needs = set(plugin.declares.get("needs", ()))
    return next((name for name, signals in FAMILIES.items() if needs & signals), "inner layers" if needs else "labels")


def within(verdicts: Verdicts, known: Iterable[Record]) -> list[dict[str, Any]]:
    """The row that `bench recommend` names at each of a few limits, as parts of what the teacher needs; None: no row.

    Times are those of the board's first hardware.
    """
    board = verdicts.board
    teachers, students = candidates(board, verdicts, next(iter(board.hardware), None), known)
    latency, parameters = teachers[0].latency_ms, teachers[0].parameters
    limits = {"any": Limits()}
    limits |= {f"latency/{part}": Limits(max_latency_ms=latency / part) for part in PARTS if latency}
    limits |= {f"parameters/{part}": Limits(max_params=parameters // part) for part in PARTS}
    kept = {name: [c for c in students if not any(misses(c, own))] for name, own in limits.items()}
    first = {name: placed(own, verdicts)[0][1].row.key if own else None for name, own in kept.items()}
    return [{"limit": name, **asdict(limits[name]), "key": key} for name, key in first.items()]


def by_track(found: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Boards by track, the most official one first."""
    groups = grouped(found, lambda board: str(board["track"]))
    return dict(sorted(groups.items(), key=lambda g: (TRACKS.index(g[0]) if g[0] in TRACKS else len(TRACKS), g[0])))
