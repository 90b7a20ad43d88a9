"""Commands for authors of methods, tasks, students and kinds: a file to begin with, and whether a file works."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from bench.base.console import printable
from bench.cli.options import DataDir, Json, Settings, Track

app = typer.Typer()


@app.command(epilog="Examples:  bench new method mine    bench new student trigrams --out work")
def new(
    what: Annotated[str, typer.Argument(help="method, task, student or kind.")],
    name: Annotated[str, typer.Argument(help="What it is called: the file is NAME.py.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the files.")] = Path(),
) -> None:
    """Write a small file that runs, and a test beside it, to begin from."""
    from bench.cli.scaffold import write

    paths = write(what, name, out)
    print(*paths, sep="\n")
    print(f"next: bench test {paths[0]}")


@app.command(
    epilog="Examples:  bench test ./mine.py    bench test ./mine.py --task sts --student bert:1    "
    "bench test ./mytask.py --json"
)
def test(
    file: Annotated[str, typer.Argument(help="The file of a method, task, student or kind.")],
    task: Annotated[str, typer.Option(help="In the place of a toy: a task, its file, or data (./data.csv).")] = "",
    student: Annotated[str, typer.Option(help="In the place of the toy's.")] = "",
    teacher: Annotated[str, typer.Option(help="In the place of the toy's.")] = "",
    track: Track = "mini",
    data_dir: DataDir = None,
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Check in a few updates that a file keeps its contract: shapes, gradients, seeds, checkpoints. Keeps nothing."""
    from bench.runs import contract
    from bench.runs.spec import Request

    given = Request(
        [task] if task else [], [], [student] if student else [], teacher, track, data_dir=data_dir,
        settings=settings or [],
    )  # fmt: skip
    kind, checks = contract.examine(file, given)
    bad = contract.wrong(checks)
    if as_json:
        print(json.dumps({"file": file, "kind": kind, "ok": not bad, "checks": [vars(c) for c in checks]}, indent=1))
    else:
        for c in checks:
            print(printable(f"FAIL  {c.what}: {c.why}" if c.why else f"ok    {c.what}" + f" ({c.seen})" * bool(c.seen)))
    sys.exit(1 if bad else 0)
