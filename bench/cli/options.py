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
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document, nothing else, on standard output.")]


def show(answer: dict[str, Any], as_json: bool, view: str) -> None:
    """The answer as one JSON document, or as the lines and tables that the function `view` of `tables` makes of it."""
    if as_json:
        print(json.dumps(answer, indent=1))
    else:
        from bench.cli import tables

        tables.show(getattr(tables, view)(answer))
