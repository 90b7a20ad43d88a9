"""What commands share: options that mean the same everywhere, and how an answer is shown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.errors import RequestError

Tasks = Annotated[
    list[str], typer.Option("--task", help="Task or family, its file, or a table (./data.csv); may be repeated.")
]
Track = Annotated[str, typer.Option(help="mini: packaged data; lite, full: official data.")]
DataDir = Annotated[
    Path | None, typer.Option(help="Official data on disk (lite, full). Default: where the record says, or the Hub.")
]
Files = Annotated[
    list[Path] | None,
    typer.Option("--file", help="A plug-in file that the record may name; no other is run. May be repeated."),
]
Results = Annotated[Path, typer.Option("--results", help="Folder of records.")]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="KEY=VALUE: a method's setting, or track.updates, bert.init ...; may be repeated."),
]
Quota = Annotated[
    str,
    typer.Option(
        envvar="BENCH_STORE_QUOTA",
        help="What teacher signals may take on disk; token-level ones that do not fit are made in every step.",
    ),
]
Engine = Annotated[
    str, typer.Option(help="local: one run after the other; ray: several at once, on the cluster of RAY_ADDRESS.")
]
Jobs = Annotated[
    int | None, typer.Option(min=1, help="Runs at once, --engine ray. Default: one for each GPU, else each CPU.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would run and what is done; run nothing.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, nothing else, on standard output.")]


def show(answer: dict[str, Any], as_json: bool, view: str) -> None:
    """The answer as one JSON document, or as the lines and tables that the function `view` of `tables` makes of it."""
    if as_json:
        print(json.dumps(answer, indent=1))
    else:
        from bench.cli import tables

        tables.show(getattr(tables, view)(answer))


def parse_seeds(text: str) -> list[int]:
    """`0,1,2` -> numbers. RequestError: something else, a negative one, or one given twice."""
    try:
        seeds = [int(s.encode("ascii")) for s in text.split(",")]  # no digits of other scripts
    except ValueError:
        raise RequestError(f"--seeds '{text}': give whole numbers separated by commas, as in 0,1,2") from None
    if min(seeds) < 0 or max(seeds) >= 2**32 or len(set(seeds)) < len(seeds):
        raise RequestError(f"--seeds {text}: seeds are different numbers from 0 to {2**32 - 1}")
    return seeds


def failure(outcomes: Sequence[Mapping[str, Any]]) -> str:
    """What went wrong, in one sentence."""
    failed = [o for o in outcomes if o["status"] == "failed"]
    if len(outcomes) > 1:
        return f"{len(failed)} of {len(outcomes)} runs failed, the first one: {failed[0]['error']}"
    return str(failed[0]["error"]) + (f" (details: {failed[0]['log']})" if "log" in failed[0] else "")
