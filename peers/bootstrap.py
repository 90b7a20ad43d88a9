"""Standard errors by bootstrap, and reading a folder of results: lm-evaluation-harness, mteb, and bench.

    python peers/bootstrap.py [--rounds 5] [--iterations 500] [--records 2000]

Bootstrap: lm-evaluation-harness's `bootstrap_stderr` in one process, with `--iterations` draws, and bench's draws for
the same metric and predictions. Both are given for 100,000 draws, lm-evaluation-harness's default: its seconds are
multiplied, as its draws cost the same one by one (so are bench's for Spearman, measured with 2,000). MCC and F1 on
1,043 examples (the size of CoLA dev); Spearman on 1,500 pairs (STS Benchmark dev), given to it as scipy's function.

Results: mteb's `ResultCache.load_results` and bench's reading of as many records, each in its own format, each checked
against its schema; and `bench site build` of all pages, from nothing and after one record has changed. Each is a new
process; imports are timed in the build alone, which is a command.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pairing

DRAWS = 100_000
METRICS = ("mcc", "f1", "spearman")
TARGETS = {"mcc": 1000.0, "f1": 1000.0, "spearman": 20.0}


def data(metric: str) -> tuple[np.ndarray, np.ndarray]:
    """(gold, prediction), made up: labels of which nine in ten are right; values with a correlation of about 0.85."""
    rng = np.random.default_rng(0)
    if metric == "spearman":
        gold = rng.normal(size=1500)
        return gold, gold + 0.6 * rng.normal(size=1500)
    gold = (rng.random(1043) < 0.69).astype(np.int64)
    return gold, np.where(rng.random(1043) < 0.9, gold, 1 - gold)


def theirs(o: Namespace, metric: str) -> pairing.Sample:
    try:
        from lm_eval.api import metrics
    except ImportError as error:
        raise pairing.Missing(f"lm-eval: {error}") from error
    from scipy.stats import spearmanr

    def spearman(items: list) -> float:
        return float(spearmanr(*zip(*items, strict=True)).statistic)

    score = {"mcc": metrics.matthews_corrcoef, "f1": metrics.f1_score, "spearman": spearman}[metric]
    items, found = list(zip(*(side.tolist() for side in data(metric)), strict=True)), pairing.Sample()
    os.environ["DISABLE_MULTIPROC"] = "1"
    with pairing.clock(found):
        error = metrics.bootstrap_stderr(score, items, iters=o.iterations)
    return {"cpu": found["cpu"] * DRAWS / o.iterations, "draws": o.iterations, "error": float(error)}


def ours(o: Namespace, metric: str) -> pairing.Sample:
    from bench.scoring.bootstrap import metric_draws
    from bench.scoring.metrics import METRICS

    gold, prediction = data(metric)
    draws, found = 2000 if metric == "spearman" else DRAWS, pairing.Sample()
    with pairing.clock(found):
        values = metric_draws(
            METRICS[metric], {"prediction": prediction, "gold": gold}, draws, np.random.default_rng(0)
        )
    return {"cpu": found["cpu"] * DRAWS / draws, "draws": draws, "error": float(np.std(values, ddof=1))}


def read_theirs(o: Namespace) -> pairing.Sample:
    try:
        from mteb import ResultCache
    except ImportError as error:
        raise pairing.Missing(f"mteb: {error}") from error
    found = pairing.Sample()
    with pairing.clock(found):
        results = ResultCache(cache_path=o.folder / "mteb").load_results(
            require_model_meta=False, include_remote=False, only_main_score=True
        )
    return found | {"records": sum(len(model.task_results) for model in results.model_results)}


def read_ours(o: Namespace) -> pairing.Sample:
    from bench.records import disk

    found = pairing.Sample()
    with pairing.clock(found):
        count = sum(1 for _ in disk.read_all(o.folder / "results"))
    return found | {"records": count}


def build(o: Namespace, cache: str) -> pairing.Sample:
    """`bench site build`, with what an earlier build left in `cache`."""
    command = [sys.executable, "-m", "bench", "site", "build", "--results", str(o.folder / "results"), "--out",
               str(o.folder / "site")]  # fmt: skip
    found = pairing.Sample()
    with pairing.clock(found):
        environment = os.environ | {"BENCH_CACHE": cache}
        subprocess.run(command, cwd=pairing.ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    return found


def carry_out(o: Namespace, name: str) -> pairing.Sample:
    """One variant, in this process."""
    what, _, side = name.partition(", ")
    if what in METRICS:
        return (ours if side == "ours" else theirs)(o, what)
    if what == "read":
        return (read_ours if side == "ours" else read_theirs)(o)
    if side == "from nothing":
        with tempfile.TemporaryDirectory() as empty:
            return build(o, empty)
    synthetic().time_anew(next((o.folder / "results").rglob("*.json")))
    return build(o, str(o.folder / "cache"))


def synthetic() -> Any:
    """The maker of records of peers/site.py, whose name the standard library has too."""
    spec = importlib.util.spec_from_file_location("synthetic_records", Path(__file__).with_name("site.py"))
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def write_theirs(folder: Path, count: int) -> None:
    """As many results in mteb's form, by its own writer: 20 tasks a model, ten scores of one split each."""
    from mteb.results import TaskResult

    rng = np.random.default_rng(0)
    for number in range(count):
        model, task = divmod(number, 20)
        scores = {name: float(rng.random()) for name in ("main_score", "accuracy", "f1", "f1_weighted", "ap", "recall")}
        split = {"hf_subset": "default", "languages": ["eng-Latn"], **scores}
        path = folder / "results" / f"owner__model{model:05d}" / "no_revision_available" / f"Task{task:02d}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        TaskResult(
            dataset_revision="1", task_name=path.stem, mteb_version="2", scores={"test": [split]}, evaluation_time=1.0
        ).to_disk(path)


def main() -> int:
    parser = pairing.parser(__doc__)
    parser.add_argument("--iterations", type=int, default=500)
    parser.add_argument("--records", type=int, default=2000)
    parser.add_argument("--folder", type=Path, help="of the written results")
    o = parser.parse_args()
    if o.one:
        print(json.dumps(carry_out(o, o.one)))
        return 0
    settings = {"draws": DRAWS, "iterations of the peer": o.iterations, "records": o.records}
    report = pairing.Report("bootstrap", "Statistics and results: lm-evaluation-harness, mteb", settings)
    given: tuple[object, ...] = ("--iterations", o.iterations)
    pairs = [f"{metric}, {side}" for metric in METRICS for side in ("peer", "ours")]
    report.samples = pairing.rounds(__file__, pairs, o.rounds, *given)
    for metric in METRICS:
        sides = f"{metric}, peer", f"{metric}, ours"
        report.ratio(f"lm-evaluation-harness / ours, bootstrap of {metric}", *sides, "cpu", TARGETS[metric])
        peer, mine = (np.mean([s["error"] for s in report.samples[side]]) for side in sides)
        report.check(f"{metric}: relative difference of the standard errors", abs(peer / mine - 1), 0.1)
    results(o, report)
    return report.close(o.json)


def results(o: Namespace, report: pairing.Report) -> None:
    """Reading, and building the pages."""
    with tempfile.TemporaryDirectory() as temporary:
        o.folder = Path(temporary)
        synthetic().write(o.folder / "results", o.records)
        try:
            write_theirs(o.folder / "mteb", o.records)
        except ImportError as error:
            raise pairing.Missing(f"mteb: {error}") from error
        build(o, str(o.folder / "cache"))
        names = ("read, peer", "read, ours", "build, from nothing", "build, one record changed")
        found = pairing.rounds(__file__, names, o.rounds, "--folder", o.folder)
    report.samples |= found
    counts = {s["records"] for name in names[:2] for s in found[name]}
    report.check("records that one side did not read", float(max(abs(c - o.records) for c in counts)), 0.0)
    report.ratio(f"mteb / ours, reading {o.records} records", "read, peer", "read, ours", "cpu")
    report.ratio("our build from nothing / after one change", "build, from nothing", "build, one record changed", "cpu")
    report.ratio("mteb reading / our build after one change", "read, peer", "build, one record changed", "cpu")


if __name__ == "__main__":
    pairing.finish(main)
