"""One folder of records, as <track>/<task>, and the pages and tables it makes: what is built apart from all others."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench.base import files
from bench.errors import RequestError
from bench.records import disk
from bench.records.schemas import Record
from bench.records.specs import checked_spec
from bench.web import facts, pages, publish, tables
from bench.web.charts import Point
from bench.web.formats import in_script, rounded, upright


@dataclass(frozen=True)
class Source:
    """A record, and where it lies below the results folder."""

    path: str
    record: Record
    curve: list[Point]
    predictions: Path


def build(results: Path, out: Path, others: Set[str], name: str, stamps: Mapping[str, Any]) -> dict[str, Any]:
    """Write the unit's files; returns what the rest of the site and the next build need to know of it.

    `stamps`: {record below the results folder: what changes when the record does}; `others`: files that are not ours.
    """
    sources = [load(results, path) for path in stamps]
    once(results, ((source.record.run_id, source.path) for source in sources))
    boards = facts.boards([source.record for source in sources], results)
    home = {run["run_id"]: board for board, _ in boards for row in board["rows"] for run in row["runs"]}
    runs = [tables.fitting(facts.run_facts(s.record, s.path, home[s.record.run_id]["slug"])) for s in sources]
    made: dict[str, bytes] = {}
    for board, pairs in boards:
        own = [run for run in runs if run["board"] == board["slug"]]
        made |= pages.task(board) | downloads(board, pairs, own)
    for source in sources:
        made |= run_files(source, home[source.record.run_id], results)
    publish.write(out, part_of(name), made, others)
    return {"stamps": dict(stamps), "boards": [board for board, _ in boards], "runs": runs, "files": sorted(made)}


def part_of(unit: str) -> str:
    """The name of a unit's list of files."""
    return files.sha256(unit.encode())[:16]


def once(results: Path, runs: Iterable[tuple[str, str]]) -> None:
    """RequestError: a run that two records hold; `runs`: (run id, record)."""
    known: dict[str, str] = {}
    for run, path in runs:
        if (other := known.setdefault(run, path)) != path:
            raise RequestError(f"{results / other} and {results / path} hold the same run: remove one of them")


def load(results: Path, path: str) -> Source:
    """A checked record. RequestError: broken, with the file and the reason."""
    record = disk.read(results / path)
    checked_spec(record, str(results / path))
    try:
        curve = [Point.model_validate(p) for p in record.curve]
    except ValidationError as error:
        raise RequestError(f"{results / path} is not a valid record: curve: {error.errors()[0]['msg']}") from None
    return Source(path, record, curve, disk.beside(results / path, record.predictions.file))


def downloads(board: Mapping[str, Any], pairs: list[Any], runs: list[dict[str, Any]]) -> dict[str, bytes]:
    """The tables of a board and of its runs, and the comparison of every two rows."""
    slug = board["slug"]
    named = [upright(row["name"]) for row in board["rows"]]
    compared = {"slug": slug, "metric": board["metric"], "rows": named, "pairs": rounded(pairs)}
    return {
        f"api/boards/{slug}.json": json.dumps(rounded(board), ensure_ascii=True).encode() + b"\n",
        f"data/{slug}.js": f"benchData({in_script(compared)});\n".encode(),
        **tables.files(f"api/rows/{slug}", tables.of_boards([board])), **tables.files(f"api/runs/{slug}", runs),
    }  # fmt: skip


def run_files(source: Source, board: Mapping[str, Any], results: Path) -> dict[str, bytes]:
    """The page of a run, and copies of its record and predictions."""
    name, stored = f"runs/{source.record.run_id}", source.predictions.is_file()
    page = pages.run(source.record, source.curve, source.path, board, stored)
    found = {f"{name}.html": page, f"{name}.json": (results / source.path).read_bytes()}
    return found | ({f"{name}.npz": source.predictions.read_bytes()} if stored else {})
