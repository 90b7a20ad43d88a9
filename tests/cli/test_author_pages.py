"""The commands of docs/add-a-*.md, in a folder with the files that they name; what trains is planned alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.plugins import registry
from tests.factories.commands import bench
from tests.factories.runs import ROOT
from tests.tasks.test_tables import reviews, table
from tests.tasks.test_tags import tagged

PAGES = sorted((ROOT / "docs").glob("add-a-*.md"))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """What a reader of a page has: its tables, and the file that it shows."""
    table(tmp_path / "reviews.csv", "title,stars,text,label", [(*own, *own) for own in reviews(60)])
    table(tmp_path / "pairs.csv", "first,second,rating", [(f"a {n}", f"b {n}", n) for n in range(60)])
    tagged(tmp_path / "genes.conll", 60)
    tagged(tmp_path / "genes" / "train.conll", 60)
    bench("new", "method", "mine", "--out", tmp_path)
    registry.found.cache_clear()
    yield tmp_path
    registry.found.cache_clear()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_of_a_page_are_accepted(page: Path, folder: Path) -> None:
    """`new` is carried out, `run` is planned; of the others the options are known, and tests elsewhere run them."""
    text = page.read_text(encoding="utf-8")
    for name, source in re.findall(r"```python\n# (\w+\.py)\n(.*?)```", text, re.DOTALL):
        (folder / name).write_text(source, encoding="utf-8")
    commands = [line.split() for line in re.findall(r"^    bench (.+)$", text, re.MULTILINE)]
    assert len(commands) >= 3
    for words in commands:
        if words[0] == "run" and not any(word.startswith("hf:") for word in words):  # these ask the Hub
            bench(*words, "--dry-run", cwd=folder)
        elif words[0] == "new":
            (folder / f"{words[2]}.py").unlink(missing_ok=True)
            (folder / f"test_{words[2]}.py").unlink(missing_ok=True)
            bench(*words, cwd=folder)
        else:
            told = bench(*words[: 1 + (words[0] == "site")], "--help").out
            assert all(word in told for word in words if word.startswith("--"))
