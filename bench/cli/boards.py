"""`bench board`: the leaderboard in the terminal, of a task, of a suite, or a line a board."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.cli import names
from bench.cli.options import Json, Results, show
from bench.errors import RequestError

app = typer.Typer()


@app.command(
    epilog="Examples:  bench board    bench board --task sts --track lite    bench board --suite glue    "
    "COLUMNS=200 bench board --task glue/mrpc    bench board --task sts --csv    bench board --task sts --json"
)
def board(
    task: Annotated[str, typer.Option(help="Task, as in the records.", autocompletion=names.tasks)] = "",
    suite: Annotated[str, typer.Option(help="Data sets by rows, with averages.", autocompletion=names.suites)] = "",
    track: Annotated[str, typer.Option(help="Default: all there are.", autocompletion=names.tracks)] = "",
    results: Results = Path("results"),
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the rows of --task as CSV, all columns.")] = False,
    as_json: Json = False,
) -> None:
    """The rows of a board with intervals and evidence; without --task or --suite a line a board."""
    if task and suite:
        raise RequestError("--task shows a board and --suite a table of several: give one of them")
    if as_csv and (as_json or not task):
        raise RequestError("--csv prints the rows of a board: name it with --task, and leave out --json")
    from bench.cli import board_tables as views

    answer = of_suite(results, suite, track) if suite else of_task(results, task, track)
    if as_csv:
        return print(csv_of([row for found in answer["boards"] for row in found["rows"]]), end="")
    show(answer, as_json, views.suite_tables if suite else views.board_tables if task else views.summary_table)


def of_task(results: Path, task: str, track: str) -> dict[str, Any]:
    """The boards of a task, or the summaries of all."""
    from bench.board import table as boards

    if task:
        return {"boards": boards.boards(results, task, track)}
    return {"boards": boards.overview(results, track)}


def csv_of(rows: Sequence[Mapping[str, Any]]) -> str:
    """What lists hold is joined by semicolons."""
    from bench.web.tables import to_csv

    flat = [{k: "; ".join(map(str, v)) if isinstance(v, list) else v for k, v in row.items()} for row in rows]
    return to_csv(flat).decode().replace("\r\n", "\n")


def of_suite(results: Path, suite: str, track: str) -> dict[str, Any]:
    """The tables of a suite, one for each track."""
    from bench.board import table as boards

    return {"suite": suite, "tables": boards.suite(results, suite, track)}
