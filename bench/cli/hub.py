"""The command that puts a student on the Hugging Face Hub."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from bench.base.console import Console
from bench.cli.options import DataDir, Files, Json, Results

app = typer.Typer()


@app.command(
    epilog="Examples:  bench push 3f2a me/small-encoder --dry-run    "
    "bench push 3f2a me/small-encoder --private    "
    "bench push 3f2a me/small-encoder --revision seed-1 --force"
)
def push(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run id, its beginning, or the path of its record.")],
    repository: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="The model repository.")],
    private: Annotated[bool, typer.Option("--private", help="Make a repository that only its owner sees.")] = False,
    revision: Annotated[str, typer.Option(help="Branch to commit to, made where it is not there.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Add a commit to a repository that is there.")] = False,
    results: Results = Path("results"),
    data_dir: DataDir = None,
    files: Files = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be uploaded; ask no network.")] = False,
    as_json: Json = False,
) -> None:
    """Export a finished run's student, with its model card, to the Hugging Face Hub."""
    from bench.export.push import push as upload

    found = upload(run, repository, results, data_dir, Console(), files or (), private, revision, force, dry_run)
    if as_json:
        print(json.dumps(found, indent=1))
        return
    for file in found["files"]:
        print(f"{file['bytes']:>12,}  {file['path']}")
    where = f"{found['repository']}, {found['revision']}"
    told = f"would go to {where}" if dry_run else f"are at {where}, commit {found['commit']}"
    print(f"{found['bytes']:>12,}  bytes in {len(found['files'])} files {told}")
