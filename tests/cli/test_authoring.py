"""`bench new` and `bench test`: templates that pass their own tests, and a sentence for each thing that is wrong."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.cli import forms
from bench.cli.scaffold import source
from bench.plugins import registry
from tests.factories.commands import bench, refused
from tests.factories.runs import ROOT

METHOD = """
import random
from torch import nn
from bench.method import Method


class Bad(Method):
    needs = frozenset({"output"})

    def __init__(self, settings, run):
        super().__init__(settings, run)
        self.unused = nn.Linear(2, 2)

    def stages(self):
        yield self.stage("bad", self.loss, needs=self.needs)

    def loss(self, student, teacher, batch):
        return {"bad": BODY}
"""
# what a method returns -> the check that fails, and why
DRAWN = "student.logits.mean() * random.random()"
BODIES = {
    "batch.labels.float().mean().requires_grad_()": ("reach the student", "no loss has a gradient to the student"),
    "student.logits.mean()": ("all that the method learns", "no gradient ever reaches unused.weight, unused.bias"),
    "student.logits.mean() * float('nan')": ("every loss is a named finite number", "not finite"),
    f"{DRAWN} + self.unused(student.logits).sum()": ("bit by bit", "stage bad at update 1"),
}


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    registry.found.cache_clear()
    yield
    registry.found.cache_clear()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file of each kind, as `bench new` writes it."""
    folder = tmp_path_factory.mktemp("new")
    for what in ("method", "task", "student", "kind"):
        assert f"my_{what}.py" in bench("new", what, f"my_{what}", "--out", folder).out
    return folder


@pytest.mark.parametrize("what", ["method", "task", "student", "kind"])
def test_what_is_written_passes_its_own_tests(what: str, written: Path) -> None:
    spec = importlib.util.spec_from_file_location(f"written_{what}", written / f"test_my_{what}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    tests = [function for name, function in vars(module).items() if name.startswith("test_")]
    for test in tests:
        test()
    assert len(tests) == 2


@pytest.mark.parametrize("what", ["student", "kind"])
def test_pages_show_what_is_written(what: str) -> None:
    """The example of a page is the template by another name."""
    ((name, shown),) = re.findall(
        r"```python\n# (\w+)\.py\n(.*?)```", (ROOT / f"docs/add-a-{what}.md").read_text(encoding="utf-8"), re.DOTALL
    )
    assert shown == source(f"{what}.py", name)


def test_a_command_tells_what_it_saw(written: Path) -> None:
    found = json.loads(bench("test", written / "my_method.py", "--set", "my_method.weight=2", "--json").out)
    assert not list(forms.problems(forms.FORMS["test"], found))
    assert found["ok"] and found["kind"] == "method" and len(found["checks"]) == 7
    assert "weight=1.0" in found["checks"][1]["seen"] and "embedding" in found["checks"][2]["seen"]


@pytest.mark.parametrize("body", BODIES)
def test_what_is_wrong_is_told_in_a_sentence(body: str, tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text(METHOD.replace("BODY", body))
    done = bench("test", "./bad.py", cwd=tmp_path, check=1)
    *held, last = done.out.splitlines()
    what, why = BODIES[body]
    assert all(line.startswith("ok    ") for line in held)
    assert re.match(rf"FAIL  .*{what}.*: .*{re.escape(why)}", last), last


def test_wrong_names_and_files(tmp_path: Path, written: Path) -> None:
    new = ("new", "method")
    refused(bench(*new, "kd", cwd=tmp_path, check=None), "there is a method called kd already")
    refused(bench(*new, "My-Method", cwd=tmp_path, check=None), "no name of a file to import")
    refused(bench("new", "teacher", "x", cwd=tmp_path, check=None), "unknown template 'teacher'")
    refused(bench(*new, "my_method", "--out", written, check=None), "my_method.py is there already")
    refused(bench("test", "./gone.py", cwd=tmp_path, check=None), "no such file: ./gone.py")
    (tmp_path / "plain.py").write_text("x = 1\n")
    refused(bench("test", "./plain.py", cwd=tmp_path, check=None), "it defines none")
    (tmp_path / "lone.py").write_text((written / "my_kind.py").read_text())
    refused(bench("test", "./lone.py", cwd=tmp_path, check=None), "no task beside lone.py says kind = 'lone'")
