"""`bench site build`: the folders of records that changed are built again, and the pages over all of them.

What a build knows of a folder is kept in the store, <cache>/sites/<key>/<folder>.json, so that the next build reads the
changed records alone. It decides what need not be done again, and never what a page says: the same records give the
same bytes, with it or without it.
"""

from __future__ import annotations

import gc
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from bench.base import files
from bench.errors import RequestError
from bench.plugins import registry
from bench.store import folders
from bench.web import publish
from bench.web.look import Seen, look
from bench.web.memory import Memory
from bench.web.sitewide import SiteWide
from bench.web.unit import Job, part_of, twice
from bench.web.unit import build as build_unit

ALL = "over all"  # not the name of a unit, which is a folder
MANY = 200  # records; fewer are built faster than another process starts
FIRST = "run `bench run --task sts --method finetune --method kd --seeds 0,1,2` first, or name another with --results"


@dataclass(frozen=True)
class Site:
    """Where records lie, where pages go, and what the last build knew, if it was made by this version of the code."""

    results: Path
    out: Path
    memory: Path
    version: str

    @property
    def boards(self) -> Memory:
        return Memory(self.memory / "boards", self.version)

    def recall(self) -> dict[str, dict[str, Any]]:
        """{unit: what the last build knew}; empty after a change of the code, or where nothing can be read."""
        found = {}
        for path in sorted(self.memory.glob("*.json")):
            try:
                known = from_json(path.read_bytes())  # twice as fast as json.loads, and all of a site goes through it
                if known["version"] == self.version:
                    found[known["unit"]] = known
            except (OSError, ValueError, KeyError, TypeError):
                continue  # an interrupted write: build again
        return found

    def remember(self, unit: str, known: Mapping[str, Any]) -> None:
        folders.make_folder(self.memory)
        text = json.dumps(dict(known) | {"version": self.version, "unit": unit})
        files.replace(self.memory / f"{part_of(unit)}.json", text.encode())

    def forget(self, unit: str) -> None:
        (self.memory / f"{part_of(unit)}.json").unlink(missing_ok=True)


def build(results: Path, out: Path, looking: Callable[[], Seen] | None = None) -> set[str]:
    """Write the site; returns the names of its files below `out`.

    Unchanged files are left alone, those of records that are gone are removed. `looking`: who has begun to look at the
    two folders (`bench.web.look`); None: nobody.

    RequestError: no records, a broken one, or an output folder that is not ours to write.
    """
    keeping()
    check(results, out)
    seen = looking() if looking else look(results, out)
    if not seen.units:
        raise RequestError(f"the results folder {results} holds no records: {FIRST}")
    key = folders.content_key(results=str(results.resolve()), out=str(out.resolve()))
    site = Site(results, out, folders.root() / "sites" / key, code())
    with folders.locked(f"site-{key}"):
        try:
            return _build(site, seen)
        except OSError as error:
            reason = error.strerror or error
            raise RequestError(f"cannot write the site to {out}: {reason}: choose another folder with --out") from None


def _build(site: Site, seen: Seen) -> set[str]:
    units, there = seen.units, set(seen.there)
    known = site.recall()
    lists = publish.manifests(site.out)
    others = there - set().union(*lists.values())
    jobs = [job for unit in units if (job := _job(site, unit, units[unit], known, lists, there, others))]
    for job, found in zip(jobs, _carried_out(jobs), strict=True):
        known[job.name] = found
        site.remember(job.name, found)
    state = {unit: known[unit] for unit in units}
    _once(site.results, state)
    files = _over_all(site, state, known.get(ALL), lists, there, others)
    now = {"site": files} | {part_of(unit): set(found["files"]) for unit, found in state.items()}
    names = set().union(*now.values())
    _clear(site, lists, now, names, set(known) - set(units) - {ALL})
    site.boards.keep(slugs(state.values()))
    return names


def _over_all(
    site: Site, state: Mapping[str, Any], before: Mapping[str, Any] | None, lists: Mapping[str, set[str]],
    there: set[str], others: set[str],
) -> set[str]:  # fmt: skip
    """The pages over all boards, written again where what they show changed; returns the names of all of them."""
    known = before["digests"] if before and there.issuperset(before["digests"]) else {}
    pages = SiteWide(site.out, site.boards, state, known)
    written = pages.write(lists.get("site", set()), others)
    if written:
        site.remember(ALL, {"digests": pages.digests})
    return set(pages.digests)


def _job(
    site: Site, unit: str, stamps: Mapping[str, Any], known: Mapping[str, Any], lists: Mapping[str, set[str]],
    there: set[str], others: set[str],
) -> Job | None:  # fmt: skip
    """What is to be done for a unit; None: nothing changed since the last build."""
    before, written = known.get(unit), lists.get(part_of(unit), set())
    whole = before and all(found.issuperset(before["files"]) for found in (there, written))
    old = before["stamps"] if before and whole and site.boards.holds(slugs([before])) else {}
    if old == stamps:
        return None
    return Job(unit, site.results, site.out, stamps, old, frozenset(written), frozenset(others), site.boards)


def slugs(found: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Of the boards of units."""
    return (board["slug"] for unit in found for board in unit["boards"])


def _carried_out(jobs: list[Job]) -> Iterator[dict[str, Any]]:
    """The jobs in order; in several processes where that pays."""
    workers = min(len(jobs), os.cpu_count() or 1)
    if workers < 2 or sum(len(job.stamps) for job in jobs) < MANY:
        yield from map(build_unit, jobs)
        return
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=keeping) as pool:
        yield from pool.map(build_unit, jobs)


def keeping() -> None:
    """Look for garbage more rarely: a build keeps almost all that it makes, and the search is a tenth of its time."""
    gc.set_threshold(100_000)


def _once(results: Path, state: Mapping[str, Mapping[str, Any]]) -> None:
    """RequestError: a run or a board that lies in two folders."""
    runs: dict[str, str] = {}
    homes: dict[str, str] = {}
    for unit, found in state.items():
        for run, path in found["runs"].items():
            if runs.setdefault(run, path) != path:
                raise twice(results, runs[run], path)
        for board in found["boards"]:
            if (home := homes.setdefault(board["slug"], unit)) != unit:
                both = f"{results / home} and {results / unit}"
                raise RequestError(f"{both} hold records of one board ({board['task']}, {board['track']}): move them")


def _clear(
    site: Site, before: Mapping[str, set[str]], now: Mapping[str, set[str]], names: set[str], gone: Iterable[str]
) -> None:
    """Remove what an earlier build made and this one did not."""
    for listed in before.values():
        for name in listed - names:
            (site.out / name).unlink(missing_ok=True)
    for part in set(before) - set(now):
        (site.out / publish.MANIFEST / part).unlink(missing_ok=True)
    for unit in gone:
        site.forget(unit)


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
    sources = sorted({*package.rglob("*.py"), *(path for room in rooms for path in room.glob("*.*"))})
    return folders.content_key(files=[[path.name, files.sha256(path.read_bytes())] for path in sources])
