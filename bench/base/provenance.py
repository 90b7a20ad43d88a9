"""When and by which command something was made, and of which code."""

from __future__ import annotations

import datetime
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from bench import __version__

_standing_for: ContextVar[Sequence[str]] = ContextVar("standing_for", default=())


@contextmanager
def standing_for(arguments: Sequence[str]) -> Iterator[None]:
    """Inside, records say that a command with these arguments made them: what was called from Python does the same."""
    token = _standing_for.set(arguments)
    try:
        yield
    finally:
        _standing_for.reset(token)


def provenance(started: str, processes: int = 1) -> dict[str, Any]:
    """The command, the code and the time, as a record says them; `started` as `now` gave it."""
    head, dirty = commit()
    launcher = ["torchrun", "--nproc_per_node", str(processes), "-m"] if processes > 1 else []
    return {
        "command": shlex.join([*launcher, "bench", *(_standing_for.get() or sys.argv[1:])]),
        "commit": head, "dirty": dirty, "version": __version__, "started": started,
        "finished": max(started, now()),  # a clock may be set back meanwhile
    }  # fmt: skip


def now() -> str:
    """In ISO 8601, UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def commit() -> tuple[str | None, bool | None]:
    """(commit, whether files differ from it) of the checkout that holds this package; (None, None) in a wheel. Records
    that are timed again differ, and are no code: `results` does not count."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return None, None
    head = _git(folder, "rev-parse", "HEAD")
    changes = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)results")
    return head, None if changes is None else bool(changes)


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
