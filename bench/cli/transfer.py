"""The command that runs a transfer matrix."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from bench.base.console import Console
from bench.cli.options import DataDir, Device, Json, Results, Settings, Track, parse_seeds, show
from bench.errors import BenchError, RequestError

app = typer.Typer()


@app.command(
    epilog="Examples:  bench transfer --sources glue/sst2,glue/mrpc --targets superglue/rte --student prompt "
    "--track lite --data-dir data --seeds 0,1,2    "
    "bench transfer --sources panda --targets panda --student prompt --track lite --data-dir data --dry-run"
)
def transfer(
    sources: Annotated[str, typer.Option(help="Tasks, comma-separated; a method's name: those of its paper.")],
    targets: Annotated[str, typer.Option(help="Likewise.")],
    student: Annotated[str, typer.Option(help="family:size of sources and targets alike.")],
    method: Annotated[
        list[str] | None, typer.Option(help="A method that transfers; may be repeated. Default: all of them.")
    ] = None,
    teacher: Annotated[str, typer.Option(help="As of bench run.")] = "",
    track: Track = "mini",
    seeds: Annotated[str, typer.Option(help="Comma-separated; a row on the board wants three.")] = "0",
    data_dir: DataDir = None,
    results: Results = Path("results"),
    device: Device = "auto",
    settings: Settings = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would run; run nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Run a transfer matrix: from each source task to each target, beside the targets without transfer."""
    from bench.runs import transfer as matrix
    from bench.runs.spec import Request
    from bench.runs.sweep import describe, failure, run_all

    console = Console()
    request = Request([], method or [], [student], teacher, track, parse_seeds(seeds), data_dir, settings or [])
    specs = matrix.plan(request, named(sources, "sources"), named(targets, "targets"), console)
    if dry_run:
        planned = [describe(s, "planned") | {"source": matrix.source_of(s)} for s in specs]
        lines = [f"{s.run_id}  {s.label}" + f"  from {matrix.source_of(s)}" * bool(matrix.source_of(s)) for s in specs]
        print(json.dumps({"runs": planned}, indent=1) if as_json else "\n".join(lines))
        return
    outcomes, status = run_all(specs, results, device, console)
    show({"cells": matrix.cells(specs, outcomes), "runs": outcomes}, as_json, "transfer")
    if status:
        kind = RequestError if status == RequestError.exit_status else BenchError
        raise kind(failure(outcomes))


def named(text: str, option: str) -> list[str]:
    """RequestError: none, or an empty one."""
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise RequestError(f"--{option} '{text}': give tasks separated by commas, as in glue/sst2,glue/mrpc")
    return names
