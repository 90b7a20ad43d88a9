"""Nothing waits for ever, neither for another measurement nor for a process that says nothing, and who waits sleeps."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from bench.base import waiting
from bench.base.console import Console
from bench.errors import BenchError, RequestError
from bench.measuring import session
from bench.measuring.clock import Effort, Job
from bench.store import folders
from tests.factories.spinning import Spinning

BRIEF = Effort(inputs=2, rounds=1, seconds=0.01, most=2, limit=0.1)


@pytest.fixture(autouse=True)
def _store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))


def test_another_measurement_is_waited_for_so_long_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    monkeypatch.setattr(session, "DEADLINE", 0.05)
    monkeypatch.setattr(session, "in_child", lambda *_: pytest.fail("measured beside another"))
    console: Any = lambda text: told.append(text)  # noqa: E731
    with folders.locked("measuring"), pytest.raises(RequestError, match="measuring is in use by another bench process"):
        session.measure({"one": Spinning(1.0)}, ["a", "b"], frozenset({"embedding"}), BRIEF, console)
    assert session.WAITING in told


def test_a_process_that_says_nothing_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its start takes longer than is waited for here."""
    monkeypatch.setattr(session, "PATIENCE", 0.01)
    job = Job({"one": Spinning(1.0)}, ["a"], frozenset({"embedding"}), (), BRIEF, "cpu", frozenset())
    with pytest.raises(BenchError, match=r"has said nothing for .* minutes, and was ended"):
        session.in_child(job, Console(quiet=True))


@pytest.mark.parametrize(("taken", "policy"), [(0.0, None), (0.5, "PASSIVE")])
def test_idle_threads_of_what_is_timed_sleep_where_others_use_the_cores(
    monkeypatch: pytest.MonkeyPatch, taken: float, policy: str | None
) -> None:
    seen: list[str | None] = []

    class Started(Exception):
        pass

    def start(_: Any) -> None:
        seen.append(os.environ.get(waiting.POLICY))
        raise Started

    monkeypatch.setenv(waiting.POLICY, "PASSIVE")
    monkeypatch.setattr(session.noise, "foreign", lambda: taken)
    monkeypatch.setattr("multiprocessing.context.SpawnProcess.start", start)
    with pytest.raises(Started):
        session.in_child(None, Console(quiet=True))  # type: ignore[arg-type]
    assert seen == [policy] and os.environ[waiting.POLICY] == "PASSIVE"
