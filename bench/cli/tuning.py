"""The command that searches settings on dev, for every method as long."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bench.base.console import Console
from bench.cli.ending import option
from bench.cli.options import DataDir, Device, DryRun, Json, Results, Settings, Track

if TYPE_CHECKING:
    from bench.records.tuning import Tuning
    from bench.runs.spec import Request
    from bench.runs.tune import Study

app = typer.Typer()


@app.command(
    epilog="Examples:  bench tune --task sts --method kd --method disco --trials 10    "
    "bench tune --task text/trec --method kd --student bert:3 --track lite --data-dir data --trials 20 "
    "--search lr=1e-5:1e-3:log --search kd.alpha=0.5:1"
)
def tune(
    task: Annotated[str, typer.Option(help="One data set.")],
    method: Annotated[list[str], typer.Option(help="Method by name or path (./mine.py); may be repeated.")],
    trials: Annotated[int, typer.Option(min=2, help="Of every method; the first is its own settings.")],
    student: Annotated[str, typer.Option(help="family:size. Default: the task's.")] = "",
    search: Annotated[
        list[str] | None,
        typer.Option(help="KEY=LOW:HIGH[:log] of a method's setting. Default: its rate, and what it declares."),
    ] = None,
    teacher: Annotated[str, typer.Option(help="As of bench run.")] = "",
    track: Track = "mini",
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the trials and of what is drawn.")] = 0,
    data_dir: DataDir = None,
    results: Results = Path("results"),
    device: Device = "auto",
    settings: Settings = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Search settings on dev with optuna: as many trials for every method. Test is not read, and no row is left."""
    from bench.cli import tables
    from bench.records import tuning
    from bench.runs import tune as searching
    from bench.runs.spec import Request

    students = [student] if student else []
    request = Request([task], method, students, teacher, track, [seed], data_dir, settings or [])
    if dry_run:
        found = [planned(study, trials) for study in searching.plan(request, search or [])]
    else:
        studies = searching.tune(request, search or [], trials, results, device, Console())
        found = [told(path, tuning.read(path), study.request) for study, path in studies]
    if as_json:
        print(json.dumps({"methods": found}, indent=1))
    else:
        tables.show(lines(found, dry_run))


def planned(study: Study, trials: int) -> dict[str, Any]:
    """What a dry run says of a method."""
    track = study.first.track
    return {
        "method": study.first.method.name, "trials": trials, "updates": trials * track.updates,
        "space": {name: range_.model_dump() for name, range_ in study.space.items()},
    }  # fmt: skip


def told(path: Path, tuning: Tuning, request: Request) -> dict[str, Any]:
    """What the trials of a method found, and what they cost."""
    return {
        "method": tuning.asked["method"], "trials": len(tuning.trials),
        "failed": sum(trial.dev is None for trial in tuning.trials), "metric": tuning.metric,
        "own": tuning.trials[0].dev, "best": tuning.best.dev, "settings": tuning.best.settings,
        "updates": tuning.updates, "seconds": round(tuning.seconds, 3), "file": str(path),
        "command": shlex.join(command(tuning, request)),
    }  # fmt: skip


def command(tuning: Tuning, request: Request) -> list[str]:
    """The `bench run` of the settings that were best."""
    words = ["bench", "run", *option("task", request.tasks), *option("method", request.methods)]
    words += option("student", request.students) + option("teacher", [request.teacher] if request.teacher else [])
    words += option("track", [request.track] if request.track != "mini" else [])
    words += option("data-dir", [str(request.data_dir)] if request.data_dir else [])
    best = [f"{tuning.asked['method']}.{key}={value}" for key, value in tuning.best.settings.items()]
    return [*words, *option("set", [*request.settings, *best]), "--seeds", "0,1,2"]


def lines(found: list[dict[str, Any]], dry_run: bool) -> Iterator[Any]:
    """As tables and commands."""
    from rich.text import Text

    from bench.cli.tables import table

    if dry_run:
        rows = [
            [one["method"], one["trials"], one["updates"], name, f"{r['low']:g} to {r['high']:g}", "log" * r["log"]]
            for one in found
            for name, r in one["space"].items()
        ]
        yield table("", ("method", "trials", "updates", "setting", "range", "scale"), rows)
        return
    columns = ("method", "trials", "failed", f"{found[0]['metric']} on dev", "its own settings", "updates", "seconds")
    rows = [
        [one["method"], one["trials"], one["failed"], f"{100 * one['best']:.2f}", f"{100 * one['own']:.2f}",
         one["updates"], f"{one['seconds']:.1f}"]
        for one in found
    ]  # fmt: skip
    yield table("", columns, rows)
    for one in found:
        yield Text(one["command"], no_wrap=True)
