"""`bench show`: one run in a screen, and what can be done with it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from bench.base.groups import grouped
from bench.cli.boards import between, hundred, millions, plain, share
from bench.cli.options import Json, Results, show
from bench.cli.tables import Shown, table

app = typer.Typer()
POINTS = 6  # of the learning curve


@app.command("show", epilog="Examples:  bench show 9a228a    bench show 9a228a --results docs/grids/trec --json")
def show_run(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run id, its beginning, or the path of its record.")],
    results: Results = Path("results"),
    as_json: Json = False,
) -> None:
    """One run: what it was, its score, what it cost, where its student is, and what to do next."""
    show(described(results, run), as_json, shown)


def described(results: Path, run: str) -> dict[str, Any]:
    """What `bench show --json` prints. RequestError: no such run, or several."""
    from bench.board.leaderboard import rows
    from bench.board.runs import run_row
    from bench.records import disk, finding
    from bench.records.specs import checked_spec
    from bench.store import folders

    path = finding.record(results, run)
    record = disk.read(path)
    spec, student, cost = checked_spec(record), folders.student_of(record.run_id), record.cost
    (board,) = rows([record])
    return {
        **run_row(record, str(path), board.slug), "metrics": record.metrics.all,
        "loyalty": record.metrics.loyalty, "settings": spec.settings, "notes": record.notes,
        "came_first": sorted(spec.first), "seconds": cost.seconds, "energy_source": cost.energy_source,
        "kept": [choice.model_dump() for choice in record.metrics.choices],
        "curve": [{"stage": p["stage"], "step": p["step"], "dev": p["dev"]} for p in record.curve if "dev" in p],
        "student_file": str(student) if student.is_file() else None,
        "next": list(steps(record, path, results)),
    }  # fmt: skip


def steps(record: Any, path: Path, results: Path) -> Iterator[dict[str, str]]:
    """Commands about the run; of one that would be refused, why."""
    from bench.export import offers
    from bench.records.specs import checked_spec

    spec = checked_spec(record)
    where = [] if results == Path("results") else ["--results", str(results)]
    data = ["--data-dir", "DATA"] if record.data.source == "directory" else []
    words, refused = offers.command(record)
    yield {"what": "export", "command": shlex.join([*words, *where]) if words else "", "refused": refused}
    yield {"what": "verify", "command": shlex.join(["bench", "verify", record.run_id, *data, *where]), "refused": ""}
    of_board = ["--task", spec.task, "--track", spec.track, *where]
    if spec.method != "finetune" and (path.parents[2] / "finetune" / path.parent.name).is_dir():
        pair = [f"{method}@{spec.student}" for method in (spec.method, "finetune")]
        yield {"what": "compare", "command": shlex.join(["bench", "compare", *pair, *of_board]), "refused": ""}
    yield {"what": "board", "command": shlex.join(["bench", "board", *of_board]), "refused": ""}


def shown(run: Mapping[str, Any]) -> Shown:
    """In 80 columns."""
    yield Text(f"{run['run_id']}  {run['method']}  {run['student']}  seed {run['seed']}", style="bold")
    yield f"{run['task']}, {run['track']}; teacher {run['teacher']}; finished {run['finished'][:16]}"
    yield ""
    lines = table("", ("", ""), facts(run))
    lines.show_header = False
    yield lines
    yield ""
    yield from curve(run)
    if run["kept_start"]:
        yield Text("kept its start: no update made it better on dev", style="yellow")
    yield f"student: {run['student_file'] or 'no longer in the store'}"
    for step in run["next"]:
        if step["refused"]:
            yield f"no {step['what']}: {step['refused']}"
        if step["command"]:
            yield Text(f"    {step['command']}", no_wrap=True, overflow="ignore")


def facts(run: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Lines of two cells; what is unknown is left out."""
    low, high = run["score_low"], run["score_high"]
    kept = f", {share(run['retention'])} of the teacher's {hundred(run['teacher_score'])}" if run["retention"] else ""
    yield f"{run['metric']} x 100", f"{hundred(run['score'])} [{between(low, high)}] on {run['dataset']}{kept}"
    if len(run["metrics"]) > 1:
        yield "data sets", ", ".join(f"{d} {hundred(m.get(run['metric']))}" for d, m in run["metrics"].items())
    yield "settings", ", ".join(f"{key}={value}" for key, value in run["settings"].get("method", {}).items()) or "none"
    speed = f"{plain(run['latency_ms'], '.3g')} ms, {plain(run['speedup'], '.2f')}x the teacher"
    yield "speed", speed + (", noisy" if run["noisy"] else "") + f"; {run['device']}, threads: {run['threads']}"
    yield "size", f"{millions(run['parameters'])} parameters, {run['disk_bytes'] / 1e6:.1f} MB"
    forwards = run["teacher_forwards"], run["teacher_forwards_reused"]
    yield (
        "cost",
        f"{run['updates']:,} updates, {plain(run['seconds'], ',.0f')} s; teacher forwards "
        + (f"{plain(forwards[0], ',')} and {plain(forwards[1], ',')} from the store"),
    )
    if run["came_first"]:
        yield "came first", ", ".join(run["came_first"])
    yield "made by", f"{run['command']}" + f" (commit {str(run['commit'])[:10]})" * bool(run["commit"])


def curve(run: Mapping[str, Any]) -> Iterator[str]:
    """Dev at a few steps of each stage, the first, the last and the kept one among them."""
    for stage, own in grouped(run["curve"], lambda point: str(point["stage"])).items():
        kept = {choice["step"] for choice in run["kept"] if choice["what"].endswith(f" {stage}")}
        points = (f"{hundred(p['dev'])} at {p['step']}" + " (kept)" * (p["step"] in kept) for p in few(own, kept))
        yield f"dev, stage {stage}: {', '.join(points)}"


def few(points: Sequence[Mapping[str, Any]], kept: set[int]) -> list[Mapping[str, Any]]:
    last = len(points) - 1
    chosen = {round(at * last / (POINTS - 1)) for at in range(POINTS)} if last >= POINTS else set(range(last + 1))
    chosen |= {at for at, point in enumerate(points) if point["step"] in kept}
    return [points[at] for at in sorted(chosen)]
