"""What a record says of the code that made it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bench.base import provenance


def test_records_that_are_timed_again_are_no_change_of_the_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, record = tmp_path / "bench/base/provenance.py", tmp_path / "results/lite/run.json"
    for path in (code, record):
        path.parent.mkdir(parents=True)
        path.write_text("first")
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    for words in (("init", "-q"), ("add", "."), (*who, "commit", "-qm", "first")):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    monkeypatch.setattr(provenance, "__file__", str(code))
    head, dirty = provenance.commit()
    assert head and dirty is False
    for path, expected in ((record, False), (code, True)):
        path.write_text("second")
        assert provenance.commit() == (head, expected)
