"""What the speed modes do to scores: each beside plain mode, over the same seeds.

    python peers/modes.py --data-dir data [--task glue/sst2] [--student bert:2x128] [--updates 150] [--seeds 5]
                           [--modes "signals in fp16" bfloat16]

Plain: batches in shuffled order, fp32 signals, torch's dropout, fp32. Each mode changes one of these, by `--set`.
A mode changes how a teacher is taught as well, and one other teacher moves all students alike: give one by `--teacher`.
Printed for each: mean and deviation of the main metric over seeds, the paired difference to plain with its 95% interval
(Student's t over seeds), and seconds of training.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

ROOT = Path(__file__).resolve().parent.parent
PLAIN = "batching=plain"
MODES = {
    "plain": [PLAIN],
    "dealt batches (the default)": [],
    "bucketed batches": ["batching=bucketed"],
    "signals in fp16": [PLAIN, "signals=float16"],
    "bfloat16": [PLAIN, "precision=bfloat16"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--task", default="glue/sst2")
    parser.add_argument("--method", default="kd")
    parser.add_argument("--student", default="bert:2x128")
    parser.add_argument("--updates", type=int, default=150)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--modes", nargs="+", choices=list(MODES), default=list(MODES), help="beside plain; all by default"
    )
    parser.add_argument("--teacher", help="a classifier's folder, one teacher for all modes; else each teaches its own")
    parser.add_argument("--cache", type=Path, help="a store that is kept, so that the teacher is taught once")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"BENCH_CACHE": str(options.cache or Path(folder, "cache"))}
        scores: dict[str, np.ndarray] = {}
        for mode in dict.fromkeys(["plain", *options.modes]):
            found = run(options, MODES[mode], Path(folder, "results"), environment)
            scores[mode] = np.array([100 * r["value"] for r in found])
            print(line(mode, scores, seconds(found)), flush=True)


def run(o: argparse.Namespace, settings: list[str], results: Path, environment: dict[str, str]) -> list[dict[str, Any]]:
    """The outcomes of all seeds, as `bench run --json` prints them."""
    command = [sys.executable, "-m", "bench", "run", "--task", o.task, "--method", o.method, "--student", o.student]
    command += ["--track", "lite", "--data-dir", str(o.data_dir.resolve()), "--results", str(results), "--json"]
    command += ["--teacher", str(Path(o.teacher).resolve())] if o.teacher else []
    command += ["--seeds", ",".join(map(str, range(o.seeds)))]
    chosen = [f"updates={o.updates}", "evaluations=2", *settings, *([] if o.teacher else [f"teach={o.updates}"])]
    command += [word for setting in chosen for word in ("--set", setting)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    found: list[dict[str, Any]] = json.loads(done.stdout)["runs"]
    return found


def seconds(found: list[dict[str, Any]]) -> float:
    """Mean seconds of the training loop, from the records."""
    return float(np.mean([json.loads(Path(r["record"]).read_text())["cost"]["train_seconds"] for r in found]))


def line(mode: str, scores: dict[str, np.ndarray], taken: float) -> str:
    own = scores[mode]
    text = f"{mode:32s} {own.mean():6.2f} sd {own.std(ddof=1):4.2f}  {taken:6.1f} s"
    difference = own - scores["plain"]
    if not difference.any():
        return text + ("" if mode == "plain" else "  equal to plain in every seed")
    spread = difference.std(ddof=1) / np.sqrt(len(own)) * stats.t.ppf(0.975, len(own) - 1)
    mean = difference.mean()
    return f"{text}  difference {mean:+.2f} ({mean - spread:+.2f} to {mean + spread:+.2f})"


if __name__ == "__main__":
    main()
