"""The pages and tables over all boards, each written again only where what it shows has changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from bench.errors import BenchError
from bench.plugins import registry
from bench.store import folders
from bench.web import overall, tables
from bench.web.facts import SCHEMA
from bench.web.formats import rounded, slug
from bench.web.memory import TABLES, Memory
from bench.web.pages import templates
from bench.web.publish import Part

STATIC = ("style.css", "board.js")
Board = Mapping[str, Any]
Made = tuple[Any, Callable[[], bytes | tables.Pieces]]  # (what a file shows, how it is made)


class SiteWide:
    """`before`: the digest of what each file showed in the last build, whose files are all there."""

    def __init__(
        self, out: Path, memory: Memory, state: Mapping[str, Mapping[str, Any]], before: Mapping[str, str]
    ) -> None:
        self.out, self.memory, self.before = out, memory, before
        found = (board for unit in state.values() for board in unit["boards"])
        self.boards = sorted(found, key=lambda b: (b["task"], b["track"], b["version"], b["identity"], b["slug"]))
        self.tables = {b["slug"]: unit["tables"] for unit in state.values() for b in unit["boards"]}
        # what a row shows, in short: computed once, when its board was
        self.digests_of = {slug: found for unit in state.values() for slug, found in unit["digests"].items()}
        self.files = self._static() | self._pages() | self._methods() | self._students() | self._tables()
        self.digests = {name: folders.content_key(shows=shows) for name, (shows, _) in self.files.items()}

    def write(self, before: set[str], others: set[str]) -> list[str]:
        """Write what changed; returns its names."""
        changed = [name for name in self.files if self.before.get(name) != self.digests[name]]
        if changed or before != set(self.files):
            part = Part(self.out, "site", others)
            part.announce(self.files, before)
            self._put(part, changed)
            part.finish()
        return changed

    def _put(self, part: Part, names: Sequence[str]) -> None:
        """Parquet, which is packed without Python, beside the tables that follow it, which are read and written."""
        with ThreadPoolExecutor(1) as beside:
            packed = []
            for name in names:
                if name.endswith(".parquet"):
                    packed.append(beside.submit(self._write, part, name))
                else:
                    self._write(part, name)
            for one in packed:
                one.result()

    def _write(self, part: Part, name: str) -> None:
        made = self.files[name][1]()
        if isinstance(made, bytes):
            part.put(name, made)
        else:
            part.stream(name, made)

    def _static(self) -> dict[str, Made]:
        """Files and pages that show no record; they change with the code, which is another version."""
        page, folder = templates().page, registry.folder("site")
        files: dict[str, Made] = {name: ("", (folder / name).read_bytes) for name in STATIC}
        papers = sorted({board["task"] for board in self.boards})
        return files | {
            "about.html": ("", partial(page, "about.html", root="")),
            "404.html": ("", partial(page, "404.html", root="./")),
            "papers.html": (papers, lambda: page(
                "papers.html", root="", papers=templates().by_dataset(), boards=self.boards
            )),
        }  # fmt: skip

    def _pages(self) -> dict[str, Made]:
        page, boards = templates().page, self.boards
        named = [[board["slug"], board["task"], board["track"]] for board in boards]
        tracks = overall.tracks(boards)
        means = [[t["track"], t["methods"]] for t in tracks]
        picks = [self.digests_of[board["slug"]] for board in boards]
        index = partial(page, "index.html", root="", tracks=tracks, boards=boards)
        return {
            "index.html": ([named, means, picks], index),
            "compare.html": (named, partial(page, "compare.html", root="", boards=boards)),
            "downloads.html": (named, partial(page, "downloads.html", root="", boards=boards)),
            "api/index.json": ([means, [summary(board) for board in boards]], partial(index_of, boards, tracks)),
        }

    def _methods(self) -> dict[str, Made]:
        """A page a method that is on a board or has a paper's numbers."""
        rows: dict[str, list[tuple[Board, Mapping[str, Any]]]] = {name: [] for name in templates().papers}
        for board in self.boards:
            for row in board["rows"]:
                if row["method"]:
                    rows.setdefault(row["method"], []).append((board, row))
        make = templates().method
        return {
            f"methods/{slug(name)}.html": ([self._digest(row) for _, row in found], partial(make, name, found))
            for name, found in sorted(rows.items())
        }

    def _students(self) -> dict[str, Made]:
        """A page a student: its best method on each board, and its baselines."""
        found: dict[str, list[dict[str, Any]]] = {}
        for board in self.boards:
            rows: dict[str, list[Mapping[str, Any]]] = {}
            for row in board["rows"]:
                if row["method"]:
                    rows.setdefault(row["student"], []).append(row)
            for name, own in rows.items():
                found.setdefault(name, []).append(overall.of_student(board, own))
        make = templates().student
        return {
            f"students/{slug(name)}.html": ([self._shown(x) for x in own], partial(make, name, own))
            for name, own in sorted(found.items())
        }

    def _shown(self, found: Mapping[str, Any]) -> list[Any]:
        """Of a student on a board."""
        return [self._digest(found["best"]), *map(self._digest, found["always"].values()), found["count"]]

    def _digest(self, row: Mapping[str, Any] | None) -> str:
        return self.digests_of[row["board"]][row["row"]] if row else ""

    def _tables(self) -> dict[str, Made]:
        """All rows and all runs: the tables of the boards, which lie there already, joined."""
        shows = [[board["slug"], self.tables[board["slug"]]] for board in self.boards]
        return {
            f"api/{table}.{kind}": (shows, partial(self._joined, table, kind))
            for kind in reversed(tables.KINDS) for table in TABLES
        }  # fmt: skip

    def _joined(self, table: str, kind: str) -> bytes | tables.Pieces:
        slugs = [board["slug"] for board in self.boards]
        if kind == "parquet":
            try:
                return tables.join_parquet([self.memory.read(slug, f"{table}.arrow") for slug in slugs])
            except (OSError, ValueError):
                raise BenchError(f"{self.memory.folder} is damaged: remove it, and build again") from None
        return tables.JOIN[kind]((self.out / f"api/{table}/{slug}.{kind}").read_bytes() for slug in slugs)


def summary(board: Board) -> dict[str, Any]:
    """A board in the index that scripts start from."""
    names = ("slug", "task", "track", "metric", "dataset", "identity", "version")
    return {name: board[name] for name in names} | {
        "rows": len(board["rows"]), "runs": sum(len(row["runs"]) for row in board["rows"]),
        "board": f"api/boards/{board['slug']}.json", "page": f"tasks/{board['slug']}.html",
    }  # fmt: skip


def index_of(boards: Sequence[Board], tracks: Sequence[Mapping[str, Any]]) -> bytes:
    """Every board with its files, and every method's standing by track."""
    index = {
        "schema": SCHEMA,
        "boards": [summary(board) for board in boards],
        "tracks": [{"track": t["track"], "methods": t["methods"]} for t in tracks],
        "files": {t: {kind: f"api/{t}.{kind}" for kind in tables.KINDS} for t in TABLES},
    }
    return json.dumps(rounded(index), ensure_ascii=True, indent=1).encode() + b"\n"
