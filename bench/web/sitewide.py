"""The pages and tables over all boards."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bench.base.groups import grouped
from bench.board.leaderboard import ALWAYS
from bench.board.suites import tables as suite_tables
from bench.plugins import registry, suites
from bench.web import answers, overall, pages, tables, transfer, tuning
from bench.web.facts import SCHEMA
from bench.web.feed import feed
from bench.web.formats import rounded, slug
from bench.web.links import Links

STATIC = ("style.css", "icon.svg", "page.js", "table.js", "columns.js", "chart.js", "compare.js", "choose.js")
PAGES = ("index.html", "compare.html", "downloads.html", "papers.html", "transfer.html", "tuning.html", "about.html")
FEWEST = 2  # measured data sets of which a suite has a page
Board = Mapping[str, Any]
Placed = tuple[Board, Mapping[str, Any]]  # a row of a method on its board


def files(
    units: Mapping[str, Mapping[str, Any]], tried: Sequence[Mapping[str, Any]], links: Links
) -> dict[str, bytes]:  # fmt: skip
    """All of them by name. `units`: what `unit.build` tells of each, `tried`: what `tuning.found` does."""
    found = (board for unit in units.values() for board in unit["boards"])
    boards = sorted(found, key=lambda b: (b["task"], b["track"], b["version"], b["identity"], b["slug"]))
    place = {board["slug"]: at for at, board in enumerate(boards)}
    runs = sorted((run for unit in units.values() for run in unit["runs"]), key=lambda run: place[run["board"]])
    rows = [(board, row) for board in boards for row in board["rows"] if row["method"]]
    folder, tracks, found_suites = registry.folder("site"), overall.tracks(boards), measured(boards)
    shown: dict[str, Any] = {
        "root": "", "boards": boards, "tracks": tracks, "papers": pages.by_dataset(),
        "sections": answers.sections(boards), "matrices": transfer.matrices(boards),
        "suites": found_suites, "tunings": tuning.tables(tried, runs),
    }  # fmt: skip
    return {
        **{name: (folder / name).read_bytes() for name in STATIC},
        **{name: pages.page(name, links, **shown) for name in PAGES},
        "404.html": pages.page("404.html", links, root=links.top), "feed.xml": feed(boards, runs, links.base),
        **methods(rows, links), **students(rows, links), **suite_files(found_suites, links),
        "api/index.json": index(boards, tracks),
        **tables.files("api/rows", tables.of_boards(boards)), **tables.files("api/runs", runs),
        **tables.files("api/reported", pages.reported_rows()),
    }  # fmt: skip


def measured(boards: Sequence[Board]) -> dict[str, list[dict[str, Any]]]:
    """The tables of suites, by track, of which at least two data sets are measured."""
    made = {name: suite_tables(suite, boards) for name, suite in suites.found().items()}
    kept = {name: [table for table in own if table["measured"] >= FEWEST] for name, own in made.items()}
    return {name: own for name, own in kept.items() if own}


def suite_files(found: Mapping[str, Sequence[Mapping[str, Any]]], links: Links) -> dict[str, bytes]:
    """A page a suite, and its numbers."""
    made: dict[str, bytes] = {}
    for name, own in found.items():
        made[f"suites/{slug(name)}.html"] = pages.page("suite.html", links, name=name, tables=own)
        made[f"api/suites/{slug(name)}.json"] = json.dumps(rounded(own), ensure_ascii=True, indent=1).encode() + b"\n"
    return made


def methods(rows: Sequence[Placed], links: Links) -> dict[str, bytes]:
    """A page a method that is on a board or has a paper's numbers."""
    found: dict[str, list[Placed]] = {name: [] for name in pages.papers()} | grouped(rows, lambda own: own[1]["method"])
    return {f"methods/{slug(name)}.html": pages.method(name, own, links) for name, own in found.items()}


def students(rows: Sequence[Placed], links: Links) -> dict[str, bytes]:
    """A page a student: its best method on each board, and its baselines."""
    made = {}
    for name, own in grouped(rows, lambda own: str(own[1]["student"])).items():
        found = []  # of each board the best row, the baselines, and how many rows there are
        for placed in grouped(own, lambda own: str(own[0]["slug"])).values():
            board, first = placed[0]  # rows come by score
            always = {method: next((r for _, r in placed if r["method"] == method), None) for method in ALWAYS}
            bests = [row for _, row in placed if row["score"] == first["score"]]
            found.append({"board": board, "best": first, "bests": bests, "always": always, "count": len(placed)})
        made[f"students/{slug(name)}.html"] = pages.student(name, found, links)
    return made


def index(boards: Sequence[Board], tracks: Sequence[Mapping[str, Any]]) -> bytes:
    """Every board with its files, and every method's standing by track."""
    names = ("slug", "task", "track", "metric", "dataset", "identity", "version")
    listed = [
        {name: board[name] for name in names}
        | {
            "weakness": board["weakness"], "trivial": board["trivial"],
            "rows": len(board["rows"]), "runs": sum(len(row["runs"]) for row in board["rows"]),
            "board": f"api/boards/{board['slug']}.json", "page": f"tasks/{board['slug']}.html",
        }
        for board in boards
    ]  # fmt: skip
    found = {
        "schema": SCHEMA, "boards": listed,
        "tracks": [{"track": t["track"], "methods": t["methods"]} for t in tracks],
        "files": {t: {kind: f"api/{t}.{kind}" for kind in tables.KINDS} for t in ("rows", "runs")},
    }  # fmt: skip
    return json.dumps(rounded(found), ensure_ascii=True, indent=1).encode() + b"\n"
