"""Commands about results that are there: which is better, which to use, are they sound, do they come out again."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.base.console import Console, printable
from bench.cli import names
from bench.cli.options import DataDir, Device, Files, Json, Results, Settings, Track, show
from bench.errors import RequestError

app = typer.Typer()
BoardName = Annotated[str, typer.Option(help="Slug or beginning of a data identity, where there are several.")]


@app.command(
    epilog="Examples:  bench compare kd finetune --task sts    "
    "bench compare kd@bert:3 teacher --task sts --track lite    "
    "bench compare ./mine.py kd --task sts --student bert:3 --json"
)
def compare(
    a: Annotated[str, typer.Argument(help="A method, method@student (as in kd@bert:3), or teacher.")],
    b: Annotated[str, typer.Argument(help="What it is compared with, named in the same way.")],
    task: Annotated[str, typer.Option(help="Task, as in the records.", autocompletion=names.tasks)],
    track: Track = "mini",
    student: Annotated[str, typer.Option(help="Student of a name that says none.")] = "",
    board: BoardName = "",
    results: Results = Path("results"),
    files: Files = None,
    as_json: Json = False,
) -> None:
    """Whether A is better than B: difference, interval and p-value, on the same examples and seeds."""
    from bench.board.compared import compare as compare_rows

    show(compare_rows(results, task, a, b, track, student, files or (), board), as_json, "comparison")


@app.command(
    epilog="Examples:  bench recommend --task sts --max-latency-ms 5 --min-retention 97%    "
    "bench recommend --task sts --max-latency-ms 5 --here    "
    "bench recommend --task sts --track lite --max-params 20M --device 'AMD EPYC' --json"
)
def recommend(
    task: Annotated[str, typer.Option(help="Task, as its records name it.", autocompletion=names.tasks)],
    track: Track = "mini",
    max_latency_ms: Annotated[float | None, typer.Option(help="Median latency of one input at a time.")] = None,
    max_params: Annotated[str | None, typer.Option(help="Parameters in all, as in 20M or 20_000_000.")] = None,
    min_retention: Annotated[str | None, typer.Option(help="Share of the teacher's score: 0.97 or 97%.")] = None,
    device: Annotated[str, typer.Option(help="Part of the name of the hardware whose timings count.")] = "",
    board: BoardName = "",
    here: Annotated[
        bool, typer.Option("--here", help="Time the board's networks on this machine's CPU: seconds each, kept.")
    ] = False,
    data_dir: DataDir = None,
    results: Results = Path("results"),
    as_json: Json = False,
) -> None:
    """Which measured students keep your limits, best score first, and what they give up; else the nearest."""
    from bench.board import recommend as answers
    from bench.board.limits import Limits, parse_count, parse_share
    from bench.export import offers

    params = None if max_params is None else parse_count(max_params)
    limits = Limits(max_latency_ms, params, None if min_retention is None else parse_share(min_retention))
    if here and device:
        raise RequestError("--here times this machine: leave out --device")
    timing = clock(data_dir) if here else None
    answer = answers.recommend(results, task, track, limits, offers.command, device, board, timing)
    show(answer, as_json, "recommendation")


def clock(data_dir: Path | None) -> Any:
    """What times networks of records on this machine."""
    from bench.runs.here import timings

    return partial(timings, data_dir=data_dir, console=Console())


CHECKED = typer.Option("--data-dir", help="Compare gold answers with the data in this folder too.")


def from_data(data_dir: Path) -> Any:
    from bench.runs.gold import gold

    return partial(gold, data_dir=data_dir)


@app.command(epilog="Examples:  bench check    bench check results --json    bench check --data-dir data")
def check(
    results: Annotated[Path, typer.Argument(help="Folder of records.")] = Path("results"),
    data_dir: Annotated[Path | None, CHECKED] = None,
    files: Files = None,
    as_json: Json = False,
) -> None:
    """Check every record: form, place, hashes, and every number computed again from what is stored beside it; with
    --data-dir gold answers too.
    """
    from bench.records.check import Compared
    from bench.records.check import check as examine

    data = Compared(from_data(data_dir)) if data_dir else None
    count, problems = examine(results, files or (), data)
    told = {"data": {"boards": data.boards, "left_out": data.left_out}} if data else {}
    if as_json:
        found = [{"path": p.path, "problem": p.problem} for p in problems]
        print(json.dumps({"records": count, "ok": not problems, "problems": found} | told, indent=1))
    else:
        for p in problems:
            print(printable(f"{p.path}: {p.problem}"))
        if data:
            for task, why in data.left_out.items():
                print(printable(f"not compared with the data: {task}: {why}"))
            print(f"gold answers of {data.boards} data sets compared with the data")
        print(f"{count} records, {len(problems)} problems")
    sys.exit(1 if problems else 0)


@app.command(epilog="Examples:  bench verify 33655a77    bench verify 33655a77 --data-dir data --json")
def verify(
    run: Annotated[str, typer.Argument(help="Run id, its unambiguous beginning, or the record's path.")],
    results: Results = Path("results"),
    data_dir: DataDir = None,
    device: Device = "auto",
    files: Files = None,
    as_json: Json = False,
) -> None:
    """Train a record's student again and compare: same, within interval, or different. The record stays as it is."""
    from bench.runs.verify import verify as carry_out_again

    found = carry_out_again(results, run, data_dir, device, Console(), files or ())
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        low, high = found["ci95"]
        print(
            f"{found['run_id']}  {found['verdict']}: {found['metric']} {100 * found['value']:.4f} "
            f"[{100 * low:.2f}, {100 * high:.2f}] in the record, {100 * found['again']:.4f} now"
        )
    sys.exit(1 if found["verdict"] == "different" else 0)


@app.command(
    epilog="Examples:  bench profile --student bert:4x312 --teacher bert:12x768    "
    "bench profile --student bow --student cnn --quick    "
    "bench profile --student dan --student bert:3 --batch 32 --batch 256x64    "
    "bench profile --student bert:3 --onnx --device cpu    "
    "bench profile --student bert:4x312x12x1200 --out results/profiles/mine.json"
)
def profile(
    student: Annotated[list[str], typer.Option(help="family:size, as in bert:4x312; may be repeated.")],
    teacher: Annotated[str, typer.Option(help="A model, or a shape as in bert:12x768. Default: the task's.")] = "",
    task: Annotated[str, typer.Option(help="Whose test inputs are read. Default: the first with packaged data.")] = "",
    track: Track = "mini",
    data_dir: DataDir = None,
    device: Device = "auto",
    settings: Settings = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A look: seconds instead of minutes, wider intervals.")
    ] = False,
    batch: Annotated[
        list[str] | None,
        typer.Option(help="Time batches too: SIZE (32, real inputs) or SIZExLENGTH (128x512 tokens); may be repeated."),
    ] = None,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Time each network as onnxruntime runs it too, in float32 and in int8.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Keep it in this .json file, samples beside it.")] = None,
    as_json: Json = False,
) -> None:
    """Size and speed of architectures beside a teacher's. Trains nothing; weights are random where it says so."""
    from bench.export import runtime
    from bench.runs import profile as profiling
    from bench.runs.spec import Request
    from bench.runs.sweep import choose_device

    if out is not None and out.suffix != ".json":
        raise RequestError(f"--out {out}: give a name that ends in .json")
    request = Request([task] if task else [], [], student, teacher, track, data_dir=data_dir, settings=settings or [])
    forms = partial(runtime.forms, console=Console()) if onnx else None
    found, samples = profiling.profile(request, quick, choose_device(device), Console(), batch or [], forms)
    if out is not None:
        profiling.write(out, found, samples)
    show(found, as_json, "profile")


@app.command(epilog="Example:  bench schema > record.schema.json")
def schema() -> None:
    """The JSON Schema of a record."""
    print(json.dumps(record_schema(), indent=1))


def record_schema() -> dict[str, Any]:
    """What docs/record.schema.json holds."""
    from bench.records.schemas import Record

    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | Record.model_json_schema()
