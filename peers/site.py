"""How long the site takes: from nothing, after one changed run, and beside a plain load of the same JSON files.

    python peers/site.py [--records 10000] [--browser]

Makes synthetic records in a temporary folder, in the shape of one that is committed: 19 methods x 3 students x 3 seeds
a board, 500 test examples, with predictions, so that every pair of rows is compared. Each build is a new process, whose
Python keeps compiled modules, as it does for whoever does not forbid it.
"""

from __future__ import annotations

import argparse
import copy
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
METHODS = [f"method{i:02d}" for i in range(17)] + ["finetune", "kd"]
ROUNDS = 7
STUDENTS, SEEDS, EXAMPLES, CLASSES = ("bert:3", "bert:4x312", "bilstm:1x256"), (0, 1, 2), 500, 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--browser", action="store_true", help="time sorting and filtering in Chromium (Playwright)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results, out = Path(folder, "results"), Path(folder, "site")
        os.environ["BENCH_CACHE"] = str(Path(folder, "cache"))
        paths = write(results, options.records)
        plain = load(paths)
        print(f"{len(paths)} records; plain JSON load of all: {plain}")
        print(f"from nothing: {build(results, out).beside(plain)}")
        for what, edit in {
            "timed anew": time_anew,
            "with other predictions": run_anew,
            "unchanged": lambda _: None,
        }.items():
            costs = []
            for round_ in range(ROUNDS):
                edit(paths[len(paths) // 2 + round_])
                costs.append(build(results, out))
            costs.sort(key=lambda cost: cost.wall)
            low, high = costs[0].wall, costs[-1].wall
            print(f"one run {what}, {ROUNDS} builds from {low:.2f} to {high:.2f} s: {costs[ROUNDS // 2].beside(plain)}")
        pages = sorted(out.rglob("*.html"), key=lambda path: -path.stat().st_size)
        print(f"{len(pages)} pages, the largest: {pages[0].relative_to(out)}, {pages[0].stat().st_size / 1000:.0f} kB")
        if options.browser:
            look(max(out.glob("tasks/*.html"), key=lambda path: path.stat().st_size))


def timed(work: Any) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


@dataclass(frozen=True)
class Cost:
    """Seconds on the clock, and of all processors in a program and in the system: on a busy machine only the latter
    say much, and their ratio to those of a plain load says most."""

    wall: float
    user: float
    system: float

    @property
    def cpu(self) -> float:
        return self.user + self.system

    def __str__(self) -> str:
        return f"{self.wall:.2f} s, CPU {self.cpu:.2f} s ({self.user:.2f} user + {self.system:.2f} system)"

    def beside(self, other: Cost) -> str:
        return f"{self}; {self.wall / other.wall:.2f} x the load's time, {self.cpu / other.cpu:.2f} x its CPU"


def load(paths: list[Path]) -> Cost:
    """Reading and parsing all records, in this process."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    wall = timed(lambda: [json.loads(path.read_bytes()) for path in paths])
    return since(before, resource.getrusage(resource.RUSAGE_SELF), wall)


def build(results: Path, out: Path) -> Cost:
    """The command with the start of Python and with the processes that it starts, all of which it waits for."""
    command = [sys.executable, "-m", "bench", "site", "build", "--results", str(results), "--out", str(out)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall = timed(lambda: subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL))
    return since(before, resource.getrusage(resource.RUSAGE_CHILDREN), wall)


def since(before: resource.struct_rusage, now: resource.struct_rusage, wall: float) -> Cost:
    return Cost(wall, now.ru_utime - before.ru_utime, now.ru_stime - before.ru_stime)


def write(results: Path, count: int) -> list[Path]:
    """Records of as many boards as it takes."""
    base = json.loads(next((ROOT / "results" / "lite" / "text" / "trec" / "kd").rglob("*.json")).read_bytes())
    found: list[Path] = []
    for board in range(-(-count // (len(METHODS) * len(STUDENTS) * len(SEEDS)))):
        rng = np.random.default_rng(board)
        gold = rng.integers(CLASSES, size=EXAMPLES)
        teacher = noisy(gold, 0.95, rng)
        for m, method in enumerate(METHODS):
            for s, student in enumerate(STUDENTS):
                for seed in SEEDS:
                    if len(found) < count:
                        made = noisy(gold, 0.9 - 0.04 * s - 0.004 * m, rng)
                        raw = record(base, f"text/synthetic{board:03d}", method, student, seed)
                        found.append(store(results, raw, gold, teacher, made))
    return found


def noisy(gold: np.ndarray, right: float, rng: np.random.Generator) -> np.ndarray:
    """Labels of which about this share is right."""
    return np.where(rng.random(len(gold)) < right, gold, (gold + 1) % CLASSES)


def record(base: dict[str, Any], task: str, method: str, student: str, seed: int) -> dict[str, Any]:
    raw = copy.deepcopy(base)
    raw["spec"] |= {"task": task, "method": method, "student": student, "seed": seed}
    raw["spec"]["data"]["identity"] = raw["data"]["identity"] = task.ljust(16, "0")
    raw["run_id"] = hashlib.sha256(json.dumps(raw["spec"], sort_keys=True).encode()).hexdigest()[:16]
    raw["student"]["name"] = student
    scale = 1 + STUDENTS.index(student)
    raw["efficiency"]["latency"]["single"]["p50_ms"] *= 1 / scale
    return raw


def store(results: Path, raw: dict[str, Any], gold: np.ndarray, teacher: np.ndarray, made: np.ndarray) -> Path:
    """The record beside its predictions, as a run leaves them."""
    from bench.base.archive import pack
    from bench.base.files import sha256
    from bench.records.arrays import flatten
    from bench.records.disk import path_of

    path: Path = path_of(results, raw["spec"], raw["run_id"])
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {"prediction": made, "gold": gold, "teacher": teacher}
    name = "synthetic"
    data = pack(flatten({name: {k: a.astype(np.int16) for k, a in arrays.items()}}))
    path.with_suffix(".npz").write_bytes(data)
    score, above = float((made == gold).mean()), float((teacher == gold).mean())
    for part, value in ((raw["metrics"], score), (raw["teacher"], above)):
        part["main"] |= {"name": "accuracy", "dataset": name, "value": value, "ci95": [value - 0.03, value + 0.03]}
    raw["metrics"] |= {"all": {name: {"accuracy": score}}, "retention": score / above, "loyalty": {}}
    raw["teacher"]["metrics"] = {name: {"accuracy": above}}
    raw["predictions"] = {"file": f"{raw['run_id']}.npz", "sha256": sha256(data)}
    path.write_text(json.dumps(raw), encoding="utf-8")
    return path


def time_anew(path: Path) -> None:
    """What `bench run --remeasure` changes of a record: its timings."""
    raw = json.loads(path.read_bytes())
    raw["efficiency"]["latency"]["single"]["p50_ms"] *= 1.01
    path.write_text(json.dumps(raw), encoding="utf-8")


def run_anew(path: Path) -> None:
    """Another answer to one example, and the record that goes with it."""
    from bench.base.archive import pack
    from bench.base.files import sha256
    from bench.records.arrays import flatten, unpack

    raw, stored = json.loads(path.read_bytes()), unpack(path.with_suffix(".npz"))
    ((name, arrays),) = stored.items()
    place = int(np.flatnonzero(arrays["prediction"] == arrays["gold"])[0])
    arrays["prediction"][place] = (arrays["gold"][place] + 1) % CLASSES
    data = pack(flatten(stored))
    path.with_suffix(".npz").write_bytes(data)
    score = float((arrays["prediction"] == arrays["gold"]).mean())
    raw["metrics"]["main"]["value"] = raw["metrics"]["all"][name]["accuracy"] = score
    raw["metrics"]["retention"] = score / raw["teacher"]["main"]["value"]
    raw["predictions"]["sha256"] = sha256(data)
    path.write_text(json.dumps(raw), encoding="utf-8")


def look(page: Path) -> None:
    """Seconds in the browser until a board stands, is sorted and is filtered."""
    import shutil

    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page()
        opened = timed(lambda: tab.goto(page.as_uri()))
        head = tab.locator("th[data-col=retention] button")
        sorted_ = timed(head.click)
        filtered = timed(lambda: tab.fill("input[name=find]", "kd"))
        rows = tab.locator("table.board tbody tr").count()
        print(f"{rows} rows in the browser: open {opened:.2f} s, sort {sorted_:.2f} s, filter {filtered:.2f} s")
        browser.close()


if __name__ == "__main__":
    main()
