"""What `bench tune` tried: a line a method of a task, with the trials, and the runs that have the best settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.base.console import warn
from bench.base.groups import grouped
from bench.errors import RequestError
from bench.records import disk, tuning
from bench.records.specs import TRACK_ORDER, CheckedSpec, in_words
from bench.records.tuning import Trial, Tuning


def stamps(results: Path) -> dict[str, list[int]]:
    """Changes when a file of tunings does."""
    return {path.name: [path.stat().st_mtime_ns, path.stat().st_size] for path in paths(results)}


def paths(results: Path) -> list[Path]:
    """Plain files: a link may lead anywhere."""
    return sorted(p for p in (results / disk.TUNING).glob("*.json") if p.is_file() and not p.is_symlink())


def found(results: Path) -> list[dict[str, Any]]:
    """What pages show of each file; one that cannot be read is told, and left out."""
    told = []
    for path in paths(results):
        try:
            told.append(facts(path.name, tuning.read(path)))
        except (RequestError, KeyError, TypeError, ValueError) as error:  # of another form, or all trials failed
            warn(f"left out: {path}: {error}")
    return told


def facts(name: str, read: Tuning) -> dict[str, Any]:
    """As JSON holds it. ValueError: all trials failed."""
    spec, best, first = CheckedSpec.model_validate(read.asked), read.best, read.trials[0]
    return {
        "file": name, "task": spec.task, "track": spec.track, "method": spec.method, "student": spec.student,
        "teacher": spec.teacher, "identity": read.asked["data"]["identity"], "metric": read.metric, "seed": spec.seed,
        "sampler": read.sampler, "updates": read.updates, "seconds": read.seconds, "own_dev": first.dev,
        "best_dev": best.dev, "best_run": best.run_id, "chosen": settings(best),
        "space": {key: [own.low, own.high, own.log] for key, own in read.space.items()},
        "trials": [{"settings": settings(t), "dev": t.dev, "error": t.error} for t in read.trials],
    }  # fmt: skip


def settings(trial: Trial) -> str:
    """In words; empty: the method's own."""
    return ", ".join(f"{name}={in_words(value)}" for name, value in trial.settings.items())


def tables(told: Sequence[Mapping[str, Any]], runs: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A table of each task, track, data, student and teacher, methods by their best on dev; `runs` with the chosen
    settings beside each, whatever their seeds."""
    every = list(runs)

    def having(own: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        same = [run for run in every if run["tuned"] == own["file"] or run["run_id"] == own["best_run"]]
        return sorted(same, key=lambda run: run["seed"])

    names = ("task", "track", "identity", "student", "teacher", "metric")
    groups = grouped(told, lambda own: tuple(own[name] for name in names))
    made = [
        dict(zip(names, key, strict=True))
        | {"methods": [dict(o) | {"runs": having(o)} for o in sorted(own, key=lambda o: (-o["best_dev"], o["method"]))]}
        for key, own in groups.items()
    ]
    return sorted(made, key=lambda t: (t["task"], place(t["track"]), t["student"], t["teacher"], t["identity"]))


def place(track: str) -> int:
    return TRACK_ORDER.index(track) if track in TRACK_ORDER else len(TRACK_ORDER)
