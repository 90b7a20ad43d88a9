"""Which runs `bench export` takes, as far as their records and the store tell: `bench recommend` names no other."""

from __future__ import annotations

import importlib.util

from bench.records.exportable import formats, unfit
from bench.records.schemas import Record
from bench.records.specs import checked_spec
from bench.store import folders

PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def command(record: Record) -> tuple[list[str], str]:
    """The command that exports a run, and why it would be refused; empty: nothing speaks against it."""
    spec = checked_spec(record)
    if reason := unfit(spec):
        return [], reason
    kinds, data = formats(spec), ["--data-dir", "DATA"] if record.data.source == "directory" else []
    if "hf" not in kinds and (reason := onnx_missing()):
        return [], reason
    words = ["bench", "export", record.run_id, "--format", kinds[0], "--out", "DIR", *data]
    return words, "" if folders.student_of(record.run_id).is_file() else folders.gone(record.run_id)


def onnx_missing() -> str:
    """Which packages of the extra are not there, and what to do; empty: all are there."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    what = f"--format onnx needs {', '.join(missing)}, from the 'onnx' extra: pip install 'bench-kd[onnx]'"
    return what if missing else ""
