"""How OpenMP's idle threads wait: by default they spin, and on a busy machine take the cores from those who compute."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

POLICY = "OMP_WAIT_POLICY"


def patiently() -> None:
    """Let idle threads sleep, unless the user chose otherwise. To be called before torch is loaded."""
    os.environ.setdefault(POLICY, "PASSIVE")


@contextmanager
def as_usual() -> Iterator[None]:
    """Processes started here wait as every user's do: what is timed in them is what users get."""
    kept = os.environ.pop(POLICY, None)
    try:
        yield
    finally:
        if kept is not None:
            os.environ[POLICY] = kept
