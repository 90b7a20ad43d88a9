"""The command line. Every command imports what it needs when it runs, so that `--help` stays quick."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from bench import __version__
from bench.base import processes, stopping, waiting
from bench.base.console import Console, warn
from bench.cli import authoring, boards, hub, keeping, names, showing, site, sweeping, transfer, tuning
from bench.cli import results as about_results
from bench.cli.options import (
    DataDir,
    Device,
    DryRun,
    Engine,
    Files,
    Jobs,
    Json,
    OptionalTasks,
    Quota,
    Results,
    Settings,
    Tasks,
    Track,
    parse_seeds,
    show,
)
from bench.errors import BenchError, RequestError, unknown
from bench.plugins.beside import blamed

app = typer.Typer(
    name="bench",
    help="Distil a student, measure it beside its teacher, publish the board.",
    epilog="Start with:  bench run --task sts --method disco   then:  bench site build",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
store_app = typer.Typer(help="The teacher store and unfinished runs.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(boards.app)
app.add_typer(showing.app)
app.add_typer(about_results.app)
app.add_typer(transfer.app)
app.add_typer(hub.app)
app.add_typer(tuning.app)
app.add_typer(authoring.app)
app.add_typer(site.app, name="site")
app.add_typer(store_app, name="store")
app.add_typer(keeping.app, name="results")


AGAIN = "the same command starts again, and leaves what is finished as it is"


def main() -> None:
    """Entry point: errors become one sentence and an exit status."""
    waiting.patiently()
    if not processes.launched():  # a launcher ends its processes so
        stopping.as_interrupt()
    try:
        if app(standalone_mode=False) == 130:  # what typer makes of Ctrl-C
            raise KeyboardInterrupt
    except BenchError as error:
        fail(str(error), error.exit_status)
    except (typer.Abort, KeyboardInterrupt):
        fail(f"interrupted; {stopping.asked.said or AGAIN}", stopping.asked.status)
    except OSError as error:  # a full disk, a terminal that is gone
        fail(str(error), 1)
    except SystemExit as end:
        if where := blamed(end):  # of a plug-in, which is no way to end a command
            fail(f"{where}: the plug-in ends the command (SystemExit: {end})", 2)
        raise
    except Exception as error:
        if type(error).__module__.partition(".")[0] in ("click", "typer"):
            usage(error)
        unexpected(error)


def unexpected(error: Exception) -> NoReturn:
    """A fault, of an author's file or of ours: a sentence, and the traceback in a file."""
    where, log = blamed(error), ""
    with suppress(Exception):
        from bench.store import folders

        log = f" (details: {folders.log(error)})"
    what = f"{where}: " if where else "unexpected, which is a fault of bench unless a plug-in's: "
    fail(f"{what}{type(error).__name__}: {error}{log}", 2 if where else 1)


def usage(error: Any) -> NoReturn:
    """A wrong command line, told by the parser; one without a command is shown what there is, as gh does."""
    if type(error).__name__ == "NoArgsIsHelpError":
        print(error.ctx.get_help())
        sys.exit(0)
    hint = "; see bench --help" if getattr(error, "ctx", None) is None else f"; see {error.ctx.command_path} --help"
    fail(error.format_message().rstrip(".") + hint, 2)


def fail(sentence: str, status: int) -> NoReturn:
    if not processes.tells():
        processes.leave()
    warn(" ".join(sentence.split()))
    sys.exit(status)


def show_version(wanted: bool) -> None:
    if wanted:
        print(f"bench {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", callback=show_version, is_eager=True)] = False,
) -> None:
    if context.invoked_subcommand in ("run", "sweep", "teach", "profile", "export"):
        check_utf8(sys.argv)
    if processes.launched() and context.invoked_subcommand not in ("run", "sweep"):
        raise RequestError(
            "several processes work on bench run and bench sweep alone: start this command without a launcher"
        )


def check_utf8(words: Sequence[str]) -> None:
    """RequestError: records hold the command, and text alone."""
    for word in words:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise RequestError(f"'{word}' is not UTF-8, and a record cannot hold it: rename the file") from None


@app.command(
    "list",
    epilog="Examples:  bench list    bench list methods    bench list students 'b*'    bench list --json",
)
def list_(
    what: Annotated[
        str, typer.Argument(help="tasks, suites, methods, students, teachers, metrics; all when left out.")
    ] = "",
    like: Annotated[str, typer.Argument(metavar="PATTERN", help="Names that fit, as in 'glue/*'.")] = "*",
    as_json: Json = False,
) -> None:
    """What there is, and which methods fit which tasks (and why the others do not)."""
    from bench.plugins.catalogue import catalogue

    parts = catalogue()
    if what and what not in parts:
        raise unknown("list", what, parts)
    parts = {
        part: [row for row in parts[part] if fnmatchcase(row["name"], like)] for part in ([what] if what else parts)
    }
    if not any(parts.values()):
        raise RequestError(f"no {what} fit {like}: bench list {what} shows all")
    show(parts, as_json, "catalogue")


@app.command(epilog="Examples:  bench reported tinybert    bench reported kd --json")
def reported(
    method: Annotated[
        str, typer.Argument(help="A method by name; bench list methods shows them.", autocompletion=names.methods)
    ],
    as_json: Json = False,
) -> None:
    """What papers report of a method. These rows are never ranked among measured ones; a blank is unknown."""
    from bench.board.reported import rows

    show({"method": method, "rows": [row.model_dump() for row in rows(method)]}, as_json, "reported")


@app.command(
    epilog="Examples:  bench teach --task glue/sst2 --model all-MiniLM-L6-v2 --track lite --data-dir data    "
    "bench teach --task images/digits --model resnet:20"
)
def teach(
    task: Tasks,
    model: Annotated[
        str,
        typer.Option(help="Short name, folder or Hub id of an encoder, or family:size. Default: the task's teacher."),
    ] = "",
    track: Track = "mini",
    data_dir: DataDir = None,
    results: Results = Path("results"),
    device: Device = "auto",
    settings: Settings = None,
    as_json: Json = False,
) -> None:
    """Fine-tune a teacher on a task, once: kept in the store, with a record. `bench run` does this where it has to."""
    from bench.runs.spec import Request
    from bench.runs.sweep import teach_all

    request = Request(task, [], [], model, track, (0,), data_dir, settings or [])
    found = teach_all(request, results, device, Console())
    if as_json:
        print(json.dumps({"teachers": found}, indent=1))


@app.command(
    epilog="Examples:  bench run --task sts --method disco    "
    "bench run --task sts --method kd --method ./mine.py --student bert:3 --student bow --seeds 0,1,2    "
    "bench run --task sts --method disco --set disco.queue=4096 --dry-run    "
    "bench run --suite indonlu --track lite --data-dir data --dry-run    "
    "bench run --task sts --method kd --axis lr=1e-4 --axis lr=2e-4 --seeds 0,1,2    "
    "bench run --task sts --method kd --method disco --student bow --student cnn --seeds 0,1,2 --engine ray --jobs 4"
)
def run(
    method: Annotated[
        list[str] | None,
        typer.Option(help="Method by name or path (./mine.py); may be repeated.", autocompletion=names.methods),
    ] = None,
    task: OptionalTasks = None,
    suite: Annotated[
        str,
        typer.Option(
            help="In place of --task: its data sets that are there, with its methods and students where it has any.",
            autocompletion=names.suites,
        ),
    ] = "",
    student: Annotated[
        list[str] | None,
        typer.Option(
            help="family:size, as in bert:3; may be repeated. Default: the task's.", autocompletion=names.students
        ),
    ] = None,
    teacher: Annotated[
        str, typer.Option(help="Short name, folder, or Hub id (owner/name[@revision]); #cls chooses the pooling.")
    ] = "",
    track: Track = "mini",
    seeds: Annotated[str, typer.Option(help="Comma-separated; a row on the board wants three.")] = "0",
    data_dir: DataDir = None,
    results: Results = Path("results"),
    device: Device = "auto",
    settings: Settings = None,
    axes: Annotated[
        list[str] | None,
        typer.Option("--axis", help="KEY=VALUE as of --set; the key once more is another level. All are combined."),
    ] = None,
    store_quota: Quota = "4GB",
    engine: Engine = "local",
    jobs: Jobs = None,
    remeasure: Annotated[
        bool, typer.Option("--remeasure", help="Time finished runs again, after a noisy measurement; trains nothing.")
    ] = False,
    no_measure: Annotated[
        bool, typer.Option("--no-measure", help="Time nothing: a quick try, whose record has scores and sizes alone.")
    ] = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Distil under the standard protocol and leave a record. Finished runs are skipped, interrupted ones resume.

    On several GPUs or processes: torchrun --nproc_per_node 2 -m bench run ... (or accelerate launch). The same result.
    """
    if bool(task) == bool(suite):
        raise RequestError("name what to run: --task, or --suite for a table of data sets")
    if task and not method:
        raise RequestError("name a method with --method: bench list methods shows them")
    from bench.runs.grid import spread
    from bench.runs.requests import of_suite
    from bench.runs.spec import Request

    seeds_ = parse_seeds(seeds)
    request = Request(task or [], method or [], student or [], teacher, track, seeds_, data_dir, settings or [])
    request = of_suite(request, suite) if suite else request
    manner = sweeping.Manner(
        results, device, store_quota, engine, jobs, remeasure, dry_run, as_json, timed=not no_measure
    )
    conclude(*sweeping.carry_out(spread(request, axes or []), manner))


@app.command(
    epilog="Examples:  bench sweep grid.toml --dry-run    bench sweep grid.toml --data-dir data --engine ray --jobs 4"
)
def sweep(
    grid: Annotated[Path, typer.Argument(help="A TOML file of tasks, methods, students and axes.")],
    data_dir: DataDir = None,
    results: Results = Path("results"),
    device: Device = "auto",
    store_quota: Quota = "4GB",
    engine: Engine = "local",
    jobs: Jobs = None,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """Carry out a grid: every combination of the levels of its axes. The runs, ids and records of `bench run`."""
    from bench.runs.grid import read

    manner = sweeping.Manner(results, device, store_quota, engine, jobs, False, dry_run, as_json)
    conclude(*sweeping.carry_out(read(grid, data_dir), manner))


def conclude(sentence: str, status: int) -> None:
    if status:
        fail(sentence, status)


@app.command(
    epilog="Examples:  bench export 3f2a --format hf --out student    "
    "bench export 3f2a --format onnx --out student-onnx    bench export 3f2a --format int8 --out student-int8    "
    "bench export 3f2a --format trec --out rankings --data-dir data"
)
def export(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Run id, its beginning, or the path of its record.")],
    kind: Annotated[
        str, typer.Option("--format", help="hf: sentence-transformers; onnx, int8: onnxruntime; trec: rankings.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the model; it must be empty or new.")],
    results: Results = Path("results"),
    data_dir: DataDir = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the folder with all that is in it.")] = False,
    files: Files = None,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Train the student again where the store no longer has it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a finished run's student as a folder that plain libraries load, with a model card; or its rankings."""
    from bench.export.export import export as write

    written = write(run, kind, out, results, data_dir, force, Console(), files or (), retrain)
    if as_json:
        print(json.dumps(written, indent=1))
    else:
        difference = written["largest_difference"]
        checked = "" if difference is None else f"; largest difference {difference:.1e}"
        if dev := written["dev"]:
            checked += f" in float32; on dev {dev['int8']:.4f} in int8, {dev['student']:.4f} in float32"
        print(f"{len(written['files'])} files in {out}{checked}")


@app.command()
def doctor(results: Results = Path("results"), as_json: Json = False) -> None:
    """Check what this machine can do: versions, packaged data, folders, devices."""
    from bench.cli.doctor import examine

    checks = examine(results)
    if as_json:
        print(json.dumps({"ok": all(c["ok"] for c in checks), "checks": checks}, indent=1))
    else:
        for check in checks:
            print(f"{'ok  ' if check['ok'] else 'FAIL'}  {check['name']}: {check['detail']}")
    sys.exit(0 if all(c["ok"] for c in checks) else 1)


@store_app.command("ls")
def store_ls(as_json: Json = False) -> None:
    """What is stored, its size and last use."""
    from bench.store import folders

    found = folders.entries()
    rows = [{"kind": e.kind, "key": e.key, "detail": e.detail, "bytes": e.size, "used": e.used} for e in found]
    show({"root": str(folders.root()), "entries": rows}, as_json, "store")


@store_app.command("rm", epilog="Examples:  bench store rm 3f2a    bench store rm --all")
def store_rm(
    keys: Annotated[list[str] | None, typer.Argument(help="Keys, or their unambiguous beginnings.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything.")] = False,
) -> None:
    """Delete stored signals and kept runs; records are not touched."""
    from bench.store import folders

    if bool(keys) == everything:
        raise RequestError("name what to delete, or say --all")
    freed = folders.remove([e.key for e in folders.entries()] if everything else keys or [])
    print(f"freed {freed / 1e6:.1f} MB")
