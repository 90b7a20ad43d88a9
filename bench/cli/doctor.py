"""What this machine can do, checked rather than assumed."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.measuring import machine
from bench.plugins import registry
from bench.sources import DataError, Source
from bench.store import folders

NO_BM25 = "not installed: retrieval needs it, pip install 'bench-kd[retrieval]'"
NO_HUB = "not installed: lite and full need --data-dir, or pip install 'bench-kd[hub]'"


def examine(results: Path) -> list[dict[str, Any]]:
    """Named checks, each with `ok` and a detail that says what was seen or what to do."""
    checks: dict[str, Callable[[], str]] = {
        "python": lambda: f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "libraries": lambda: ", ".join(f"{k} {v}" for k, v in machine.versions().items()),
        "device": _device,
        "plug-ins": _plugins,
        "packaged data": _packaged,
        "results folder": lambda: _folder(results),
        "store": lambda: _folder(folders.root()),
        "retrieval extra": lambda: f"bm25s {version('bm25s')}" if importlib.util.find_spec("bm25s") else NO_BM25,
        "hub extra": lambda: "datasets is installed" if importlib.util.find_spec("datasets") else NO_HUB,
    }
    return [_check(name, run) for name, run in checks.items()]


def _check(name: str, run: Callable[[], str]) -> dict[str, Any]:
    try:
        return {"name": name, "ok": True, "detail": run()}
    except (BenchError, OSError, ImportError) as error:
        return {"name": name, "ok": False, "detail": str(error)}


def _device() -> str:
    import torch

    kind = "cuda" if torch.cuda.is_available() else "cpu"
    return f"{machine.device_name(torch.device(kind))}, {torch.get_num_threads()} threads"


def _plugins() -> str:
    """Import every plug-in: a broken file shows here."""
    counts = []
    for kind in registry.ROOMS:
        found = registry.found(kind)
        for plugin in found.values():
            registry.load(plugin)
        counts.append(f"{len(found)} {kind}s")
    return ", ".join(counts)


def _packaged() -> str:
    """Every task with a mini track can read its data and find its teacher."""
    from bench.teachers import plans

    ready, lacking = [], []
    for plugin in registry.found("task").values():
        cls = registry.load(plugin)
        for dataset in mini_sets(cls):
            task, name = cls(Source("packaged"), "mini", dataset), plugin.name + (f"/{dataset}" if dataset else "")
            try:
                task.identity()
                plans.locate(task.track.teacher, task)
                ready.append(name)
            except DataError as error:  # the package that ships it is an extra
                lacking.append(f"; not {name}: {error}")
    if not ready:
        raise DataError("no task of the mini track is ready" + "".join(lacking))
    return f"mini track ready: {', '.join(ready)}" + "".join(lacking)


def mini_sets(cls: Any) -> Sequence[str]:
    """The data sets that packages ship; those of tasks that open files of the user's are none."""
    packaged = "mini" in cls.tracks and not cls.opens
    return (cls.tracks["mini"].datasets or cls.datasets or [""]) if packaged else ()


def _folder(path: Path) -> str:
    """Writable, with its free space; not created when it is not there."""
    existing = next(p for p in (path.absolute(), *path.absolute().parents) if p.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise PermissionError(f"{path} cannot be written")
    return f"{path} ({shutil.disk_usage(existing).free / 1e9:.0f} GB free)"
