"""A page for each method: its docstring, settings, what it fits, what papers report, and what was measured here."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.base.groups import grouped
from bench.board import reported
from bench.plugins import registry
from bench.plugins.catalogue import catalogue

from . import settings
from .boards import Line, shown
from .text import block, cited, code, folded, page, prose, section, table, words

HEAD = ("system", "teacher", "student", "data set", "metric", "value", "split", "seeds", "source", "how it is known")


def pages(measured: Sequence[Line]) -> dict[str, str]:
    found = catalogue()
    own = {f"methods/{m['name']}.md": method_page(m, found["tasks"], measured) for m in found["methods"]}
    rows = (
        [f"[{m['name']}]({m['name']}.md)", words(m["title"]), words(", ".join(m["needs"]))] for m in found["methods"]
    )
    about = "Every method that is installed. `bench list methods` prints them too, with what fits what."
    return {
        "methods/index.md": page("Methods", about, table(("method", "title", "needs from the teacher"), rows)),
        **own,
    }


def method_page(method: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]], measured: Sequence[Line]) -> str:
    name = method["name"]
    cls = registry.load(registry.installed("method", name))
    return page(
        name,
        f"**{words(cls.title)}**" if getattr(cls, "title", "") else "",
        cited(getattr(cls, "citation", "")),
        block(f"bench run --task TASK --method {name} --seeds 0,1,2"),
        prose(inspect.getdoc(sys.modules[cls.__module__]) or ""),
        section("Settings", settings.of(cls.Settings, name), by_input(cls)),
        section("Fits", fits(method, tasks)),
        section("What papers report", papers(reported.rows(name))),
        section("Measured here", shown(measured, lambda line: line.row.method == name) or "No record yet."),
    )


def by_input(cls: Any) -> str:
    """Settings that go with what is read, where a method has them."""
    rows = [[code(reads), code(", ".join(f"{k}={v}" for k, v in own.items()))] for reads, own in cls.defaults.items()]
    return table(("of inputs", "defaults there"), rows)


def fits(method: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]]) -> str:
    """Its tasks by family, and why the others are none of them."""
    yes = ", ".join(linked(method["fits"])) or "Nothing that is installed."
    reasons = grouped(method["misfits"].items(), lambda pair: pair[1])
    rows = ([", ".join(linked(task for task, _ in pairs)), words(reason)] for reason, pairs in reasons.items())
    everything = len(method["fits"]) == len(tasks)
    return ("All tasks." if everything else yes) + "\n\n" + table(("not", "because"), rows)


def linked(names: Iterable[str]) -> list[str]:
    """Families as links, each with those of its data sets that are named."""
    families = grouped(names, lambda name: name.partition("/")[0])
    return [
        f"[{family}](../tasks/{family}.md)"
        + (f" ({', '.join(n.partition('/')[2] for n in own)})" if own != [family] else "")
        for family, own in families.items()
    ]


def papers(rows: Sequence[reported.Reported]) -> str:
    """Published numbers, which are never ranked among measured ones."""
    cells = (
        [
            words(v)
            for v in (r.system, r.teacher, r.student, r.dataset, r.metric, r.value, r.split, r.seeds, r.source, r.known)
        ]
        for r in rows
    )
    note = "Other data cuts, other teachers, other protocols: never ranked among measured rows. A blank is unknown."
    return f"{note}\n\n" + folded(f"{len(rows)} published numbers", table(HEAD, cells)) if rows else ""
