"""bench: a benchmark suite and leaderboard generator for knowledge distillation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # what `__getattr__` finds
    from bench.api import RunsFailed as RunsFailed
    from bench.api import board as board
    from bench.api import load as load
    from bench.api import records as records
    from bench.api import run as run
    from bench.errors import BenchError as BenchError
    from bench.errors import RequestError as RequestError

__version__ = "0.1.0"
__all__ = ["BenchError", "RequestError", "RunsFailed", "__version__", "board", "load", "records", "run"]

# The plug-in rooms (tasks, baselines, students, site) lie inside the package in a wheel and beside it in a checkout.
# Extending the package's path gives them one import name in both, `bench.tasks.sts`, which no `tasks.py` or `site`
# in the user's own folder can shadow.
if not (Path(__file__).parent / "tasks").is_dir():
    __path__.append(str(Path(__file__).resolve().parent.parent))


def __getattr__(name: str) -> Any:
    """The Python API (bench/api.py), imported when it is first used: `import bench` does no work."""
    from importlib import import_module

    if name in ("board", "records"):  # rooms, which are called too
        return import_module(f"bench.{name}")
    if name in ("BenchError", "RequestError"):
        return getattr(import_module("bench.errors"), name)
    if name in __all__:
        return getattr(import_module("bench.api"), name)
    raise AttributeError(f"module 'bench' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted(__all__)
