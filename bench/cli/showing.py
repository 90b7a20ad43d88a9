"""`bench show`: one run in a screen, and what can be done with it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.cli.options import Json, Results, show
from bench.errors import RequestError

app = typer.Typer()


@app.command(
    "show", epilog="Examples:  bench show    bench show 687b64    bench show 687b64 --results docs/grids/trec --json"
)
def show_run(
    run: Annotated[
        str,
        typer.Argument(metavar="RUN", help="Run id, its beginning, or the path of its record. Default: the last one."),
    ] = "",
    results: Results = Path("results"),
    as_json: Json = False,
) -> None:
    """One run: what it was, its score, what it cost, where its student is, and what to do next."""
    from bench.cli.showing_tables import shown

    show(described(results, run), as_json, shown)


def last(results: Path) -> Path:
    """The record of the run that ended last. RequestError: there is none."""
    from bench.board.leaderboard import folder
    from bench.records import disk

    found = [(r.provenance.finished, disk.path_of(results, r.spec, r.run_id)) for r in disk.read_all(folder(results))]
    if not found:
        raise RequestError(f"there are no records in {results}: name another folder with --results")
    return max(found)[1]


def described(results: Path, run: str) -> dict[str, Any]:
    """What `bench show --json` prints. RequestError: no such run, or several."""
    from bench.board.leaderboard import rows
    from bench.board.runs import run_row
    from bench.records import disk, finding
    from bench.records.arrays import types_beside
    from bench.records.specs import checked_spec
    from bench.store import folders

    path = finding.record(results, run) if run else last(results)
    record = disk.read(path)
    spec, student, cost = checked_spec(record), folders.student_of(record.run_id), record.cost
    (board,) = rows([record])
    return {
        **run_row(record, str(path), board.slug), "metrics": record.metrics.all,
        "loyalty": record.metrics.loyalty, "types": types_beside(record, disk.beside(path, record.predictions.file)),
        "settings": spec.settings, "notes": record.notes,
        "came_first": sorted(spec.first), "seconds": cost.seconds, "energy_source": cost.energy_source,
        "kept": [choice.model_dump() for choice in record.metrics.choices],
        "curve": [{"stage": p["stage"], "step": p["step"], "dev": p["dev"]} for p in record.curve if "dev" in p],
        "student_file": str(student) if student.is_file() else None,
        "next": list(steps(record, path, results)),
    }  # fmt: skip


def steps(record: Any, path: Path, results: Path) -> Iterator[dict[str, str]]:
    """Commands about the run; of one that would be refused, why."""
    from bench.export import offers
    from bench.records import typed
    from bench.records.specs import checked_spec

    spec = checked_spec(record)
    where = [] if results == Path("results") else ["--results", str(results)]
    data = typed.data_option(record, spec)
    words, refused = offers.command(record)
    yield {"what": "export", "command": shlex.join([*words, *where]) if words else "", "refused": refused}
    yield {"what": "verify", "command": shlex.join(["bench", "verify", record.run_id, *data, *where]), "refused": ""}
    of_board = ["--task", spec.task, "--track", spec.track, *where]
    if spec.method != "finetune" and (path.parents[2] / "finetune" / path.parent.name).is_dir():
        pair = [f"{method}@{spec.student}" for method in (spec.method, "finetune")]
        yield {"what": "compare", "command": shlex.join(["bench", "compare", *pair, *of_board]), "refused": ""}
    yield {"what": "board", "command": shlex.join(["bench", "board", *of_board]), "refused": ""}
