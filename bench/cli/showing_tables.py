"""How `bench show` shows a run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from bench.base.groups import grouped
from bench.cli.board_tables import between, hundred, millions, plain, share
from bench.cli.tables import Shown, table

POINTS = 6  # of the learning curve


def shown(run: Mapping[str, Any]) -> Shown:
    """In 80 columns."""
    yield Text(f"{run['run_id']}  {run['method']}  {run['student']}  seed {run['seed']}", style="bold")
    yield f"{run['task']}, {run['track']}; teacher {run['teacher']}; finished {run['finished'][:16]}"
    yield ""
    lines = table("", ("", ""), facts(run))
    lines.show_header = False
    yield lines
    yield ""
    if run["types"]:
        yield by_type(run["types"])
        yield ""
    yield from curve(run)
    if run["kept_start"]:
        yield Text("kept its start: no update made it better on dev", style="yellow")
    yield f"student: {run['student_file'] or 'no longer in the store'}"
    for step in run["next"]:
        if step["refused"]:
            yield f"{step['what'] if step['command'] else 'no ' + step['what']}: {step['refused']}"
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
    speed = speed if run["latency_ms"] else "not timed"
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


def by_type(types: Sequence[Mapping[str, Any]]) -> Table:
    """What the student finds of each type of entity."""
    head = ("type", "in gold", "F1 x 100", "precision", "recall", "teacher's F1")
    scores = ("f1", "precision", "recall", "teacher_f1")
    return table("", head, [(one["type"], f"{one['gold']:,}", *(hundred(one[s]) for s in scores)) for one in types])


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
