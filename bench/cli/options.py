"""What commands share: options that mean the same everywhere, and how an answer is shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

Tasks = Annotated[list[str], typer.Option("--task", help="Task or family; may be repeated.")]
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
