"""The pages and tables over all boards."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import plugins
from bench.web import overall, tables
from bench.web.facts import SCHEMA
from bench.web.formats import rounded, slug
from bench.web.pages import templates
from bench.web.publish import Part

STATIC = ("style.css", "board.js")
Board = Mapping[str, Any]


def sitewide(out: Path, state: Mapping[str, Mapping[str, Any]], before: set[str], others: set[str]) -> set[str]:
    """Write them; returns their names. The tables of each board lie there already."""
    found = (board for unit in state.values() for board in unit["boards"])
    boards = sorted(found, key=lambda b: (b["task"], b["track"], b["version"], b["identity"], b["slug"]))
    made = pages(boards) | api(boards)
    for kind, (_, join) in tables.WRITERS.items():
        for table in ("rows", "runs"):
            made[f"api/{table}.{kind}"] = join([(out / f"api/{table}/{b['slug']}.{kind}").read_bytes() for b in boards])
    part = Part(out, "site", others)
    part.announce(made, before)
    for name, data in made.items():
        part.put(name, data)
    part.finish()
    return part.files


def pages(boards: Sequence[Board]) -> dict[str, bytes]:
    """Everything in HTML but boards and runs, and the static files."""
    page, papers = templates().page, templates().by_dataset()
    made = {name: (plugins.folder("site") / name).read_bytes() for name in STATIC}
    made |= {
        "index.html": page("index.html", root="", tracks=overall.tracks(boards), boards=boards),
        "compare.html": page("compare.html", root="", boards=boards),
        "downloads.html": page("downloads.html", root="", boards=boards),
        "papers.html": page("papers.html", root="", papers=papers, boards=boards),
        "about.html": page("about.html", root=""),
        "404.html": page("404.html", root="./"),
    }
    rows = [row for board in boards for row in board["rows"] if row["method"]]
    for name in sorted({row["method"] for row in rows} | set(templates().papers)):
        made[f"methods/{slug(name)}.html"] = templates().method(name, boards)
    for name in sorted({row["student"] for row in rows}):
        made[f"students/{slug(name)}.html"] = templates().student(name, boards)
    return made


def api(boards: Sequence[Board]) -> dict[str, bytes]:
    """What scripts start from: every board with its files, every method's standing by track."""
    index = {
        "schema": SCHEMA,
        "boards": [
            {key: board[key] for key in ("slug", "task", "track", "metric", "dataset", "identity", "version")}
            | {"rows": len(board["rows"]), "runs": sum(len(row["runs"]) for row in board["rows"])}
            | {"board": f"api/boards/{board['slug']}.json", "page": f"tasks/{board['slug']}.html"}
            for board in boards
        ],
        "tracks": [{"track": t["track"], "methods": t["methods"]} for t in overall.tracks(boards)],
        "files": {t: {kind: f"api/{t}.{kind}" for kind in tables.WRITERS} for t in ("rows", "runs")},
    }
    return {"api/index.json": json.dumps(rounded(index), ensure_ascii=True, indent=1).encode() + b"\n"}
