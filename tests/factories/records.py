"""Records as runs leave them, made up: no run is needed to build a board, a page or a comparison."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench.base import files
from bench.base.archive import pack
from bench.records import disk
from bench.records.arrays import flatten
from bench.records.schemas import Record

TRACK = {"updates": 80, "batch_size": 32}
CPU = "CPU: Testium 3, 4 cores"
GOLD = np.random.default_rng(0).normal(size=400)


def size(total: int, disk_bytes: int, p50: float, per_s: float) -> dict[str, Any]:
    """Counts and timings of one network."""
    tables = 11_918_592
    return {
        "parameters": {"total": total, "embedding": tables, "active": total - tables}, "disk_bytes": disk_bytes,
        "flops": {"mean": 40.0 * (total - tables)}, "memory_bytes": 5 * total, "tokens": {"mean": 20.0, "padding": 0.1},
        "latency": {"single": {"p50_ms": p50, "p90_ms": p50 + 1}}, "throughput": {"offline_per_s": per_s},
        "energy": None,
    }  # fmt: skip


def run_id_of(spec: Mapping[str, Any]) -> str:
    """As docs/design.md defines it: a hash of all that decides a result."""
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()[:16]


def make(method: str = "kd", seed: int = 0, value: float = 0.75, **changes: Any) -> Record:
    """A record as `bench run` writes it. `changes`: of the spec by name, or of a part by `part__key`."""
    spec = {
        "task": "sts", "track": "mini", "method": method, "student": "bert:3", "teacher": "all-MiniLM-L6-v2",
        "seed": seed,
        "data": {"source": "packaged", "identity": "d" * 16},
        "settings": {"track": TRACK, "method": {"lr": 2e-4}, "student": {"init": "teacher"}},
        "versions": {"teacher": "mini==0.1#", "task": 1, "method": 1, "student": 1},
    } | {k: v for k, v in changes.items() if "__" not in k}  # fmt: skip
    run_id = run_id_of(spec)
    main = {"name": "spearman", "dataset": "lee", "value": value, "ci95": (value - 0.04, value + 0.03)}
    raw: dict[str, Any] = {
        "schema": 2, "run_id": run_id, "spec": spec,
        "data": {
            "source": "packaged", "identity": spec["data"]["identity"], "title": "Sentence similarity",
            "origin": "gensim", "revision": "gensim 4.4.0", "licence": "LGPL-2.1", "citation": "Lee et al. 2005",
            "notes": ["a small task"],
            "splits": {"distil": "sentences", "dev": "word pairs", "test": "pairs of documents"},
            "sizes": {"distil": 1234, "dev": 1352, "test": 1225, "lee": 1225},
        },
        "teacher": {
            "name": spec["teacher"], "identity": spec["versions"]["teacher"], "fingerprint": "f" * 16,
            "metrics": {"lee": {"pearson": 0.81, "spearman": 0.8}},
            "main": main | {"value": 0.8, "ci95": (0.7, 0.88)},
            "efficiency": size(22_713_216, 90_868_376, 8.0, 200.0),
        },
        "student": {"name": spec["student"], "origin": "layers 0, 2 and 5 of the teacher", "width": 384},
        "metrics": {
            "main": main, "all": {"lee": {"pearson": value + 0.01, "spearman": value}}, "retention": value / 0.8,
            "loyalty": {"lee": {"rank": 0.9}}, "dev": 0.5,
            "choices": [{"what": "checkpoint of stage distil", "split": "dev", "step": 80, "value": 0.5}],
        },
        "efficiency": size(17_389_824, 69_571_560, 4.0 + seed, 400.0) | {
            "speedup": (speedup := {"value": 2.0 - 0.1 * seed, "ci95": (1.8 - 0.1 * seed, 2.1 - 0.1 * seed)}),
            "speedups": {"single": speedup, "offline": speedup}, "scope": "model only", "device": CPU, "threads": 2,
            "inputs": 128, "noisy": False,
            "noise": [], "seen": {"load": 0.1, "foreign": 0.01, "spread": 0.02}, "notes": ["128 inputs"],
            "samples": {"file": f"{run_id}.samples.npz", "sha256": hashlib.sha256(run_id.encode()).hexdigest()},
            "measured": "2025-01-01T10:00:50+00:00", "commit": None, "dirty": None,
        },
        "cost": {
            "student_updates": 80, "stages": {"distil": 80}, "teacher_forwards": 1000 if seed == 0 else 0,
            "teacher_forwards_reused": 0 if seed == 0 else 1000, "train_seconds": 10.0 + seed,
            "teacher_seconds": 5.0 if seed == 0 else 0.0, "teacher_seconds_reused": 0.0 if seed == 0 else 5.0,
            "energy_j": None, "energy_source": None,
        },
        "curve": [
            {"stage": "distil", "step": 0, "losses": {}, "dev": 0.31},
            {"stage": "distil", "step": 40, "losses": {"kl": 0.25}},
            {"stage": "distil", "step": 80, "losses": {"kl": 0.125}, "dev": 0.5},
        ],
        "environment": {"device": CPU, "python": "3.11.7", "libraries": {"torch": "2.11.0"}},
        "provenance": {
            "command": f"bench run --task sts --method {method} --seeds {seed}", "commit": None, "dirty": None,
            "version": "0.1.0", "started": "2025-01-01T10:00:00+00:00", "finished": "2025-01-01T10:01:00+00:00",
        },
        "predictions": {"file": f"{run_id}.npz", "sha256": "0" * 64},
    }  # fmt: skip
    for path, new in changes.items():
        *parts, key = path.split("__")
        target = raw
        for part in parts:
            target = target[part]
        if parts:
            target[key] = new
    return Record.model_validate(raw)


def settings(**method: Any) -> dict[str, Any]:
    return {"track": TRACK, "method": method, "student": {"init": "teacher"}}


def predictions(noise: float, seed: int, taught: bool = False) -> dict[str, dict[str, np.ndarray]]:
    """Gold plus noise on one data set; the seed's own half is not shared with other methods."""
    shared, own = (np.random.default_rng(key).normal(size=400) for key in ([1], [2, seed, round(1000 * noise)]))
    arrays = {"prediction": GOLD + noise * (shared + own), "gold": GOLD}
    return {"lee": arrays | ({"teacher": GOLD + 0.1 * shared} if taught else {})}


def put(results: Path, noise: float, method: str = "kd", seed: int = 0, taught: bool = False, **changes: Any) -> Path:
    """A record of a simulated run beside its predictions."""
    arrays = flatten(predictions(noise, seed, taught))
    record = make(method, seed, **changes)
    record.predictions.file = f"{record.run_id}.npz"
    record.predictions.sha256 = files.sha256(pack(arrays))
    return disk.write(results, record, arrays, {"single": {"student": [[1]]}})
