"""Many runs: skip what is done, carry out the rest, lose nothing when one fails."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TypeVar

import torch

from bench.base import files, processes
from bench.base.console import Console
from bench.errors import BenchError, RequestError
from bench.plugins import beside
from bench.records import disk
from bench.runs import teach
from bench.runs.protocol import carry_out, measure_again
from bench.runs.spec import Request, Spec, open_tasks_set
from bench.runs.teach import CHECKPOINT
from bench.store import folders
from bench.teachers import plans

T = TypeVar("T")


def run_all(
    specs: Sequence[Spec], results: Path, device: str, console: Console, remeasure: bool = False, timed: bool = True
) -> tuple[list[dict[str, Any]], int]:
    """Outcome of each run as `bench run --json` prints it, and the exit status: 0, 1 (a run failed) or 2."""
    chosen = choose_device(device)
    check_writable(results)
    check_writable(folders.root())
    again = set[str]() if remeasure else None
    outcomes, status = [], 0
    tell = console if len(specs) > 1 else Console(quiet=True)  # of one run the command's last line says why
    for number, spec in enumerate(specs, 1):
        console(f"[{number}/{len(specs)}] {spec.label}  ({spec.run_id})")
        found, code = attempt(spec.run_id, partial(run_one, spec, results, chosen, console, again, timed=timed), tell)
        outcomes.append(describe(spec, "failed") | found)
        console.ended(outcomes[-1])
        status = max(status, code)
        if status and processes.count() > 1:
            break  # the other processes are gone; the same command goes on
    return outcomes, status


def attempt(name: str, work: Callable[[], T], tell: Console) -> tuple[T | dict[str, Any], int]:
    """(what the work returns, 0), or the reason of its failure and an exit status: one must not lose the others."""
    try:
        with processes.failing_together():
            return work(), 0
    except BenchError as error:
        tell(f"  failed: {error}")
        return {"error": str(error)}, error.exit_status
    except (Exception, SystemExit) as error:  # a plug-in may call sys.exit, which is no way to end a run
        log = folders.make_folder(folders.root() / "runs" / name) / "error.txt"
        log.write_text(traceback.format_exc(), encoding="utf-8", errors="replace")
        where = beside.blamed(error)
        sentence = f"{where}: " * bool(where) + f"{type(error).__name__}: {error}"
        tell(f"  failed: {sentence} (details: {log})")
        return {"error": sentence, "log": str(log)}, 1


def teach_all(request: Request, results: Path, device: str, console: Console) -> list[dict[str, Any]]:
    """Teach, unless they are there, the teachers of the request's tasks. RequestError: one is ready as it is."""
    chosen = choose_device(device)
    check_writable(results)
    check_writable(folders.root())
    found = []
    for task in open_tasks_set(request):
        reference = request.teacher or task.track.teacher
        place = plans.locate(reference, task)
        if not isinstance(place.origin, plans.Plan):
            raise RequestError(f"{reference} solves {task.name} as it is: there is nothing to teach")
        teach.ensure(place.origin, chosen, console)
        path = teach.publish(place, results)
        record = disk.read_teacher(path) if path else None
        if record is None:
            raise BenchError(f"the record of {reference} is no longer in the store: bench store rm {place.folder}")
        console(f"  {record.metric} on dev {100 * record.dev:.2f}  {path}")
        found.append({"task": task.name, "model": reference, "key": record.key, "dev": record.dev, "record": str(path)})
    return found


def run_one(
    spec: Spec,
    results: Path,
    device: Any,
    console: Console,
    again: set[str] | None = None,
    cores: int | None = None,
    timed: bool = True,
) -> dict[str, Any]:
    """Carry out one run unless its record is there. Another process that is at the same run is waited for.

    `again`: time it anew if it is finished, and what else this command has timed so (`cache.once`). `cores`: threads to
    time with, where the run has a part of the machine.
    """
    path = disk.path_of(results, spec.values, spec.run_id)
    status = "skipped"
    processes.from_main(lambda: tidy(spec, path, results))
    if processes.from_main(lambda: again is not None or not path.exists()):
        for wanted, helper in spec.wanted:
            console(f"  {wanted.name}: {helper.label}  ({helper.run_id})")
            run_one(helper, results, device, console, cores=cores, timed=timed)
        with folders.locked(f"run-{spec.run_id}") if processes.main() else nullcontext():
            if processes.from_main(lambda: not path.exists()):
                path, status = carry_out(spec, results, device, console, cores, timed), "done"
            elif again is not None:
                path = processes.from_main(lambda: measure_again(spec, results, device, console, again))
                status = "done"
    return outcome(spec, path, status, console)


def tidy(spec: Spec, path: Path, results: Path) -> None:
    """Finish, or clear, what a command that was killed left of a run: of its record, and of its training."""
    checkpoint = folders.root() / "runs" / spec.run_id / CHECKPOINT
    kinds = ("partial", "ready")
    ends = (".json", ".npz", ".samples.npz")
    if any(files.left(path.with_suffix(end), *kinds) for end in ends) or (path.exists() and checkpoint.exists()):
        with folders.locked(f"run-{spec.run_id}"):
            disk.finish(path)
            if path.exists():
                checkpoint.unlink(missing_ok=True)
    if path.exists():
        for place in (spec.place, *spec.others.values()):
            teach.publish(place, results)


def outcome(spec: Spec, path: Path, status: str, console: Console) -> dict[str, Any]:
    """What a run's record says, told and returned."""
    record = processes.from_main(lambda: disk.read(path))
    main, retention = record.metrics.main, record.metrics.retention
    low, high = main.ci95
    kept = "" if retention is None else f"  retention {retention:.1%}"
    console(f"  {status}: {main.name} {100 * main.value:.2f} [{100 * low:.2f}, {100 * high:.2f}]{kept}  {path}")
    if record.kept_start:
        console("  kept its start: no update made it better on dev")
    if record.efficiency.samples is None:
        console("  not timed: the same command with --remeasure in place of --no-measure does that")
    if record.tuned:
        console(f"  with the settings that were best on dev in {disk.TUNING}/{record.tuned}")
    found = {
        "record": str(path), "metric": main.name, "value": main.value, "retention": retention,
        "kept_start": record.kept_start,
    }  # fmt: skip
    return describe(spec, status) | found


def is_finished(spec: Spec, results: Path) -> bool:
    return disk.path_of(results, spec.values, spec.run_id).exists()


def describe(spec: Spec, status: str) -> dict[str, Any]:
    values = {key: spec.values[key] for key in ("task", "method", "student", "seed")}
    empty = {"record": None, "metric": None, "value": None, "retention": None, "kept_start": None}
    return {"run_id": spec.run_id} | values | {"status": status} | empty


def failure(outcomes: Sequence[Mapping[str, Any]]) -> str:
    """What went wrong, in one sentence."""
    failed = [o for o in outcomes if o["status"] == "failed"]
    if len(outcomes) > 1:
        return f"{len(failed)} of {len(outcomes)} runs failed, the first one: {failed[0]['error']}"
    return str(failed[0]["error"]) + (f" (details: {failed[0]['log']})" if "log" in failed[0] else "")


def check_writable(folder: Path) -> None:
    """RequestError before any work is done, rather than a lost record after it."""
    folders.make_folder(folder)
    try:
        TemporaryFile(dir=folder).close()
    except OSError as error:
        raise RequestError(f"cannot write into the folder {folder}: {error.strerror}") from None


def choose_device(name: str) -> torch.device:
    """auto: the CUDA GPU where there is one; a Mac's has to be asked for. RequestError: no such device, or it is not
    here."""
    processes.check_device(name)
    if name == "cuda" and not torch.cuda.is_available():
        raise RequestError("--device cuda: torch sees no CUDA device here; leave it out to run on the CPU")
    if name == "mps" and not torch.backends.mps.is_available():
        raise RequestError("--device mps: torch sees no GPU of a Mac here; leave it out to run on the CPU")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)
