"""A finished run's student as a folder that plain libraries load, with a model card. Checked before it is there."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.base.console import Console
from bench.errors import BenchError, RequestError, unknown
from bench.export import card, hf, onnx
from bench.network import Network
from bench.networks.inference import outputs
from bench.records import disk
from bench.records.schemas import Record
from bench.runs import replay
from bench.runs.protocol import build_student, make_teacher
from bench.runs.spec import Spec
from bench.store import folders
from bench.training import checkpoint

FORMATS = ("hf", "onnx")
TOLERANCE = 1e-4  # largest difference of an output, for outputs up to 1; of their size beyond that. fp32, our choice
ODD = ("", " ", "[CLS] [PAD] [UNK] [MASK]")  # inputs that tokenizers are known to treat in their own ways


def export(
    run: str, kind: str, out: Path, results: Path, data_dir: Path | None, force: bool, console: Console
) -> dict[str, Any]:
    """Write the folder; what `bench export --json` prints. RequestError: no such run, its student is gone, the format
    cannot hold it. BenchError: the folder does not compute what the student computes; nothing is left then."""
    if kind not in FORMATS:
        raise unknown("format", kind, FORMATS)
    if kind == "onnx":
        onnx.check_installed()
    check_place(out, results, force)
    path = replay.find_record(results, run)
    record = disk.read(path)
    check_kept(record)
    spec = replay.spec_of(record, data_dir)
    console(f"{spec.label}  ({record.run_id})")
    network = rebuild(spec)
    with temporary(out) as folder, redirect_stdout(sys.stderr):  # the libraries may talk; --json must not
        difference = write(kind, network, spec, folder)
        console(f"  read back: {len(samples(spec))} inputs, largest difference {difference:.1e}")
        card.write(folder, record, kind, network, spec, card.siblings(path, record))
        files = publish(folder, out)
    return {
        "run_id": record.run_id, "format": kind, "out": str(out), "files": files, "largest_difference": difference,
    }  # fmt: skip


def check_place(out: Path, results: Path, force: bool) -> None:
    """RequestError: the folder is not ours to write, or holds what --force must not remove."""
    place = out.resolve()
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise RequestError(f"--out {out} is not a folder")
    if not out.exists() or not any(out.iterdir()):
        return
    if not force:
        raise RequestError(
            f"--out {out} is not empty: choose another folder, or say --force to replace all that is in it"
        )
    kept = [Path.cwd(), Path.home(), results.resolve(), folders.root().resolve()]
    if any(p.is_relative_to(place) for p in kept) or (place / ".git").exists():
        raise RequestError(
            f"--out {out} holds more than an export, so --force does not replace it: choose another folder"
        )


def weights_of(run_id: str) -> Path:
    return folders.root() / "runs" / run_id / "student.safetensors"


def check_kept(record: Record) -> None:
    """RequestError: the student's weights are no longer in the store; says how to make them again."""
    weights = weights_of(record.run_id)
    if not weights.exists():
        again = shlex.join([*replay.command_of(record), "--results", "again"])
        raise RequestError(
            f"the student of {record.run_id} is not in the store ({weights}): train it again with `{again}`, then "
            "export it; in another results folder, because runs that have a record are skipped"
        )


def rebuild(spec: Spec) -> Network:
    """The student of a finished run, on the CPU, ready to predict."""
    if spec.task.goal.outputs:
        raise RequestError(f"bench export writes sentence encoders; {spec.task.name} has a '{spec.task.kind}' student")
    with folders.locked(f"run-{spec.run_id}"):
        kept = checkpoint.load(weights_of(spec.run_id))
    if kept is None:
        raise RequestError(f"the student of {spec.run_id} is no longer in the store: run it again")
    tensors, state = kept
    teacher = make_teacher(spec, torch.device("cpu"), Console(quiet=True))
    network = build_student(spec, teacher, blueprint=state.get("blueprint"))
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise BenchError(f"{weights_of(spec.run_id)} does not fit the student {spec.values['student']}") from error
    return network.eval()


def write(kind: str, network: Network, spec: Spec, folder: Path) -> float:
    """Put the student into the folder, read it back; the largest difference of an output. BenchError: too large."""
    form = {"hf": hf, "onnx": onnx}[kind]
    output = spec.task.goal.output
    try:
        form.write(network, output, folder)
        difference = largest_difference(network, output, form.read(folder), samples(spec))
    except BenchError:
        raise
    except Exception as error:  # a full disk, or the libraries refuse what was written: each in types of its own
        raise BenchError(f"cannot export the student: {type(error).__name__}: {str(error)[:300]}") from error
    if not difference <= TOLERANCE:
        raise BenchError(
            f"the folder does not compute what the student computes (largest difference {difference:.1e}, at most "
            f"{TOLERANCE:.0e} is allowed): nothing was written"
        )
    return difference


def samples(spec: Spec) -> list[str]:
    """Real inputs of dev and of training (none of test), odd ones, and one that is longer than any limit."""
    text = spec.task.examples("distil").inputs
    return [*spec.task.inputs("dev")[:8], *text[:24], *ODD, " ".join(text[:200])]


def largest_difference(
    network: Network, output: str, read: Callable[[Sequence[str]], np.ndarray], texts: Sequence[str]
) -> float:
    """max |found - expected| / max(1, max |expected|), with all inputs in one batch, and some of them alone."""
    expected = outputs(network, network.encode(texts), frozenset({output}))[output]
    alone = [0, *range(len(texts) - len(ODD) - 1, len(texts))]
    together = np.abs(read(texts) - expected).max()
    apart = max(np.abs(read([texts[i]])[0] - expected[i]).max() for i in alone)
    scale = max(1.0, float(np.abs(expected).max()))
    return float(np.maximum(together, apart)) / scale  # np.maximum: not a number stays so


@contextmanager
def temporary(out: Path) -> Iterator[Path]:
    """A folder beside the target that is gone afterwards, whatever happens."""
    folders.make_folder(out.absolute().parent)
    folder = out.absolute().with_name(f".{out.absolute().name}-{os.getpid()}.partial")
    shutil.rmtree(folder, ignore_errors=True)
    folders.make_folder(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def publish(folder: Path, out: Path) -> list[str]:
    """Put the finished folder in its place; the names of its files."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    names = [p.relative_to(folder).as_posix() for p in files]
    old = folder.with_suffix(".old")
    try:
        for path in files:
            path.chmod(0o644)
        if out.exists():
            out.replace(old)
        folder.replace(out)
    except OSError as error:
        if old.exists() and not out.exists():
            old.replace(out)
        raise BenchError(f"cannot write {out}: {error.strerror}") from error
    shutil.rmtree(old, ignore_errors=True)
    return names
