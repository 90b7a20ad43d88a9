"""Pages from facts: one function a kind of page, each returning the page's text."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import jinja2

from bench.base.formats import DASH, figures, hundred, whole
from bench.base.groups import grouped
from bench.board import evidence, reported
from bench.board.leaderboard import ALWAYS
from bench.board.reported import Reported
from bench.plugins import registry
from bench.records.schemas import Record
from bench.web import answers, charts, facts, formats, overall, training, use
from bench.web.charts import Point
from bench.web.facts import by_track
from bench.web.links import Links

Board = Mapping[str, Any]
Row = Mapping[str, Any]
SHOWN = 120  # rows of a board's page, which is to stay below 300 kB; a page of its own has all


@cache
def environment() -> jinja2.Environment:
    """One a process: templates are compiled once."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(registry.folder("site")),
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        finalize=formats.upright,
    )  # fmt: skip
    made.filters |= {
        "hundred": hundred, "figures": figures, "whole": whole, "points": formats.points, "flat": formats.flat,
        "slug": formats.slug, "short": formats.short, "one": formats.one, "paragraphs": formats.paragraphs,
        "papers": formats.papers, "few": few, "known": lambda v: DASH if v is None or v == "" else v,
    }  # fmt: skip
    made.globals |= {
        "ranks": charts.ranks, "on": charts.on, "look": charts.look,
        "named": answers.named, "answer_of": answers.answer,
        "within": answers.within, "NEAR": answers.NEAR, "limits": facts.LIMITS, "recipe": training.recipe,
        "use": use, "evidence": evidence,
    }  # fmt: skip
    return made


def page(template: str, links: Links, root: str = "../", **context: Any) -> bytes:
    """`root`: the way to the top of the site."""
    return environment().get_template(template).render(root=root, links=links, **context).encode()


def task(board: Board, links: Links) -> dict[str, bytes]:
    """The page of a board; where rows make a grid, one of its axes; where there are many rows, one with all."""
    slug, rows = board["slug"], board["rows"]
    few = [r for i, r in enumerate(rows) if i < SHOWN or not r["method"] or r["method"] in ALWAYS][: 2 * SHOWN]
    context: dict[str, Any] = {
        "board": board, "intervals": charts.intervals(rows),
        "charts": charts.charts(rows, board["hardware"]), "pick": overall.pick(board),
        "papers": by_dataset().get(board["task"], []),
    }  # fmt: skip
    found = {f"tasks/{slug}.html": page("task.html", links, rows=few, rest=len(rows) - len(few), **context)}
    if board["grids"]:
        found[f"tasks/{slug}-axes.html"] = page("axes.html", links, board=board)
    if len(few) < len(rows):
        bare = context | {"charts": [], "intervals": {"shown": []}}
        found[f"tasks/{slug}-all.html"] = page("task.html", links, rows=rows, rest=0, **bare)
    return found


def run(
    record: Record, curve: Sequence[Point], path: str, board: Board, predictions: bool,
    types: Sequence[Mapping[str, Any]], links: Links,
) -> bytes:  # fmt: skip
    """The page of a run, which depends on its own record and predictions alone."""
    chart = charts.curve_chart(curve)
    shown: dict[str, Any] = {"curve": chart, "predictions": predictions, "types": types}
    return page("run.html", links, run=record, path=path, board=board, **shown)


def method(name: str, rows: Sequence[tuple[Board, Row]], links: Links) -> bytes:
    """A method's rows on all boards, and what papers report of it beside what was measured here."""
    plugin = registry.found("method").get(name)
    told = {} if plugin else said("method", name, (board for board, _ in rows))
    notes = ast.get_docstring(ast.parse(plugin.path.read_text(encoding="utf-8"))) if plugin else told.get("notes")
    claims = [([own for own in rows if own[0]["task"] == r.dataset], r) for r in papers().get(name, [])]
    boards = {board["slug"]: board for board, _ in rows}.values()
    tracks = [{"track": track, "method": overall.method(name, group)} for track, group in by_track(boards).items()]
    shown: dict[str, Any] = {"notes": notes, "rows": rows, "tracks": tracks, "papers": claims, "told": told}
    return page("method.html", links, name=name, declares=plugin.declares if plugin else None, **shown)


def student(name: str, found: Sequence[Mapping[str, Any]], links: Links) -> bytes:
    """A student on all its boards, each with its best method."""
    plugin = registry.found("student").get(name.partition(":")[0])
    told = {} if plugin else said("student", name.partition(":")[0], (one["board"] for one in found))
    summary = plugin.summary if plugin else told.get("title", "")
    return page("student.html", links, name=name, summary=summary, found=found)


def said(kind: str, name: str, boards: Iterable[Board]) -> Mapping[str, str]:
    """What a file of the user's says of itself, on the board with the last run of those that hold it."""
    found = [board for board in boards if name in board["by_path"][kind]]
    last = max(found, key=lambda board: str(board["finished"]), default=None)
    told: Mapping[str, str] = last["by_path"][kind][name] if last else {}
    return told


@cache
def papers() -> dict[str, list[Reported]]:
    """What papers report, by method."""
    return {name: found for name in registry.found("method") if (found := reported.rows(name))}


def few(claims: Sequence[tuple[Any, Reported]], most: int) -> list[tuple[Any, Reported]]:
    """The first numbers of each method on each data set, as a page is to stay small; api/reported has all."""
    groups = grouped(claims, lambda c: (c[0] if isinstance(c[0], str) else "", c[1].dataset))
    return [claim for group in groups.values() for claim in group[:most]]


def reported_rows() -> list[dict[str, Any]]:
    """All that papers report, for the downloads."""
    rows = ((name, row.model_dump()) for name, found in papers().items() for row in found)
    return [{"method": name, "of_seeds": row.pop("seeds"), **row} for name, row in rows]


@cache
def by_dataset() -> dict[str, list[tuple[str, Reported]]]:
    """(method, number) of all that papers report, by data set."""
    claims = ((name, row) for name, rows in papers().items() for row in rows)
    return dict(sorted(grouped(claims, lambda claim: claim[1].dataset).items()))
