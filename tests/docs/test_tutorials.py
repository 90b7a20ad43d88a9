"""The tutorials' commands run, in their order, on small runs; those that serve or read other data are parsed."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from bench.records import disk
from tests.factories.commands import bench
from tests.factories.runs import ROOT, SMALL, Finished

FOLDER = ROOT / "docs/tutorials"
SMALLER = (*SMALL, "--seeds", "0")


def steps(page: str) -> list[list[str]]:
    return [shlex.split(line) for line in re.findall(r"^    bench (.+)$", page, re.MULTILINE)]


def files(page: str) -> dict[str, str]:
    return dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", page, re.DOTALL))


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.md")), ids=lambda p: p.stem)
def test_a_tutorial_runs(path: Path, finished: Finished, teacher: Path, tmp_path: Path) -> None:
    """Its runs of kd, finetune and disco with bert:1 are those that the session has made already."""
    page = path.read_text(encoding="utf-8")
    for name, source in files(page).items():
        (tmp_path / name).write_text(source, encoding="utf-8")
        compile(source, name, "exec")
    for folder in {word for words in steps(page) for word in words if word in ("results", "theirs")} | {"results"}:
        shutil.copytree(finished.results, tmp_path / folder)
    assert len(steps(page)) >= 6
    for words in steps(page):
        typed(words, finished, teacher, tmp_path)


def typed(words: list[str], finished: Finished, teacher: Path, cwd: Path) -> None:
    if words[:2] == ["site", "serve"] or "--data-dir" in words:
        command = words[:2] if words[0] == "site" else words[:1]
        told = bench(*command, "--help").out
        assert all(word.split("=")[0] in told for word in words if word.startswith("--"))
        return
    if words[0] == "run":  # a seed, few updates, a tiny teacher
        words = [*words, "--teacher", str(teacher), *SMALLER]
    if "RUN" in words:
        run = next(r.run_id for r in disk.read_all(cwd / "results") if r.spec["method"] == "kd")
        words = [run if word == "RUN" else word for word in words]
    bench(*words, cache=finished.cache, cwd=cwd)


def test_the_readme_leads_to_each() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(f"docs/tutorials/{path.name}" in readme for path in FOLDER.glob("*.md"))
