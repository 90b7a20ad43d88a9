"""The tutorials' commands run, in their order, on small runs; those that serve or read other data are parsed."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from bench.records import disk
from tests.factories.commands import bench
from tests.factories.runs import ROOT, SMALL, Finished

FOLDER = ROOT / "docs/tutorials"


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
    """As a reader types it, but for what is small here: one of the runs of a command, and a tiny teacher."""
    if words[:2] == ["site", "serve"] or "--data-dir" in words:
        told = bench(*words[: 2 if words[0] == "site" else 1], "--help").out
        assert all(word in told for word in words if word.startswith("--"))
        return
    if words[0] == "profile":
        words = [*last_of(words, "--student"), "--teacher", str(teacher)]
    if words[0] == "run":
        words = [*words, "--teacher", str(teacher)]
        bench(*words, "--dry-run", cache=finished.cache, cwd=cwd)
        words = [*last_of(words, "--method", "--student"), *SMALL, "--seeds", "0"]
    if "RUN" in words:
        run = next(r.run_id for r in disk.read_all(cwd / "results") if r.spec["method"] == "kd")
        words = [run if word == "RUN" else word for word in words]
    if words[0] == "check":  # so few updates hardly move a student
        told = json.loads(bench(*words, "--json", cwd=cwd, check=None).out)
        assert all(p["problem"].endswith("which is another run") for p in told["problems"])
    else:
        bench(*words, cache=finished.cache, cwd=cwd)


def last_of(words: list[str], *options: str) -> list[str]:
    """Of options that are given several times only the last, and no dry run."""
    places = {option: [i for i, word in enumerate(words) if word == option] for option in options}
    dropped = {at for found in places.values() for i in found[:-1] for at in (i, i + 1)}
    return [word for i, word in enumerate(words) if i not in dropped and word != "--dry-run"]


def test_the_readme_leads_to_each() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(f"docs/tutorials/{path.name}" in readme for path in FOLDER.glob("*.md"))
