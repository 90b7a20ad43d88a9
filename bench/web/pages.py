"""Pages from facts: one function a kind of page, each returning the page's text."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, cached_property
from typing import Any

import jinja2

from bench.board import leaderboard, reported
from bench.board.reported import Reported
from bench.plugins import registry
from bench.records.schemas import Record
from bench.records.specs import in_words
from bench.web import formats, overall, plots
from bench.web.compiled import load_compiled
from bench.web.curves import Point, curve_chart
from bench.web.escaping import Printing, printed
from bench.web.facts import by_track

Board = Mapping[str, Any]
Row = Mapping[str, Any]
SHOWN = 150  # rows of a board's page, which is to stay below 300 kB; a page of its own has all


@cache
def templates() -> Pages:
    """One a process: templates are compiled once."""
    return Pages()


class Pages:
    """The templates, and what papers report."""

    @cached_property
    def environment(self) -> jinja2.Environment:
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(registry.folder("site")),
            autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=printed,
        )  # fmt: skip
        environment.code_generator_class = Printing
        environment.filters |= {
            "hundred": formats.hundred, "figures": formats.figures, "whole": formats.whole, "points": formats.points,
            "flat": formats.flat, "slug": formats.slug, "words": in_words,
            "losses": formats.losses, "path": formats.path,
            "known": lambda v: formats.DASH if v is None or v == "" else v,
        }  # fmt: skip
        environment.globals |= {"span": formats.span, "rank": formats.rank, "on": plots.on, "pick": overall.pick}
        load_compiled(environment, registry.folder("site"))
        return environment

    def page(self, template: str, **context: Any) -> bytes:
        return self.environment.get_template(template).render(**context).encode()

    def task(self, board: Board) -> dict[str, bytes]:
        """The page of a board, and where it has many rows a second page with all of them."""
        slug, rows = board["slug"], board["rows"]
        context = {
            "root": "../", "board": board, "looks": plots.looks(rows), "charts": plots.charts(rows, board["hardware"]),
            "intervals": plots.intervals(rows), "pick": overall.pick(board), "papers": self.on_task(board["task"]),
        }  # fmt: skip
        if len(rows) <= SHOWN:
            return {f"tasks/{slug}.html": self.page("task.html", rows=rows, rest=0, **context)}
        few = [r for i, r in enumerate(rows) if i < SHOWN or not r["method"] or r["method"] in leaderboard.ALWAYS]
        few = few[: 2 * SHOWN]
        bare = context | {"charts": [], "intervals": {"marks": []}}
        return {
            f"tasks/{slug}.html": self.page("task.html", rows=few, rest=len(rows) - len(few), **context),
            f"tasks/{slug}-all.html": self.page("task.html", rows=rows, rest=0, **bare),
        }

    def run(self, record: Record, curve: Sequence[Point], path: str, board: Board, predictions: bool) -> bytes:
        """The page of a run, which depends on its own record alone."""
        chart = curve_chart(curve)
        return self.page(
            "run.html", root="../", run=record, path=path, board=board, curve=chart, predictions=predictions
        )

    def method(self, name: str, rows: Sequence[tuple[Board, Row]]) -> bytes:
        """A method's rows on all boards, and what papers report of it beside what was measured here."""
        plugin = registry.found("method").get(name)
        notes = ast.get_docstring(ast.parse(plugin.path.read_text(encoding="utf-8"))) if plugin else None
        papers = [(r, _measured(r, rows)) for r in self.papers.get(name, [])]
        boards = {board["slug"]: board for board, _ in rows}.values()
        tracks = [{"track": track, "method": overall.method(name, group)} for track, group in by_track(boards).items()]
        return self.page(
            "method.html", root="../", name=name, declares=plugin.declares if plugin else None, notes=notes,
            rows=rows, tracks=tracks, papers=papers,
        )  # fmt: skip

    def student(self, name: str, found: Sequence[Mapping[str, Any]]) -> bytes:
        """A student on all its boards, each with its best method."""
        plugin = registry.found("student").get(name.partition(":")[0])
        return self.page("student.html", root="../", name=name, summary=plugin.summary if plugin else "", found=found)

    @cached_property
    def papers(self) -> dict[str, list[Reported]]:
        """What papers report, by method."""
        return {name: found for name in registry.found("method") if (found := reported.rows(name))}

    def on_task(self, task: str) -> list[tuple[str, Reported]]:
        """(method, number) of what papers report on a task."""
        return [(name, r) for name, found in self.papers.items() for r in found if r.dataset == task]

    def by_dataset(self) -> dict[str, list[tuple[str, Reported]]]:
        """All that papers report, by data set."""
        found: dict[str, list[tuple[str, Reported]]] = {}
        for name, rows in self.papers.items():
            for row in rows:
                found.setdefault(row.dataset, []).append((name, row))
        return dict(sorted(found.items()))


def _measured(paper: Reported, rows: Iterable[tuple[Board, Row]]) -> list[tuple[Board, Row]]:
    """The rows measured here on the data set of a reported number."""
    return [(board, row) for board, row in rows if board["task"] == paper.dataset]
