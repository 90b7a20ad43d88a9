"""A page for each family of tasks: its docstring, data sets, tracks, the cards of its data, and what was measured."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from bench.plugins import registry
from bench.plugins.catalogue import catalogue
from bench.plugins.registry import Plugin

from . import settings
from .boards import Line, shown
from .text import code, page, prose, section, table, words


def pages(measured: Sequence[Line]) -> dict[str, str]:
    found, plugins = catalogue(), registry.found("task")
    own = {f"tasks/{name}.md": task_page(plugin, found, measured) for name, plugin in plugins.items()}
    rows = ([f"[{p.name}]({p.name}.md)", words(p.summary), code(p.declares["kind"])] for p in plugins.values())
    about = "Every family of tasks that is installed. `bench list tasks` prints each data set with its metric."
    return {"tasks/index.md": page("Tasks", about, table(("family", "what it asks", "kind"), rows)), **own}


def task_page(plugin: Plugin, found: Mapping[str, Any], measured: Sequence[Line]) -> str:
    cls = registry.load(plugin)
    mine = [line for line in measured if line.board.task.partition("/")[0] == plugin.name]
    return page(
        plugin.name,
        f"**{words(cls.title)}**",
        prose(inspect.getdoc(sys.modules[cls.__module__]) or ""),
        section("Data sets", data_sets(plugin.name, cls, found)),
        section("Tracks", tracks(cls)),
        section("Cards of data that was measured on", *cards(mine)),
        section("Measured here", shown(mine, lambda line: True) or "No record yet."),
    )


def data_sets(family: str, cls: Any, found: Mapping[str, Any]) -> str:
    """Each with the methods that fit it."""
    rows = []
    for task in (t for t in found["tasks"] if t["name"].partition("/")[0] == family):
        fitting = ", ".join(
            f"[{m['name']}](../methods/{m['name']}.md)" for m in found["methods"] if task["name"] in m["fits"]
        )
        purpose = cls.purposes.get(task["name"].partition("/")[2], "")
        rows.append([code(task["name"]), words(purpose), code(task["kind"]), code(task["metric"]), fitting])
    return table(("task", "what for", "kind", "main metric", "methods that fit"), rows)


def tracks(cls: Any) -> str:
    """What differs from one to the other, and what is not the default of any track."""
    names = {f.name: f for track in cls.tracks.values() for f in fields(track)}
    said: dict[str, str] = {}
    for track in cls.tracks.values():
        said |= settings.comments(type(track))
    rows = []
    for name, field in names.items():
        values = [getattr(track, name, None) for track in cls.tracks.values()]
        if any(value != field.default for value in values):
            rows.append([code(name), *(code(value_of(v)) for v in values), words(said.get(name, ""))])
    return table(("setting", *cls.tracks, "what it is"), rows)


def value_of(value: Any) -> str:
    return ", ".join(value) if isinstance(value, tuple) else settings.plain(value)


def cards(lines: Sequence[Line]) -> list[str]:
    """One for each board, as its records hold it."""
    boards = {line.board.slug: line.board for line in lines}
    return [f"### {board.task}, {board.track}\n\n{card(board.data)}" for board in boards.values()]


def card(data: Any) -> str:
    rows = [
        ("title", data.title), ("from", data.origin), ("revision", data.revision), ("licence", data.licence),
        ("citation", data.citation), *((f"{split}", what) for split, what in data.splits.items()),
        ("sizes", ", ".join(f"{name} {count:,}" for name, count in data.sizes.items())),
        *(("note", note) for note in data.notes),
    ]  # fmt: skip
    return table(("card", " "), ([name, words(text)] for name, text in rows))
