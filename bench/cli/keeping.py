"""Commands about the runs of a folder of results: what is there, one of them, and moving and removing them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bench.cli import names
from bench.cli.options import DryRun, Json, Results, parse_seeds, show
from bench.errors import RequestError

app = typer.Typer(help="The runs of a folder of results.", no_args_is_help=True, rich_markup_mode=None)

Runs = Annotated[list[str] | None, typer.Argument(metavar="[RUN]...", help="Run ids, or their beginnings.")]
Task = Annotated[str, typer.Option(help="Task or family.", autocompletion=names.tasks)]
Method = Annotated[str, typer.Option(help="Method.", autocompletion=names.methods)]
Student = Annotated[str, typer.Option(help="Student, or a family of them.", autocompletion=names.students)]
Track = Annotated[str, typer.Option(help="Track.", autocompletion=names.tracks)]
Seeds = Annotated[str, typer.Option("--seeds", "--seed", help="Comma-separated.")]
All = Annotated[bool, typer.Option("--all", help="Everything.")]
Force = Annotated[bool, typer.Option("--force", help="Even where a record that stays wants one of these.")]


@app.command("ls", epilog="Examples:  bench results ls --task glue --method kd    bench results ls --seed 0 --json")
def ls(
    runs: Runs = None, task: Task = "", method: Method = "", student: Student = "", track: Track = "",
    seeds: Seeds = "", results: Results = Path("results"), as_json: Json = False,
) -> None:  # fmt: skip
    """The runs that are there, by path, with the size of their files."""
    from bench.cli import keeping_tables as views
    from bench.records import housekeeping

    wanted = housekeeping.Wanted(runs or (), task, method, student, track, parse_seeds(seeds) if seeds else ())
    own = housekeeping.chosen(housekeeping.runs(results), wanted)
    show({"results": str(results), "runs": [told(kept) for kept in own]}, as_json, views.listed)


@app.command(
    "mv",
    epilog="Examples:  bench results mv 687b64 --to other    bench results mv --task glue --seed 0 --to old --dry-run",
)
def mv(
    to: Annotated[Path, typer.Option("--to", help="Folder of results that they move to.")],
    runs: Runs = None, task: Task = "", method: Method = "", student: Student = "", track: Track = "",
    seeds: Seeds = "", everything: All = False, force: Force = False, results: Results = Path("results"),
    dry_run: DryRun = False, as_json: Json = False,
) -> None:  # fmt: skip
    """Move runs with all their files, and copies of their teachers' records. Killed, the same command goes on."""
    from bench.cli import keeping_tables as views
    from bench.records import housekeeping

    if to.resolve() == results.resolve():
        raise RequestError(f"--to {to} is the folder that they are in: name another")
    wanted = housekeeping.Wanted(runs or (), task, method, student, track, parse_seeds(seeds) if seeds else ())
    own = going(results, wanted, everything, force)
    found = [told(kept) for kept in own]
    if not dry_run:
        for kept in own:
            housekeeping.move(kept, to)
    show({"to": str(to), "dry_run": dry_run, "runs": found}, as_json, views.moved)


@app.command(
    "rm", epilog="Examples:  bench results rm 687b64    bench results rm --task glue/rte --method kd --dry-run"
)
def rm(
    runs: Runs = None, task: Task = "", method: Method = "", student: Student = "", track: Track = "",
    seeds: Seeds = "", everything: All = False, force: Force = False, results: Results = Path("results"),
    dry_run: DryRun = False, as_json: Json = False,
) -> None:  # fmt: skip
    """Remove runs: their records, predictions and samples. What the store keeps of them stays: bench store rm."""
    from bench.cli import keeping_tables as views
    from bench.records import housekeeping

    wanted = housekeeping.Wanted(runs or (), task, method, student, track, parse_seeds(seeds) if seeds else ())
    own = going(results, wanted, everything, force)
    found = [told(kept) for kept in own]
    if not dry_run:
        for kept in own:
            housekeeping.remove(kept)
    show({"dry_run": dry_run, "runs": found}, as_json, views.removed)


def going(results: Path, wanted: Any, everything: bool, force: bool) -> list[Any]:
    """The runs of `mv` and `rm`. RequestError: nothing was named, or one is wanted by others."""
    from bench.records import housekeeping

    if wanted.anything != everything:
        raise RequestError("name runs, or say what they are of (--task, --method ...), or say --all")
    found = housekeeping.runs(results)
    own = housekeeping.chosen(found, wanted)
    housekeeping.check(own, found, force)
    return own


def told(kept: Any) -> dict[str, Any]:
    """A run as `--json` prints it."""
    record = kept.record
    return {
        "run_id": kept.run_id, "state": kept.state,
        **{key: kept.place.get(key) for key in ("task", "track", "method", "student")},
        **({"student": kept.spec.student} if kept.spec else {}), "seed": kept.spec.seed if kept.spec else None,
        "metric": record.metrics.main.name if record else None, "score": record.metrics.main.value if record else None,
        "finished": record.provenance.finished if record else None, "bytes": kept.bytes,
        "files": [str(path) for path in kept.files],
    }  # fmt: skip
