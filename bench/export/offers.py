"""Which runs `bench export` takes, as far as their records and the store tell: `bench recommend` names no other."""

from __future__ import annotations

import importlib.util

from bench.records import typed
from bench.records.exportable import formats, unfit
from bench.records.schemas import Record
from bench.records.specs import checked_spec
from bench.store import folders

PACKAGES = ("onnx", "onnxscript", "onnxruntime")


def command(record: Record) -> tuple[list[str], str]:
    """The command that exports a run (empty: none does), and what speaks against it, or that it trains again first;
    empty: nothing."""
    spec = checked_spec(record)
    if reason := unfit(spec):
        return [], reason
    kinds, data = formats(spec), typed.data_option(record, spec)
    if "hf" not in kinds and (reason := onnx_missing()):
        return [], reason
    words = ["bench", "export", record.run_id, "--format", kinds[0], "--out", "DIR", *data]
    if folders.student_of(record.run_id).is_file():
        return words, ""
    return [*words, "--retrain"], f"its student is not in this store: this trains it again, {again(record)}"


def again(record: Record) -> str:
    """What that takes."""
    return f"{record.cost.student_updates:,} updates, which took {record.cost.train_seconds:,.0f} s where it was run"


def onnx_missing() -> str:
    """Which packages of the extra are not there, and what to do; empty: all are there."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    what = f"--format onnx needs {', '.join(missing)}, from the 'onnx' extra: pip install 'bench-kd[onnx]'"
    return what if missing else ""
