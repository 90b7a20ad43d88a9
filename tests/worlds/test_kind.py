"""The kind of docs/add-a-kind.md, as a package would bring it: students and methods know nothing of it, and fit."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.plugins import registry
from bench.records.check import check
from tests.worlds.tools import WORLDS, alike, carried, installed, interrupted, planned, trained, world

PAGE = WORLDS.parents[1] / "docs/add-a-kind.md"


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The page's kind, installed, and the nodes as grades of that kind."""
    name, text = re.search(r"```python\n# (\w+)\.py\n(.*?)```", PAGE.read_text(), re.S).groups()
    (tmp_path / f"{name}.py").write_text(text)
    plugin = registry._plugin("kind", name, tmp_path / f"{name}.py", "")
    monkeypatch.setitem(registry.found("kind"), name, plugin)
    source = Path(world("nodes")).read_text()
    (tmp_path / "graded.py").write_text(source.replace('kind = "classify"', f'kind = "{name}"'))
    return str(tmp_path / "graded.py")


@pytest.mark.parametrize("method", ["kd", "finetune"])
def test_it_is_taught_distilled_scored_and_checked(
    method: str, task: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = planned(task, method, world("propagation", "6"), world("propagation", "12"))
    record = carried(spec, tmp_path / "results")
    assert record.metrics.main.value > 0.5 and record.metrics.choices[0].step > 0  # of three grades
    installed(monkeypatch, task)
    assert check(tmp_path / "results") == (1, [])
    assert alike(trained(spec, tmp_path / "whole"), interrupted(spec, tmp_path / "parts", monkeypatch))
