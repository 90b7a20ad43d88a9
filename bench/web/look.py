"""What lies in the folder of results and in that of a built site.

On 10,000 records looking takes as long as Python takes to import what a build needs, 0.1 s: `beside` looks meanwhile,
in a process of its own. So this module imports little.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bench.records.disk import PROFILES, TEACHERS


class Seen(NamedTuple):
    """units: {unit: {record: its stamp}}, a unit being the folder of a track and task. there: files of the site."""

    units: dict[str, dict[str, Any]]
    there: list[str]


def look(results: Path, out: Path) -> Seen:
    """Now, and in this process; a folder that is not there holds nothing. OSError: one that cannot be read."""
    units: dict[str, dict[str, Any]] = {}
    for folder, stamps in _folders(str(results), "") if results.is_dir() else ():
        unit = "/".join(folder.split("/")[:-3]) or "."
        units.setdefault(unit, {}).update({f"{folder}{name}": stamp for name, stamp in stamps.items()})
    there = list(_files(str(out), "")) if out.is_dir() else []
    return Seen({unit: dict(sorted(units[unit].items())) for unit in sorted(units)}, there)


def beside(results: Path, out: Path) -> Callable[[], Seen]:
    """Begin to look in another process, to be called while this one has no threads; returns what waits for it."""
    if not hasattr(os, "fork") or (os.cpu_count() or 1) < 2:
        return lambda: look(results, out)
    reader, writer = os.pipe()
    other = os.fork()
    if other == 0:
        _tell(results, out, writer)
    os.close(writer)

    def answer() -> Seen:
        from pydantic_core import from_json  # faster than json.loads

        with os.fdopen(reader, "rb") as pipe:
            told = pipe.read()
        os.waitpid(other, 0)
        try:
            return Seen(*from_json(told))
        except ValueError:  # it could not look, and here the reason is raised; or a name is no text
            return look(results, out)

    return answer


def _tell(results: Path, out: Path, writer: int) -> None:
    """What the other process does; it ends here, without what Python does at the end of a program."""
    try:
        told = json.dumps(look(results, out)).encode()
        with os.fdopen(writer, "wb") as pipe:
            pipe.write(told)
    finally:
        os._exit(0)


def _folders(folder: str, prefix: str) -> Iterator[tuple[str, dict[str, list[int]]]]:
    """(folder below the results, {record: its stamp}); a stamp changes with the record or its predictions."""
    found: dict[str, list[int]] = {}
    below = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if prefix or entry.name not in (PROFILES, TEACHERS):
                    below.append(entry.name)
            else:
                status = entry.stat()
                found[entry.name] = [status.st_mtime_ns, status.st_size]
    stamps = {n: [*found[n], *found.get(f"{n[:-5]}.npz", (0, 0))] for n in found if n.endswith(".json")}
    if stamps:
        yield prefix, stamps
    for name in below:
        yield from _folders(f"{folder}/{name}", f"{prefix}{name}/")


def _files(folder: str, prefix: str) -> Iterator[str]:
    """What a hidden folder holds is nobody's business."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if not entry.name.startswith("."):
                    yield from _files(entry.path, f"{prefix}{entry.name}/")
            else:
                yield prefix + entry.name
