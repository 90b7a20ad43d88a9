"""Runs as a plain table: a row a run, as the site's downloads and the Python API show it."""

from __future__ import annotations

from typing import TypedDict

from bench.records.schemas import Record
from bench.records.specs import checked_spec


class RunRow(TypedDict):
    """The columns (docs/api.md says what each of them means)."""

    run_id: str
    board: str
    task: str
    track: str
    method: str
    student: str
    teacher: str
    seed: int
    metric: str
    dataset: str
    score: float
    score_low: float
    score_high: float
    teacher_score: float | None
    retention: float | None
    dev: float
    kept_start: bool
    parameters: int
    active: int
    disk_bytes: int
    flops: float | None
    memory_bytes: int | None
    device: str
    threads: int
    latency_ms: float | None
    latency_p90_ms: float | None
    latency_p99_ms: float | None
    offline_per_s: float | None
    speedup: float | None
    speedup_low: float | None
    speedup_high: float | None
    noisy: bool
    updates: int
    teacher_forwards: int | None
    teacher_forwards_reused: int
    train_seconds: float
    teacher_seconds: float | None
    teacher_seconds_reused: float
    energy_j: float | None
    commit: str | None
    command: str
    finished: str
    data_identity: str
    licence: str
    tuned: str | None
    record: str


def run_row(record: Record, path: str, board: str) -> RunRow:
    """One run; `path`: of its record, `board`: the slug of its board."""
    spec, e, c, m = checked_spec(record), record.efficiency, record.cost, record.metrics
    single = e.latency.get("single", {})
    return {
        "run_id": record.run_id, "board": board, "task": spec.task, "track": spec.track, "method": spec.method,
        "student": spec.student, "teacher": spec.teacher, "seed": spec.seed, "metric": m.main.name,
        "dataset": m.main.dataset, "score": m.main.value, "score_low": m.main.ci95[0], "score_high": m.main.ci95[1],
        "teacher_score": record.teacher.main.value if record.teacher.main else None,
        "retention": m.retention, "dev": m.dev, "kept_start": record.kept_start,
        "parameters": e.parameters.total, "active": e.parameters.active, "disk_bytes": e.disk_bytes,
        "flops": e.flops.get("mean"), "memory_bytes": e.memory_bytes, "device": e.device, "threads": e.threads,
        "latency_ms": single.get("p50_ms"), "latency_p90_ms": single.get("p90_ms"),
        "latency_p99_ms": single.get("p99_ms"), "offline_per_s": e.throughput.get("offline_per_s"),
        "speedup": e.speedup.value if e.speedup else None,
        "speedup_low": e.speedup.ci95[0] if e.speedup else None,
        "speedup_high": e.speedup.ci95[1] if e.speedup else None,
        "noisy": e.noisy, "updates": c.student_updates, "teacher_forwards": c.teacher_forwards,
        "teacher_forwards_reused": c.teacher_forwards_reused, "train_seconds": c.train_seconds,
        "teacher_seconds": c.teacher_seconds, "teacher_seconds_reused": c.teacher_seconds_reused,
        "energy_j": c.energy_j, "commit": record.provenance.commit, "command": record.provenance.command,
        "finished": record.provenance.finished, "data_identity": record.data.identity,
        "licence": record.data.licence, "tuned": record.tuned, "record": path,
    }  # fmt: skip
