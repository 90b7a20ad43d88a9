"""bench: a benchmark suite and leaderboard generator for knowledge distillation."""

from pathlib import Path

__version__ = "0.1.0"

# The plug-in rooms (tasks, baselines, students, site) lie inside the package in a wheel and beside it in a checkout.
# Extending the package's path gives them one import name in both, `bench.tasks.sts`, which no `tasks.py` or `site`
# in the user's own folder can shadow.
if not (Path(__file__).parent / "tasks").is_dir():
    __path__.append(str(Path(__file__).resolve().parent.parent))
