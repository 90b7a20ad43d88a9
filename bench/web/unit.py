"""One folder of records, as <track>/<task>, and the pages and tables it makes: what is built apart from all others."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Set
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.base import files
from bench.base.console import warn
from bench.board import evidence
from bench.board.runs import run_row
from bench.errors import RequestError
from bench.records import disk, notes
from bench.records.arrays import types_beside
from bench.records.schemas import Record
from bench.web import answers, facts, pages, publish, tables
from bench.web.charts import Point
from bench.web.formats import in_script, rounded, upright
from bench.web.links import Links


def build(
    results: Path, out: Path, others: Set[str], links: Links, name: str, stamps: Mapping[str, Any]
) -> dict[str, Any]:
    """Write the unit's files; returns what the rest of the site and the next build need to know of it.

    `stamps`: {record, or note, below the results folder: what changes when it does}; `others`: files that are not ours.
    """
    note = next((noted(results / path) for path in stamps if path.endswith(notes.NAME)), "")
    records = dict(loaded(results, (path for path in stamps if not path.endswith(notes.NAME))))
    boards = facts.boards(records.values(), results) if records else []
    home = {run["run_id"]: board for board, _ in boards for row in board["rows"] for run in row["runs"]}
    records = {path: record for path, record in records.items() if record.run_id in home}
    runs = [tables.fitting(run_row(r, path, home[r.run_id]["slug"])) for path, r in records.items()]
    made: dict[str, bytes] = {}
    for board, pairs in boards:
        board["note"] = note
        own = [run for run in runs if run["board"] == board["slug"]]
        made |= pages.task(board, links) | downloads(board, pairs, own)
    for path, record in records.items():
        made |= run_files(results, path, record, home[record.run_id], links)
    publish.write(out, part_of(name), made, others)
    return {"stamps": dict(stamps), "boards": [board for board, _ in boards], "runs": runs, "files": sorted(made)}


def noted(path: Path) -> str:
    """The note on a board; one that is none is told, and left out."""
    try:
        return notes.read(path)
    except RequestError as error:
        warn(f"left out: {error}")
        return ""


def part_of(unit: str) -> str:
    """The name of a unit's list of files."""
    return files.sha256(unit.encode())[:16]


def once(found: Iterable[tuple[str, Path]], both: str) -> None:
    """RequestError: something (its name, where it is) that is in two places; `both`: what is wrong, and what to do."""
    known: dict[str, Path] = {}
    for name, place in found:
        if (other := known.setdefault(name, place)) != place:
            raise RequestError(f"{other} and {place} {both}")


def loaded(results: Path, paths: Iterable[str]) -> Iterator[tuple[str, Record]]:
    """Those that can be read and lie in their place; each other is told and left out."""
    for path in paths:
        try:
            record = disk.placed(results / path, results)
            disk.beside(results / path, record.predictions.file)
            yield path, record
        except RequestError as error:
            warn(f"left out: {error}")


def downloads(board: Mapping[str, Any], pairs: list[Any], runs: list[dict[str, Any]]) -> dict[str, bytes]:
    """The tables of a board and of its runs, and the comparison of every two rows."""
    slug = board["slug"]
    named = [[row["key"], upright(row["name"])] for row in board["rows"]]
    compared = {
        "slug": slug, "metric": board["metric"], "rows": named, "pairs": rounded(pairs),
        "sentences": evidence.SENTENCES, "families": families(pairs),
    }  # fmt: skip
    return {
        f"api/boards/{slug}.json": json.dumps(rounded(board), ensure_ascii=True).encode() + b"\n",
        f"data/{slug}.js": f"benchData({in_script(compared)});\n".encode(),
        f"data/rows-{slug}.js": f"benchRows({in_script(rounded(answers.candidates(board)))});\n".encode(),
        **tables.files(f"api/rows/{slug}", tables.of_boards([board])), **tables.files(f"api/runs/{slug}", runs),
    }  # fmt: skip


def families(pairs: list[Any]) -> list[str]:
    """What p-values are corrected over: of pairs that the board does not show, and of those that it does."""
    shown = sum(pair[-1] for pair in pairs)
    return [evidence.family(len(pairs), shown=False), evidence.family(shown, shown=True)]


def run_files(results: Path, path: str, record: Record, board: Mapping[str, Any], links: Links) -> dict[str, bytes]:
    """The page of a run, and copies of its record and predictions."""
    name, predictions = f"runs/{record.run_id}", disk.beside(results / path, record.predictions.file)
    curve = [Point.model_validate(p) for p in record.curve]
    stored = predictions.is_file() and not predictions.is_symlink()
    types: list[dict[str, Any]] = []
    with suppress(RequestError):  # the board says of a run that its predictions cannot be read
        types = types_beside(record, predictions) if stored else []
    page = pages.run(record, curve, path, board, stored, types, links)
    found = {f"{name}.html": page, f"{name}.json": (results / path).read_bytes()}
    return found | ({f"{name}.npz": predictions.read_bytes()} if stored else {})
