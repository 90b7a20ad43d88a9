"""What commands share: options that mean the same everywhere, and how an answer is shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.cli import names
from bench.errors import RequestError


def folder(text: str | Path) -> Path:
    """The folder of an option. RequestError: no name, which would be the folder that one is in."""
    if not str(text).strip():
        raise RequestError("a folder without a name was given: write . for the one that you are in")
    return Path(text)


TASK = typer.Option(
    "--task",
    help="Task or family, its file, or a table (./data.csv, hf:owner/name); may be repeated.",
    autocompletion=names.tasks,
)
Tasks = Annotated[list[str], TASK]
OptionalTasks = Annotated[list[str] | None, TASK]
Track = Annotated[
    str, typer.Option(help="mini: packaged data; lite, full: official data.", autocompletion=names.tracks)
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        help="Official data on disk (lite, full). Default: where the record says, or the Hub.",
        parser=folder,
        metavar="PATH",
    ),
]
Files = Annotated[
    list[Path] | None,
    typer.Option("--file", help="A plug-in file that the record may name; no other is run. May be repeated."),
]
Results = Annotated[Path, typer.Option("--results", help="Folder of records.", parser=folder, metavar="PATH")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
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


def show(answer: Mapping[str, Any], as_json: bool, view: str | Callable[[Any], Any]) -> None:
    """The answer as one JSON document, or as the lines and tables that `view` makes of it: a function, or the name of
    one of `tables`."""
    if as_json:
        print(json.dumps(answer, indent=1))
    else:
        from bench.cli import tables

        tables.show((getattr(tables, view) if isinstance(view, str) else view)(answer))


def parse_seeds(text: str) -> list[int]:
    """`0,1,2` -> numbers. RequestError: something else, a negative one, or one given twice."""
    try:
        seeds = [int(s.encode("ascii")) for s in text.split(",")]  # no digits of other scripts
    except ValueError:
        raise RequestError(f"--seeds '{text}': give whole numbers separated by commas, as in 0,1,2") from None
    if min(seeds) < 0 or max(seeds) >= 2**32 or len(set(seeds)) < len(seeds):
        raise RequestError(f"--seeds {text}: seeds are different numbers from 0 to {2**32 - 1}")
    return seeds
