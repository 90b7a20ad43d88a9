"""How `bench results` shows its answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bench.cli.tables import Shown, table


def listed(answer: Mapping[str, Any]) -> Shown:
    runs = answer["runs"]
    yield run_table(runs)
    yield f"{len(runs)} runs, {size(runs)} in {answer['results']}"
    if unsound := [run for run in runs if run["state"] != "whole"]:
        yield f"{len(unsound)} of them left by a command that was killed, or broken: bench results rm RUN"


def run_table(runs: Iterable[Mapping[str, Any]]) -> Any:
    columns = ("run", "task", "track", "method", "student", "seed", "score", "finished")
    found = table("", columns, (
        (r["run_id"], r["task"], r["track"], r["method"], r["student"], r["seed"],
         r["state"] if r["score"] is None else f"{100 * r['score']:.2f}", (r["finished"] or "")[:10])
        for r in runs
    ))  # fmt: skip
    for column in (found.columns[0], *found.columns[5:]):
        column.no_wrap = True
    return found


def moved(answer: Mapping[str, Any]) -> Shown:
    yield from done("would move" if answer["dry_run"] else "moved", answer, f" to {answer['to']}")


def removed(answer: Mapping[str, Any]) -> Shown:
    yield from done("would remove" if answer["dry_run"] else "removed", answer, "")


def done(what: str, answer: Mapping[str, Any], where: str) -> Shown:
    yield run_table(answer["runs"])
    yield f"{what} {len(answer['runs'])} runs, {size(answer['runs'])}{where}"


def size(runs: Iterable[Mapping[str, Any]]) -> str:
    return f"{sum(run['bytes'] for run in runs) / 1e6:.1f} MB"
