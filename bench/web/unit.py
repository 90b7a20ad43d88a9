"""One folder of records, as <track>/<task>, and the pages and tables it makes: what is built apart from all others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench.base import files
from bench.errors import RequestError
from bench.records import disk
from bench.records.schemas import Record
from bench.records.specs import checked_spec
from bench.store import folders
from bench.web import facts, tables
from bench.web.compared import Says
from bench.web.curves import Point
from bench.web.formats import in_script, rounded, upright
from bench.web.memory import Memory
from bench.web.pages import Pages, templates
from bench.web.publish import Part

Stamps = Mapping[str, Any]  # {file below the results folder: what changes when the file does}


@dataclass(frozen=True)
class Job:
    """A unit that is to be built."""

    name: str
    results: Path
    out: Path
    stamps: Stamps
    before: Stamps  # of the last build, for what it wrote still holds; empty: build all
    written: frozenset[str]  # its files of the last build
    others: frozenset[str]  # files in the output folder that are not ours
    memory: Memory


@dataclass(frozen=True)
class Source:
    """A record, and where it lies below the results folder."""

    path: str
    record: Record
    curve: list[Point]
    predictions: Path

    @property
    def pages(self) -> list[str]:
        """The run's page, its record and its predictions."""
        kinds = ("html", "json", "npz") if self.predictions.is_file() else ("html", "json")
        return [f"runs/{self.record.run_id}.{kind}" for kind in kinds]


def build(job: Job) -> dict[str, Any]:
    """Write the unit's files; returns what the rest of the site and the next build need to know of it."""
    sources = [load(job.results, path) for path in job.stamps]
    runs: dict[str, str] = {}
    for source in sources:
        if (other := runs.setdefault(source.record.run_id, source.path)) != source.path:
            raise twice(job.results, other, source.path)
    boards = facts.boards([s.record for s in sources], job.results, job.memory)
    home = {run["run_id"]: board for board, _ in boards for row in board["rows"] for run in row["runs"]}
    pages = templates()
    made: dict[str, bytes] = {}
    for board, says in boards:
        made |= pages.task(board) | downloads(
            job.memory, board, says, [s for s in sources if home[s.record.run_id] is board]
        )
    names = {*made, *(name for source in sources for name in source.pages)}
    part = Part(job.out, part_of(job.name), set(job.others))
    part.announce(names, job.written)
    for source in sources:
        if job.before.get(source.path) != job.stamps[source.path]:
            write_run(part, pages, source, home[source.record.run_id], job.results)
    for name, data in made.items():
        part.put(name, data)
    part.finish()
    digest = files.sha256(b"".join(made[name] for name in sorted(made) if name.endswith(".csv")))
    return {
        "stamps": dict(job.stamps), "boards": [board for board, _ in boards], "runs": runs, "files": sorted(names),
        "tables": digest,
        "digests": {b["slug"]: [folders.content_key(row=row) for row in b["rows"]] for b, _ in boards},
    }  # fmt: skip


def part_of(unit: str) -> str:
    """The name of a unit's list of files."""
    return files.sha256(unit.encode())[:16]


def twice(results: Path, one: str, other: str) -> RequestError:
    return RequestError(f"{results / one} and {results / other} hold the same run: remove one of them")


def load(results: Path, path: str) -> Source:
    """A checked record. RequestError: broken, with the file and the reason."""
    record = disk.read(results / path)
    checked_spec(record, str(results / path))
    try:
        curve = [Point.model_validate(p) for p in record.curve]
    except ValidationError as error:
        raise RequestError(f"{results / path} is not a valid record: curve: {error.errors()[0]['msg']}") from None
    return Source(path, record, curve, disk.beside(results / path, record.predictions.file))


def downloads(memory: Memory, board: Mapping[str, Any], says: Says, sources: list[Source]) -> dict[str, bytes]:
    """The tables of a board and of its runs, and the comparison of every two rows."""
    slug = board["slug"]
    rows = [tables.fitting(rounded(flat)) for row in board["rows"] for flat in tables.flat(row)]
    runs = [tables.fitting(rounded(facts.run_facts(s.record, s.path, slug))) for s in sources]
    named = [upright(row["name"]) for row in board["rows"]]
    compared = {"slug": slug, "metric": board["metric"], "rows": named, "pairs": says["pairs"]}
    found = {
        f"api/boards/{slug}.json": json.dumps(rounded(dict(board)), ensure_ascii=True).encode() + b"\n",
        f"data/{slug}.js": f"benchData({in_script(compared)});\n".encode(),
    }
    for name, table in (("rows", rows), ("runs", runs)):
        arrow = tables.to_arrow(table)
        memory.write(slug, f"{name}.arrow", arrow)
        found |= {
            f"api/{name}/{slug}.csv": tables.to_csv(table), f"api/{name}/{slug}.json": tables.to_json(table),
            f"api/{name}/{slug}.parquet": tables.join_parquet([arrow]),
        }  # fmt: skip
    return found


def write_run(part: Part, pages: Pages, source: Source, board: Mapping[str, Any], results: Path) -> None:
    """The page of a run, and copies of its record and predictions."""
    run = source.record.run_id
    stored = source.predictions.is_file()
    part.put(f"runs/{run}.html", pages.run(source.record, source.curve, source.path, board, stored))
    part.put(f"runs/{run}.json", (results / source.path).read_bytes())
    if stored:
        part.put(f"runs/{run}.npz", source.predictions.read_bytes())
