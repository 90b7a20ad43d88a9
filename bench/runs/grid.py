"""Grids: the runs of every combination of levels, from axes in a TOML file or on the command line.

    task = "text/trec"
    method = "revisited"
    seeds = [0, 1, 2]
    student = "bert:{shape}"
    set = {match = "{layers}:{knowledge}", "bert.init" = "{start}"}
    axes = {layers = ["first", "gap"], knowledge = ["cos", "mmd"], start = ["random", "gap"], shape = ["2", "3"]}

A level stands where its axis is named in braces; an axis that is named nowhere is an option (`student`) or else a
setting (`lr`) of that name. `[[cells]]`, any number of them, are grids of their own that add to, or replace, what
stands above them: what is no whole product is the union of several. A cell is a `Request` like any other, so its runs
have the ids of the single commands.
"""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench.errors import BenchError, RequestError
from bench.records.schemas import first_error
from bench.runs.spec import Opened, Request, Spec, parse_settings, resolve
from bench.sources import read_text

NAMED = re.compile(r"\{([A-Za-z_][\w.]*)\}")  # an axis; braces of JSON are followed by something else
LISTS = {"task": "tasks", "method": "methods", "student": "students"}  # options that may be given several times
Value = str | int | float | bool
Seed = Annotated[int, Field(ge=0, lt=2**32)]


class Block(BaseModel):
    """A product of axes. Lists of tasks, methods and students are run with one another too, and are no axes."""

    model_config = ConfigDict(extra="forbid", strict=True)

    task: str | list[str] = []
    method: str | list[str] = []
    student: str | list[str] = []
    teacher: str = ""
    track: str = "mini"
    seeds: list[Seed] = [0]
    set: dict[str, Value] = {}
    axes: dict[str, list[Value]] = {}


@dataclass(frozen=True)
class Cell:
    """One combination of levels, by axis, and what it asks for."""

    levels: Mapping[str, str]
    request: Request

    @property
    def name(self) -> str:
        return ", ".join(f"{axis}={level}" for axis, level in self.levels.items())


def read(path: Path, data_dir: Path | None = None) -> list[Cell]:
    """The cells of a grid's file. RequestError: not there, not TOML, a key that is none, an axis without levels."""
    try:
        tree = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise RequestError(f"{path} is not TOML: {error}") from None
    common = {key: value for key, value in tree.items() if key != "cells"}
    blocks = tree.get("cells", [{}])
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        raise RequestError(f"{path}: write [[cells]], as there may be several")
    try:
        return [cell for block in blocks for cell in product(checked(common, block), data_dir)]
    except BenchError as error:
        raise RequestError(f"{path}: {error}") from None


def checked(common: Mapping[str, Any], block: Mapping[str, Any]) -> Block:
    """A block with what stands above it; its settings and axes are added to those."""
    tables = {key: flat(common.get(key, {})) | flat(block.get(key, {})) for key in ("set", "axes")}
    try:
        return Block.model_validate({**common, **block, **tables})
    except ValidationError as error:
        raise RequestError(f"not a grid: {first_error(error)}") from None


def flat(table: Any, prefix: str = "") -> dict[str, Any]:
    """`bert.init = "gap"` is a table in a table, and one key of `--set`."""
    if not isinstance(table, dict):
        raise RequestError(f"'{table}' is no table of keys and values")
    found: dict[str, Any] = {}
    for key, value in table.items():
        found |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return found


def product(block: Block, data_dir: Path | None) -> Iterable[Cell]:
    """Every combination, the last axis fastest. RequestError: levels that are missing or there twice."""
    axes = {axis: [said(level) for level in levels] for axis, levels in block.axes.items()}
    check_levels(axes | {"seeds": [said(seed) for seed in block.seeds]})
    for levels in itertools.product(*axes.values()):
        yield Cell(found := dict(zip(axes, levels, strict=True)), request_of(block, found, data_dir))


def check_levels(axes: Mapping[str, Sequence[str]]) -> None:
    for axis, levels in axes.items():
        if not levels:
            raise RequestError(f"the axis '{axis}' has no levels")
        if len(set(levels)) < len(levels):
            raise RequestError(f"the axis '{axis}' has a level twice: {', '.join(levels)}")


def request_of(block: Block, levels: Mapping[str, str], data_dir: Path | None) -> Request:
    """What a combination asks for. RequestError: braces around something that is no axis."""
    named = set[str]()
    options: dict[str, Any] = {
        LISTS[key]: [filled(text, levels, named) for text in several(getattr(block, key))] for key in LISTS
    }
    settings = {key: filled(said(value), levels, named) for key, value in block.set.items()}
    options["teacher"] = filled(block.teacher, levels, named)
    for axis in levels.keys() - named:
        if axis in LISTS:
            options[LISTS[axis]] = [levels[axis]]
        elif axis == "teacher":
            options[axis] = levels[axis]
        elif axis in settings:
            raise RequestError(f"'{axis}' is set, and an axis too: give one of them")
        else:
            settings[axis] = levels[axis]
    if lacking := [key for key in ("task", "method") if not options[LISTS[key]]]:
        raise RequestError(f'the grid names no {lacking[0]}: write {lacking[0]} = "NAME"')
    words = [f"{key}={value}" for key, value in settings.items()]
    return Request(**options, track=block.track, seeds=block.seeds, data_dir=data_dir, settings=words)


def several(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def filled(text: str, levels: Mapping[str, str], named: set[str]) -> str:
    """The text with the levels of the axes that it names in braces."""
    for name in NAMED.findall(text):
        if name not in levels:
            raise RequestError(f"'{text}' names the axis '{name}': there are {', '.join(levels) or 'none'}")
        named.add(name)
    return NAMED.sub(lambda found: levels[found[1]], text)


def said(value: Value) -> str:
    """A value of TOML as `--set` takes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def spread(request: Request, axes: Sequence[str]) -> list[Cell]:
    """A command's cells: `axes` are `KEY=VALUE`, where a key that comes again is another level of the same axis."""
    levels: dict[str, list[str]] = {}
    for axis in axes:
        ((key, value),) = parse_settings([axis], "--axis").items()
        levels.setdefault(key, []).append(value)
    check_levels(levels)
    if both := sorted(levels.keys() & parse_settings(request.settings).keys()):
        raise RequestError(f"--set {both[0]} and --axis {both[0]}: give one of them")
    products = (dict(zip(levels, chosen, strict=True)) for chosen in itertools.product(*levels.values()))
    return [
        Cell(own, replace(request, settings=[*request.settings, *(f"{key}={value}" for key, value in own.items())]))
        for own in products
    ]


def resolve_cells(cells: Sequence[Cell]) -> dict[str, list[Spec]]:
    """The runs of each cell, by its name. RequestError: one that cannot be run, with the cell that it is in."""
    opened: Opened = {}
    found: dict[str, list[Spec]] = {}
    for cell in cells:
        try:
            found.setdefault(cell.name, []).extend(resolve(cell.request, opened))
        except BenchError as error:
            raise type(error)(f"{cell.name}: {error}" if cell.levels else str(error)) from None
    return found
