"""Commands about the site: build it, look at it, and see what new results change on it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from bench.cli.options import Files, Json, Results

app = typer.Typer(help="Turn records into a static leaderboard.", no_args_is_help=True, rich_markup_mode=None)
Out = Annotated[Path, typer.Option("--out", help="Folder of the site.")]


@app.command(epilog="Example:  bench site build --results results --out _site")
def build(
    results: Results = Path("results"),
    out: Out = Path("_site"),
    base_url: Annotated[
        str, typer.Option(help="Where the site will stand: for its feed, and a 404 page below folders.")
    ] = "",
    files: Files = None,
    repository: Annotated[str, typer.Option(help="Address of the repository of the records, to link to.")] = "",
) -> None:
    """Write the leaderboard of all records as static pages. Only what changed since the last build is written."""
    from bench.plugins import registry
    from bench.web.build import build as write
    from bench.web.links import Links

    with registry.trusting(files or ()):
        names = write(results, out, Links(base_url, repository))
    print(f"{len(names)} files; open {(out / 'index.html').resolve().as_uri()}")


@app.command(epilog="Examples:  bench site serve    bench site serve --out _site --port 0")
def serve(
    out: Out = Path("_site"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of this machine alone; 0 takes a free one.")] = 8000,
) -> None:
    """Serve a built site on this machine, to look at it as a host will serve it."""
    from bench.web.serve import serve as run

    run(out, port)


@app.command(epilog="Examples:  bench site diff main/results results    bench site diff old new --json")
def diff(
    old: Annotated[Path, typer.Argument(help="Folder of records; one that is not there holds none.")],
    new: Annotated[Path, typer.Argument(help="Folder of records that takes its place.")],
    as_json: Json = False,
) -> None:
    """What changes on the boards, as Markdown: rows that come, go or move, and another best row."""
    from bench.board.changes import as_markdown, changes

    found = changes(old, new)
    if as_json:
        print(json.dumps({"boards": [asdict(board) for board in found]}, indent=1))
    else:
        print(as_markdown(found), end="")
