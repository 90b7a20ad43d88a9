"""The first page's answers: of each board the student to use and what it costs, and how methods change students."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.base.groups import grouped
from bench.board import evidence
from bench.board.speed import Hardware
from bench.plugins import registry
from bench.web import overall
from bench.web.charts import on
from bench.web.facts import by_track
from bench.web.formats import upright

Board = Mapping[str, Any]
Row = Mapping[str, Any]
ORDER = (
    f"A row stands for a better one where the evidence is {evidence.OPEN} and it keeps 99% of the score. Of "
    "rows that stand for each other the faster comes first, and of one network the one that was better on dev."
)
NEAR = 0.9  # of the teacher's score: below it a student is named as the best there is, and not for use


def named(board: Board) -> str:
    """What a board's task is for, in words: as the task declares it, or the title of its data with the data set."""
    family, _, dataset = str(board["task"]).partition("/")
    plugin = registry.found("task").get(family)
    purposes = plugin.declares.get("purposes", {}) if plugin else {}
    title = str(board["data"]["title"])
    known = "".join(filter(str.isalnum, title.lower()))
    plain = title if "".join(filter(str.isalnum, dataset.lower())) in known else f"{title}: {dataset}"
    return str(purposes.get(dataset, plain))


def cannot_tell(board: Board) -> str:
    """Why a board cannot tell its students apart, in a sentence; empty: nothing speaks against it."""
    return str(board["weakness"])


def answer(board: Board) -> dict[str, Any] | None:
    """The row to use, its teacher, and how many others are open against the best; None: no row has a score.

    The row is what `bench recommend` names without limits, and the best where none is to be used: on a board that
    cannot tell students apart, and where the best is far from its teacher.
    """
    pick = overall.pick(board)
    best = pick["best"]
    if best is None:
        return None
    near = best["retention"] is None or best["retention"] >= NEAR
    row = within(board).get("any") if near and not cannot_tell(board) else best
    row = row or best
    teachers = [t for t in board["rows"] if not t["method"] and t["teacher"] == row["teacher"]]
    return {
        "row": row, "teacher": teachers[0] if teachers else None, "best": row["best"],
        "top": best, "why": why(row, best),
        "others": max(0, pick["tied"] - 1) if pick["tied"] else None,
        "timing": row["timings"][0] if row["timings"] else None, "weakness": cannot_tell(board), "near": near,
    }  # fmt: skip


def why(row: Row, best: Row) -> str:
    """What speaks for a row that can stand for the best one."""
    times = [overall.latency(one) for one in (row, best)]
    if None in times or times[0] == times[1]:
        return "was better on dev" if row["parameters"] == best["parameters"] else "is smaller"
    return "is faster"


def sections(boards: Sequence[Board]) -> list[dict[str, Any]]:
    """Boards by track: those that tell students apart before the others, each by its name in words."""
    order = {track: sorted(own, key=place) for track, own in by_track(boards).items()}
    return [{"track": track, "boards": own, "map": differences(own)} for track, own in order.items()]


def place(board: Board) -> tuple[bool, bool, str]:
    """Of a board on the first page: first those with a student that can be used."""
    found = answer(board)
    return bool(cannot_tell(board)), not (found and found["near"]), named(board)


def differences(boards: Sequence[Board]) -> list[dict[str, Any]]:
    """Of each method its rows on each board; a row has its difference to finetune with the same student in it."""
    rows = [row for board in boards for row in board["rows"] if row["method"] and row["method"] != "finetune"]
    found = []
    for method, own in sorted(grouped(rows, lambda row: str(row["method"])).items()):
        cells = grouped(sorted(own, key=lambda row: (row["student"], row["settings"])), lambda row: str(row["board"]))
        told = [row["against"]["finetune"] for row in own if row["against"].get("finetune")]
        counts = evidence.counted(told)
        found.append({"method": method, "family": own[0]["family"], "cells": cells, "counts": counts})
    return sorted(found, key=lambda m: (balance(m["counts"]), m["method"]))


def balance(counts: Mapping[str, int]) -> tuple[int, int]:
    """Of rows on each side of a baseline: clear ones below less those above, and likely ones; least where most rows
    are better."""
    clear, likely = (counts[f"{word} below"] - counts[f"{word} above"] for word in (evidence.CLEAR, evidence.LIKELY))
    return clear, likely


def within(board: Board) -> dict[str, Row | None]:
    """{limit: the row that `bench recommend` names at it}"""
    rows = {row["key"]: row for row in board["rows"]}
    return {found["limit"]: rows.get(found["key"]) for found in board["within"]}


def candidates(board: Board) -> dict[str, Any]:
    """What the first page's form reads of a board: its rows by score, and what limits are checked against."""
    names = ("key", "name", "method", "student", "score", "score_low", "score_high", "retention", "parameters",
             "disk_bytes", "provisional", "behind", "network", "dev", "marks")  # fmt: skip
    rows = []
    for row in board["rows"]:
        timings = [on(row, clock) for clock in board["hardware"]]
        speed = [t and {name: t[name] for name in ("latency_ms", "speedup", "noisy")} for t in timings]
        rows.append({name: upright(row[name]) for name in names} | {"speed": speed})
    hardware = [upright(Hardware(**c).machine) for c in board["hardware"]]
    return {"slug": board["slug"], "metric": board["metric"], "hardware": hardware, "order": ORDER, "rows": rows}
