"""How `bench run` and `bench sweep` end: the rows that there are now, beside their baselines, and what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.base.groups import grouped
from bench.cli.options import show
from bench.errors import BenchError

if TYPE_CHECKING:
    from bench.runs.grid import Cell
    from bench.runs.spec import Request


def show_rows(cells: Sequence[Cell], outcomes: Sequence[Mapping[str, Any]], results: Path) -> None:
    """The rows of the runs that have a record, and what to do next. A broken record beside them is no failure."""
    from bench.board import ending

    ready = (o for o in outcomes if o["record"])
    done = grouped(ready, lambda o: (Path(o["record"]).relative_to(results).parts[0], str(o["task"])))
    rows = []
    try:
        for (track, task), own in done.items():
            rows += ending.rows(results, track, task, [o["run_id"] for o in own])
    except BenchError as error:
        print(f"not compared: {error}")
        return
    if rows:
        show({"rows": rows, "next": next_steps(rows, [cell.request for cell in cells], results)}, False, "ending")


def next_steps(rows: Sequence[Mapping[str, Any]], requests: Sequence[Request], results: Path) -> list[str]:
    """What would make the rows mean more, the most needed first."""
    few, steps = any(row["few"] for row in rows), list[str]()
    lacking = list(dict.fromkeys(method for row in rows for method in row["lacks"]))
    if lacking and len(requests) == 1:
        steps.append(baselines(requests[0], lacking, few))
    if few:
        steps.append("the same command with --seeds 0,1,2: a row of fewer seeds is provisional")
    where = "" if results == Path("results") else f" --results {shlex.quote(str(results))}"
    return [*steps, f"bench site build{where}"]


def baselines(request: Request, methods: Sequence[str], few: bool) -> str:
    """The command of the baselines, with the settings of track and student that the runs have."""
    words = ["bench", "run", *option("task", request.tasks), *option("method", methods)]
    words += option("student", request.students) + option("teacher", [request.teacher] if request.teacher else [])
    words += option("track", [request.track] if request.track != "mini" else [])
    words += option("data-dir", [str(request.data_dir)] if request.data_dir else [])
    words += option("set", [setting for setting in request.settings if of_any_method(setting, request)])
    return shlex.join([*words, "--seeds", "0,1,2" if few else ",".join(map(str, request.seeds))])


def of_any_method(setting: str, request: Request) -> bool:
    """Whether a `KEY=VALUE` is of the track or of a student."""
    from bench.task import Track

    owner, dot, _ = setting.partition("=")[0].partition(".")
    families = {Path(student.partition(":")[0]).stem for student in request.students}
    return owner in {"track", *families} if dot else owner in {field.name for field in fields(Track)}


def option(name: str, values: Sequence[str]) -> list[str]:
    return [word for value in values for word in (f"--{name}", value)]
