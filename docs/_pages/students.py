"""A page for each family of students: its docstring, sizes and settings, and what was measured with it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from bench.plugins import registry
from bench.plugins.catalogue import catalogue

from . import settings
from .boards import Line, shown
from .text import code, page, prose, section, table, words


def pages(measured: Sequence[Line]) -> dict[str, str]:
    found = catalogue()["students"]
    own = {f"students/{s['name']}.md": student_page(s, measured) for s in found}
    rows = ([f"[{s['name']}]({s['name']}.md)", words(s["title"]), code(s["default"]), s["reads"]] for s in found)
    about = "Every family of students that is installed: `--student family:size`. Some of them are teachers alone."
    return {
        "students/index.md": page("Students", about, table(("family", "what it is", "default", "reads"), rows)),
        **own,
    }


def student_page(student: Mapping[str, Any], measured: Sequence[Line]) -> str:
    name = student["name"]
    cls = registry.load(registry.installed("student", name))
    facts = [
        ("default", code(student["default"])), ("sizes", words(student["sizes"])), ("reads", words(student["reads"])),
        ("exposes", code(", ".join(student["offers"]))),
        ("kinds", words(", ".join(student["kinds"])) or "all that fit"),
    ]  # fmt: skip
    return page(
        name,
        table(("about", " "), facts),
        prose(inspect.getdoc(sys.modules[cls.__module__]) or ""),
        section("Settings", settings.of(cls.Settings, name)),
        section(
            "Measured here",
            shown(measured, lambda line: line.row.student.partition(":")[0] == name) or "No record yet.",
        ),
    )
