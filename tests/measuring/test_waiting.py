"""Two commands that would time at once: the second waits, says for what, and not for ever."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.base.console import Console
from bench.errors import RequestError
from bench.measuring import session
from bench.measuring.clock import Effort
from bench.store import folders
from tests.factories.spinning import Products

SHORT = Effort(inputs=2, rounds=1, seconds=0.01, most=1, limit=1.0)


def test_a_command_that_waits_for_another_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    monkeypatch.setattr(session, "DEADLINE", 0.05)
    asked = {"a": Products()}, ["one", "two words"], frozenset({"embedding"}), SHORT, Console(), ()
    with folders.locked("measuring"), pytest.raises(RequestError, match="measuring is in use by another bench process"):
        session.measure(*asked)
    assert "waiting, as another bench command is measuring on this machine" in capsys.readouterr().err
