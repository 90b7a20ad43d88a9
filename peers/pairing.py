"""Two tools at the same work: runs in turn, each in a process of its own, and what may be said of their ratio.

A benchmark is a script that carries out one variant when it is started with `--one NAME` and prints what it saw as one
line of JSON. CPU seconds are user + system of all threads of that process; other programs on the machine move them
less than wall time, and what slows a whole round cancels in the ratio of its two runs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch: a thread that waits sleeps, on both sides alike

from bench.scoring.bootstrap import median_interval  # noqa: E402

OUT = ROOT / "build" / "peers"
PACKAGES = ("torch", "transformers", "sentence-transformers", "textbrewer", "lm-eval", "mteb", "numpy", "scikit-learn")
Sample = dict[str, Any]


class Missing(Exception):
    """A peer that cannot be imported: said and counted as a failure, never left out in silence."""


@dataclass
class Report:
    """What one benchmark saw; the file in build/peers holds all of it."""

    name: str
    title: str
    settings: dict[str, Any]
    machine: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    ratios: list[dict[str, Any]] = field(default_factory=list)
    checks: list[dict[str, Any]] = field(default_factory=list)

    def ratio(
        self, label: str, peer: str, ours: str, key: str, target: float | None = None, most: bool = False
    ) -> None:
        """Median over rounds of peer / ours (with `most`: ours / peer, which is to stay below the target)."""
        above, below = (ours, peer) if most else (peer, ours)
        values = [a[key] / b[key] for a, b in zip(self.samples[above], self.samples[below], strict=True)]
        value, (low, high) = median_interval(np.array(values))
        found = {"label": label, "of": above, "to": below, "key": key, "value": value, "low": low, "high": high}
        met = None if target is None else (value <= target if most else value >= target)
        self.ratios.append(found | {"rounds": len(values), "target": target, "most": most, "met": met})

    def check(self, label: str, value: float, limit: float, least: bool = False) -> None:
        """A gate: the value is at most (`least`: at least) the limit."""
        ok = value >= limit if least else value <= limit
        self.checks.append({"label": label, "value": value, "limit": limit, "least": least, "ok": bool(ok)})

    def close(self, as_json: bool) -> int:
        """Write it, print it; the exit status says whether the gates held. A missed target is printed, not an error."""
        self.machine, self.versions = machine(), installed()
        text = json.dumps(asdict(self), indent=1)
        OUT.mkdir(parents=True, exist_ok=True)
        (OUT / f"{self.name}.json").write_text(text, encoding="utf-8")
        print(text if as_json else "\n".join(lines(asdict(self))))
        return 0 if all(check["ok"] for check in self.checks) else 1


def lines(report: dict[str, Any]) -> Iterator[str]:
    """A report as text: every variant's medians, the gates, the ratios."""
    yield f"{report['title']}  {report['settings']}"
    for name, samples in report["samples"].items():
        keys = [k for k, v in samples[0].items() if isinstance(v, (int, float))]
        seen = "  ".join(f"{k} {np.median([s[k] for s in samples]):.4g}" for k in keys)
        yield f"  {name:32} {seen}  (median of {len(samples)})"
    for check in report["checks"]:
        yield check_line(check)
    yield from map(ratio_line, report["ratios"])


def check_line(c: dict[str, Any]) -> str:
    sign = ">=" if c["least"] else "<="
    return f"  {'ok  ' if c['ok'] else 'FAIL'} {c['label']}: {c['value']:.3g} {sign} {c['limit']:.3g}"


def ratio_line(r: dict[str, Any]) -> str:
    sign = "<=" if r["most"] else ">="
    target = "" if r["target"] is None else f"  target {sign} {r['target']:g}: {'met' if r['met'] else 'MISSED'}"
    return f"  {r['label']:64} {r['value']:9.3f}x  ({r['low']:.3f} to {r['high']:.3f}, {r['key']}){target}"


def rounds(script: str, variants: Sequence[str], count: int, *arguments: object, **environment: str) -> dict[str, list]:
    """`count` rounds of all variants, each round in another order, so that none always follows the same one."""
    samples: dict[str, list[Sample]] = {name: [] for name in variants}
    for number in range(count):
        for name in np.random.default_rng(number).permutation(list(variants)):
            samples[str(name)].append(one(script, str(name), *arguments, **environment))
            print(f"  round {number + 1}/{count}  {name}: {samples[str(name)][-1]}"[:150], file=sys.stderr, flush=True)
    return samples


def one(script: str, name: str, *arguments: object, **environment: str) -> Sample:
    """One variant in a new process. Missing: the peer is not there. RuntimeError: the process failed."""
    command = [sys.executable, script, "--one", name, *map(str, arguments)]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
    if done.returncode == 3:
        raise Missing(done.stderr.strip().splitlines()[-1])
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
    found: Sample = json.loads(done.stdout.strip().splitlines()[-1])
    return found


@contextmanager
def clock(found: Sample, prefix: str = "") -> Iterator[None]:
    """Adds the CPU and wall seconds of the block, those of ended child processes included."""
    before, started = cpu_seconds(), time.perf_counter()
    yield
    found[f"{prefix}cpu"] = cpu_seconds() - before
    found[f"{prefix}wall"] = time.perf_counter() - started


def cpu_seconds() -> float:
    """Of this process, all its threads, and its ended children."""
    times = os.times()
    return time.process_time() + times.children_user + times.children_system


def machine() -> dict[str, Any]:
    from bench.measuring.machine import cpu_name

    return {"cpu": cpu_name(), "cores": os.cpu_count(), "load": os.getloadavg(), "python": sys.version.split()[0]}


def installed() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def parser(description: str | None, threads: int = 1) -> argparse.ArgumentParser:
    """The options that all benchmarks share."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--data-dir", type=Path, default=Path("data"), help="folder of the unpacked data sets")
    made.add_argument("--rounds", type=int, default=5)
    made.add_argument("--threads", type=int, default=threads, help="of torch, the same for both")
    made.add_argument("--short", action="store_true", help="leave out variants that no target speaks of")
    made.add_argument("--json", action="store_true", help="print the report as JSON")
    made.add_argument("--one", help=argparse.SUPPRESS)
    return made


def finish(main: Any) -> None:
    """Run a benchmark's main; a peer that is not there ends it with status 1 (3 in the process of one variant)."""
    try:
        sys.exit(main())
    except Missing as error:
        print(f"the peer is missing: {error}", file=sys.stderr)
        sys.exit(3 if "--one" in sys.argv else 1)
