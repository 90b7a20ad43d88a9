"""A finished run's student as a folder that plain libraries load, with a model card, checked before it is there; or its
rankings as the field's own tools read them."""

from __future__ import annotations

import glob
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from bench.base.console import Console
from bench.errors import BenchError, RequestError, unknown
from bench.export import card, heads, hf, mteb, onnx, runtime, trec, word_heads
from bench.inputs import Texts, texts
from bench.network import Network
from bench.networks.inference import outputs
from bench.networks.transformer import TransformerClassifier
from bench.networks.words import WordNetwork
from bench.plugins import registry
from bench.records import disk, exportable, finding
from bench.runs import replay
from bench.runs.protocol import restore, retrain, weights_of
from bench.runs.spec import Spec
from bench.runs.sweep import choose_device
from bench.store import folders
from bench.training.evaluation import Evaluation

FORMATS = ("hf", "onnx", "int8", "trec")
TOLERANCE = 1e-4  # largest difference of an output, for outputs up to 1; of their size beyond that. fp32, our choice
ODD = ("", " ", "[CLS] [PAD] [UNK] [MASK]")  # inputs that tokenizers are known to treat in their own ways


def export(
    run: str, kind: str, out: Path, results: Path, data_dir: Path | None, force: bool, console: Console,
    named: Sequence[Path] = (), again: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Write the folder; what `bench export --json` prints. `named`: plug-ins given by path that the record may name.
    `again`: a student that is no longer in the store is trained again.

    RequestError: no such run, its student is gone, the format cannot hold it, a file that the user has not named.
    BenchError: the folder does not compute what the student computes; nothing is left then.
    """
    if kind not in FORMATS:
        raise unknown("format", kind, FORMATS)
    if kind in runtime.FORMS:
        onnx.check_installed()
    check_place(out, results, force)
    path = finding.record(results, run)
    record = disk.read(path)
    with registry.trusting(named):
        spec = replay.spec_of(record, data_dir)
    console(f"{spec.label}  ({record.run_id})")
    if again and kind != "trec" and not weights_of(spec).is_file():
        retrain(spec, choose_device("auto"), console)
        console(f"  the card shows the scores of the record, with {record.metrics.dev:.4f} on dev")
    network = None if kind == "trec" else rebuild(spec)
    difference: float | None = None
    rounded: dict[str, float] | None = None  # scores on dev of the student and of its int8 form
    with replacing(out) as folder, redirect_stdout(sys.stderr):  # the libraries may talk; --json must not
        if network is None:
            trec.write(folder, path, record, spec, console)
        else:
            difference = write(kind, network, spec, folder)
            console(f"  read back: largest difference {difference:.1e}")
            if kind == "int8":
                rounded = {"student": record.metrics.dev, "int8": judged(folder, network, spec)}
                console(f"  on dev {rounded['int8']:.4f}, {rounded['student']:.4f} in float32")
            tasks = mteb.write(folder, out.name, record, spec.task.on_hub()) if kind == "hf" else ()
            card.write(folder, path, record, kind, network, spec, tasks, rounded)
        files = sorted(p for p in folder.rglob("*") if p.is_file())
        names = [p.relative_to(folder).as_posix() for p in files]
        for file in files:
            file.chmod(0o644)
    return {
        "run_id": record.run_id, "format": kind, "out": str(out), "files": names, "largest_difference": difference,
        "dev": rounded,
    }  # fmt: skip


def judged(folder: Path, network: Network, spec: Spec) -> float:
    """The folder's graph made into 8 bits, and its score on dev: whether to take it is a choice, as any made there."""
    dev = Evaluation(spec.task, "dev")
    return dev.score(dev.outputs(runtime.quantised(folder, network, spec.task.goal.output)))


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


def rebuild(spec: Spec) -> Network:
    """The student of a finished run, on the CPU, ready to predict."""
    headless = spec.task.goal.output != "logits"
    try:
        with folders.locked(f"run-{spec.run_id}"):
            network = restore(spec, torch.device("cpu"), Console(quiet=True))[0].eval()
    except RuntimeError as error:
        raise BenchError(f"{weights_of(spec)} does not fit the student {spec.values['student']}") from error
    if not headless and not isinstance(network, TransformerClassifier | WordNetwork):
        raise RequestError(exportable.encoders_alone(spec.task.name, spec.task.kind))
    return network


def write(kind: str, network: Network, spec: Spec, folder: Path) -> float:
    """Put the student into the folder, read it back; the largest difference of an output. BenchError: too large."""
    kind = "onnx" if kind == "int8" else kind  # which is made of it
    form = {"hf": hf, "onnx": onnx}[kind]
    output = spec.task.goal.output
    try:
        if isinstance(network, TransformerClassifier):
            difference = heads.difference(network, *heads.write(kind, network, folder), some(spec))
        elif isinstance(network, WordNetwork) and output == "logits":
            if kind == "hf":
                raise RequestError("transformers has no architecture of this student: use --format onnx")
            difference = word_heads.difference(network, word_heads.write(network, folder), some(spec))
        else:
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


def some(spec: Spec) -> Texts:
    """Real inputs of dev and of training, none of test, as the task has them."""
    dev, train = texts(spec.task.inputs("dev")), texts(spec.task.examples("distil").inputs)
    return dev.take(range(min(8, len(dev)))) + train.take(range(min(24, len(train))))


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
def replacing(out: Path) -> Iterator[Path]:
    """A folder that is put in the place of `out` when all goes well, and is gone when it does not; what a command that
    was killed has left goes first."""
    out = out.absolute()
    folders.make_folder(out.parent)
    with folders.locked(f"export-{folders.content_key(out=str(out))}"):
        for left in out.parent.glob(f".{glob.escape(out.name)}-????????.partial"):
            shutil.rmtree(left, ignore_errors=True)
        with scratch_of(out) as new:
            yield new


@contextmanager
def scratch_of(out: Path) -> Iterator[Path]:
    with TemporaryDirectory(prefix=f".{out.name}-", suffix=".partial", dir=out.parent) as scratch:
        new, old = Path(scratch) / "new", Path(scratch) / "old"
        new.mkdir()
        yield new
        try:
            if out.exists():
                out.replace(old)
            new.replace(out)
        except OSError as error:
            if old.exists():
                old.replace(out)
            raise BenchError(f"cannot write {out}: {error.strerror}") from error
