"""`bench site build`: the folders of records that changed are built again, and the pages over all of them.

What the last build knew is kept in the store, <cache>/sites/<key>.json. It decides what need not be done again, and
never what a page says: the same records give the same bytes, with it or without it. It is removed before the first file
is written and written after the last, so what a build that was cut short left behind is never taken for a site.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from bench.base.files import replace, sha256
from bench.base.processes import end_with_parent
from bench.errors import RequestError
from bench.plugins import registry
from bench.records import notes
from bench.records.disk import APART
from bench.store import folders
from bench.web import publish, sitewide, tuning
from bench.web.links import NOWHERE, Links
from bench.web.unit import build as build_unit
from bench.web.unit import once, part_of

Units = Mapping[str, Mapping[str, Any]]  # {folder of a track and task: what is known of it}
MANY = 200  # records; fewer are built faster than another process starts
FIRST = "run `bench run --task sts --method finetune --method kd --seeds 0,1,2` first, or name another with --results"


def build(results: Path, out: Path, links: Links = NOWHERE) -> set[str]:
    """Write the site; returns the names of its files below `out`.

    Unchanged files are left alone, those of records that are gone are removed.

    RequestError: no records, a broken one, or an output folder that is not ours to write.
    """
    check(results, out)
    stamps = stamps_of(results)
    if not stamps:
        raise RequestError(f"the results folder {results} holds no records: {FIRST}")
    key = folders.content_key(results=str(results.resolve()), out=str(out.resolve()))
    with folders.locked(f"site-{key}"):
        try:
            return _build(results, out, folders.root() / "sites" / f"{key}.json", stamps, links)
        except OSError as error:
            reason = error.strerror or error
            raise RequestError(f"cannot write the site to {out}: {reason}: choose another folder with --out") from None


def _build(results: Path, out: Path, memory: Path, stamps: Units, links: Links) -> set[str]:
    publish.tidy(out)
    lists, there = publish.manifests(out), names_in(out) if out.is_dir() else set()
    version = f"{code()} {links}"
    ours, (known, tried), now_tried = set().union(*lists.values()), recall(memory, version), tuning.stamps(results)
    same = {unit for unit, found in known.items() if found["stamps"] == stamps.get(unit)}
    same -= {unit for unit in same if not lists.get(part_of(unit)) == set(known[unit]["files"]) <= there}
    if same == set(known) == set(stamps) and tried == now_tried and "site" in lists and ours <= there:
        return ours
    memory.unlink(missing_ok=True)
    others, changed = there - ours, {unit: own for unit, own in stamps.items() if unit not in same}
    built = known | _built(partial(build_one, registry.trusted(), results, out, others, links), changed)
    units = {unit: built[unit] for unit in stamps}
    if not any(found["runs"] for found in units.values()):
        raise RequestError(f"none of the records in {results} can be shown: bench check {results}")
    homes = ((board["slug"], results / unit) for unit, found in units.items() for board in found["boards"])
    once(homes, "hold records of one board: move them")
    wide = sitewide.files(units, tuning.found(results), links)
    publish.write(out, "site", wide, others)
    now = {"site": set(wide)} | {part_of(unit): set(found["files"]) for unit, found in units.items()}
    publish.clear(out, lists, now)
    folders.make_folder(memory.parent)
    replace(memory, json.dumps({"version": version, "units": units, "tried": now_tried}).encode(), alone=True)
    return set().union(*now.values())


def build_one(files: frozenset[Path], *of_unit: Any) -> dict[str, Any]:
    """A unit, in this process or another one, with the files of plug-ins that the user has named."""
    with registry.trusting(files):
        return build_unit(*of_unit)


def recall(memory: Path, version: str) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """What the last build knew of each unit, and the files of tunings; nothing where another version of the code made
    it."""
    try:
        kept = json.loads(memory.read_bytes())
        return (dict(kept["units"]), dict(kept["tried"])) if kept["version"] == version else ({}, {})
    except (OSError, ValueError, KeyError, TypeError):  # there is none, or it is damaged
        return {}, {}


def stamps_of(results: Path) -> dict[str, dict[str, list[int]]]:
    """{unit: {record, or the note: its stamp}}, which changes when the record, its predictions or the note do."""
    units: dict[str, dict[str, list[int]]] = {}
    names = names_in(results)
    for name in sorted(name for name in names if name.endswith(".json")):
        folder, predictions = name.split("/")[:-1], f"{name[:-5]}.npz"
        if not folder or folder[0] not in APART:
            stamp = _stamp(results / name) + (_stamp(results / predictions) if predictions in names else [0, 0])
            units.setdefault("/".join(folder[:-2]) or ".", {})[name] = stamp
    for unit, own in units.items():
        if (note := notes.NAME if unit == "." else f"{unit}/{notes.NAME}") in names:
            own[note] = _stamp(results / note)
    return units


def _stamp(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_mtime_ns, status.st_size]


def names_in(top: Path) -> set[str]:
    """All plain files of a folder; what hidden folders hold is nobody's business, and no link is followed.

    OSError: one that cannot be read.
    """
    found: set[str] = set()
    for folder, below, names in os.walk(top, onerror=_refuse):
        below[:] = [name for name in below if not name.startswith(".")]
        place, plain = Path(folder).relative_to(top).as_posix(), (n for n in names if plain_file(f"{folder}/{n}"))
        found.update(plain if place == "." else (f"{place}/{name}" for name in plain))
    return found


def plain_file(path: str) -> bool:
    """Whether it is no link, which may lead anywhere, and no pipe, which is waited for."""
    return stat.S_ISREG(os.lstat(path).st_mode)


def _refuse(error: OSError) -> None:
    raise error


def _built(build_one: Callable[..., dict[str, Any]], stamps: Units) -> dict[str, dict[str, Any]]:
    """What is known of each unit once it is built; in several processes where that pays."""
    workers = min(len(stamps), os.cpu_count() or 1)
    if workers < 2 or sum(map(len, stamps.values())) < MANY:
        return {unit: build_one(unit, own) for unit, own in stamps.items()}
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=end_with_parent) as pool:
        return dict(zip(stamps, pool.map(build_one, stamps, stamps.values()), strict=True))


def check(results: Path, out: Path) -> None:
    """RequestError: folders that no site can be made of, or in."""
    if out.resolve().is_relative_to(results.resolve()):
        raise RequestError(f"--out {out} lies in the results folder, which holds records alone: choose another folder")
    if not results.is_dir():
        raise RequestError(f"there is no results folder {results}: {FIRST}")
    if not os.access(results, os.R_OK | os.X_OK):
        raise RequestError(f"the results folder {results} cannot be read: {FIRST}")


def code() -> str:
    """Changes with anything that decides what a page says, besides the records."""
    package = Path(__file__).parent.parent
    methods = registry.room("method")
    rooms = [registry.folder("site"), methods, methods / "reported", registry.room("student"), registry.room("task")]
    files = sorted({*package.rglob("*.py"), *(path for room in rooms for path in room.glob("*.*"))})
    return folders.content_key(files=[[path.name, sha256(path.read_bytes())] for path in files])
