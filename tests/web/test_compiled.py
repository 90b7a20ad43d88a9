"""Templates as modules: written once, made anew when a template changes, and printing the same text."""

from __future__ import annotations

import sys
from pathlib import Path

import jinja2
import pytest

from bench.web.compiled import load_compiled


def environment(folder: Path) -> jinja2.Environment:
    found = jinja2.Environment(loader=jinja2.FileSystemLoader(folder), autoescape=True)
    load_compiled(found, folder)
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    (tmp_path / "page.html").write_text("<p>{{ name }}</p>")
    return tmp_path


def test_a_module_prints_what_its_template_prints(folder: Path) -> None:
    for _ in range(2):
        made = environment(folder)
        assert isinstance(made.loader, jinja2.ModuleLoader)
        assert made.get_template("page.html").render(name="<b>") == "<p>&lt;b&gt;</p>"
    assert len(list((folder / "__pycache__").iterdir())) == 1, "written once, and nothing is left beside it"


def test_another_template_is_another_module(folder: Path) -> None:
    environment(folder)
    (folder / "page.html").write_text("<i>{{ name }}</i>")
    assert environment(folder).get_template("page.html").render(name="a") == "<i>a</i>"


def test_where_python_keeps_nothing_neither_does_this(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert environment(folder).get_template("page.html").render(name="a") == "<p>a</p>"
    assert not (folder / "__pycache__").exists()
