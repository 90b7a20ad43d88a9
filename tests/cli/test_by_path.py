"""Tasks, methods and students that are files, from a run to check, compare and the site: what their authors see."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.plugins import registry
from tests.factories.commands import bench, refused
from tests.factories.runs import ROOT

TOY = (ROOT / "tests/factories/toy.py").read_text(encoding="utf-8")
METHOD = '''"""Mine <b>alone</b>, in a line.

And what it does.
"""
from bench.method import Method


class Mine(Method):
    title = "Mine & only"

    def stages(self):
        yield self.stage("mine", self.loss)

    def loss(self, student, teacher, batch):
        return {"labels": self.goal.loss(student, batch)}
'''
STUDENT = '''"""Bags of words, in a file."""
from bench.students.bow import Bow


class Bag(Bow):
    offers = frozenset({"embedding"})
    default = "8"
'''
RUN = ("run", "--task", "./lines.py", "--student", "./bag.py:8", "--teacher", "./bag.py:12", "--set", "updates=4")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Runs of a method in two versions, and of one of its baselines; nothing in it is installed."""
    registry.found.cache_clear()
    place = tmp_path_factory.mktemp("files")
    for name, text in {"lines": TOY, "bag": STUDENT, "mine": METHOD}.items():
        (place / f"{name}.py").write_text(text)
    bench(*RUN, "--method", "./mine.py", "--method", "kd", cwd=place)
    (place / "mine.py").write_text(METHOD.replace('"labels":', '"later":'))
    yield place
    registry.found.cache_clear()


def test_a_changed_file_has_no_run_until_it_is_run(folder: Path) -> None:
    asked = ("compare", "./mine.py", "kd", "--task", "./lines.py")
    told = refused(bench(*asked, cwd=folder, check=None), "./mine.py has no run as it is now", "'mine bag:8'")
    assert bench("compare", "mine", "kd", "--task", "lines", cwd=folder).out
    done = bench(*RUN, "--method", "./mine.py", cwd=folder)
    assert "next: bench run --task ./lines.py --method finetune --student ./bag.py:8 --teacher ./bag.py:12" in done.out
    found = json.loads(bench(*asked, "--json", cwd=folder).out)
    assert not [mark for mark in found["marks"]["./mine.py"] if mark.startswith("older")]
    assert "run it" in told
    boards = [json.loads(bench("board", "--task", name, "--json", cwd=folder).out) for name in ("./lines.py", "lines")]
    assert boards[0] == boards[1] and boards[0]["boards"]


def test_every_number_is_computed_again(folder: Path) -> None:
    assert bench("check", cwd=folder).out == "3 records, 0 problems\n"
    assert bench("check", "--file", "./lines.py", "--file", "./mine.py", cwd=folder).out == "3 records, 0 problems\n"
    path = next((folder / "results").rglob("kd/**/*.json"))
    text = path.read_text()
    record = json.loads(text)
    record["metrics"]["all"]["digits"]["accuracy"] += 0.01
    path.write_text(json.dumps(record))
    done = bench("check", cwd=folder, check=1)
    path.write_text(text)
    assert "metrics.all.digits.accuracy" in done.out


def test_the_site_knows_the_files(folder: Path) -> None:
    """Title and docstring, escaped; the older version is marked and not counted; commands name files."""
    bench(*RUN, "--method", "./mine.py", cwd=folder)
    bench("site", "build", cwd=folder)
    page = (folder / "_site/methods/mine.html").read_text()
    assert "Mine &amp; only" in page and "Mine &lt;b&gt;alone&lt;/b&gt;, in a line." in page
    assert page.count(">older<") == 1
    verdicts = json.loads((folder / "_site/api/index.json").read_text())["tracks"][0]["methods"]
    (own,) = [method for method in verdicts if method["method"] == "mine"]
    assert own["rows"] == 1 and sum(own["against"]["kd"].values()) == 1
    (student,) = (folder / "_site/students").glob("bag*.html")
    assert "Bags of words, in a file." in student.read_text()
    (task,) = (folder / "_site/tasks").glob("lines-*.html")
    assert "--task ./lines.py" in task.read_text() and "--student ./bag.py:8" in task.read_text()


def test_a_metric_of_its_own_needs_the_file(folder: Path, tmp_path: Path) -> None:
    own = TOY.replace('{"accuracy": METRICS', '{"share_right": METRICS').replace('"accuracy"\n', '"share_right"\n')
    (tmp_path / "own.py").write_text(own)
    asked = ("run", "--task", "./own.py", "--method", "finetune", "--student", "bow:8", "--set", "updates=4")
    bench(*asked, cwd=tmp_path)
    told = bench("check", cwd=tmp_path, check=1).out
    assert "the task own is a file with a metric of its own, share_right: name it with --file own.py" in told
    assert bench("check", "--file", "./own.py", cwd=tmp_path).out == "1 records, 0 problems\n"
