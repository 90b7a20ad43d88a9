"""What changed, as an Atom feed (RFC 4287): the runs that each board got on a day, the newest first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

from bench.base.groups import grouped
from bench.web import answers
from bench.web.formats import upright

ENTRIES = 60
ATOM = "http://www.w3.org/2005/Atom"
UNFIT = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what XML 1.0 cannot hold
Run = Mapping[str, Any]


def feed(boards: Iterable[Mapping[str, Any]], runs: Sequence[Run], base: str) -> bytes:
    """Its links are relative where `base`, the address of the site, is not known. A run without a date is left out."""
    known, dated = {board["slug"]: board for board in boards}, [(run, at) for run in runs if (at := time_of(run))]
    days = grouped(dated, lambda own: (own[1].date().isoformat(), str(own[0]["board"])))
    newest = sorted(days.items(), key=lambda own: (max(at for _, at in own[1]), own[0]), reverse=True)[:ENTRIES]
    top = ElementTree.Element("feed", xmlns=ATOM)
    add(top, "title", "bench: new results")
    add(top, "id", base or "urn:bench:feed")
    add(top, "updated", stamp(max((at for _, at in newest[0][1]) if newest else [datetime.fromtimestamp(0, UTC)])))
    add(add(top, "author"), "name", "bench")
    add(top, "link", href=f"{base}index.html")
    for (day, slug), own in newest:
        entry(add(top, "entry"), known[slug], day, own, base)
    ElementTree.indent(top, " ")
    return ElementTree.tostring(top, "utf-8", xml_declaration=True) + b"\n"


def entry(place: ElementTree.Element, board: Mapping[str, Any], day: str, own: list[Any], base: str) -> None:
    """One board on one day."""
    methods = ", ".join(sorted({str(run["method"]) for run, _ in own}))
    count = f"{len(own)} new run{'' if len(own) == 1 else 's'}"
    add(place, "title", f"{board['task']}, {board['track']} track: {count} of {methods}"[:300])
    add(place, "id", f"urn:bench:{board['slug']}:{day}")
    add(place, "updated", stamp(max(at for _, at in own)))
    add(place, "link", href=f"{base}tasks/{board['slug']}.html")
    add(place, "summary", f"{answers.named(board)}: {count}; students {students(own)}."[:500])


def students(own: list[Any]) -> str:
    return ", ".join(sorted({str(run["student"]) for run, _ in own}))


def add(place: ElementTree.Element, name: str, text: str = "", **attributes: str) -> ElementTree.Element:
    found = ElementTree.SubElement(place, name, attributes)
    found.text = UNFIT.sub("\N{REPLACEMENT CHARACTER}", upright(text)) or None
    return found


def time_of(run: Run) -> datetime | None:
    """When a run was finished, in UTC; None: its record does not say it as a date."""
    try:
        found = datetime.fromisoformat(str(run["finished"]))
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # the latter of the first and the last day of all
        return None


def stamp(at: datetime) -> str:
    return at.isoformat(timespec="seconds")
