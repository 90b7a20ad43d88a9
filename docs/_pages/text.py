"""Markdown of docstrings and tables: what is not in backticks is words, and never a tag, a link or emphasis."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from typing import Any

from bench.web.formats import papers

SPECIAL = re.compile(r"([\\*_{}\[\]#|~^$])")
ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def words(text: Any) -> str:
    """A text on one line, its backticks kept as code."""
    parts = re.split(r"(`[^`]+`)", " ".join(str(text).split()))
    return "".join(part if place % 2 else escaped(part) for place, part in enumerate(parts))


def escaped(text: str) -> str:
    text = "".join(ENTITIES.get(letter, letter) for letter in text)
    return SPECIAL.sub(r"\\\1", text)


def code(text: Any) -> str:
    """A name, a value or a command inside a line; nothing of nothing."""
    text = " ".join(str(text).split())
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}" if text else ""


def block(text: str) -> str:
    """Lines as they stand."""
    return f"~~~text\n{inspect.cleandoc(text)}\n~~~"


def prose(docstring: str) -> str:
    """A docstring: paragraphs are words, and what is set apart (equations, layouts) stays as it stands."""
    parts = [part for part in re.split(r"\n\s*\n", docstring) if part.strip()]
    return "\n\n".join(laid_out(part) if is_code(part) else words(part) for part in parts)


def is_code(part: str) -> bool:
    return any(line.startswith("    ") for line in part.splitlines())


def laid_out(part: str) -> str:
    """A sentence above it, where there is one, is no part of the block."""
    lines = part.strip("\n").splitlines()
    above = 0 if lines[0].startswith(" ") else len(lines) - sum(line.startswith(" ") for line in lines)
    lead = words(" ".join(lines[:above])) + "\n\n" if above else ""
    return lead + "~~~text\n" + inspect.cleandoc("\n" + "\n".join(lines[above:])) + "\n~~~"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells are Markdown. Empty: there are no rows."""
    lines = ["| " + " | ".join(cell or " " for cell in row) + " |" for row in rows]
    head = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    return "\n".join([*head, *lines]) if lines else ""


def folded(title: str, text: str) -> str:
    """What opens when the reader asks for it."""
    return f'??? note "{title}"\n\n' + "\n".join(f"    {line}" if line else "" for line in text.splitlines())


def cited(text: str) -> str:
    """A citation, behind it its papers as links."""
    links = ", ".join(f"[{name}]({address})" for name, address in papers(text))
    return words(text) + (f" ({links})" if links else "")


def page(title: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", *(part for part in parts if part)]) + "\n"


def section(title: str, *parts: str) -> str:
    """Nothing of nothing: a heading stands above something."""
    text = "\n\n".join(part for part in parts if part)
    return f"## {title}\n\n{text}" if text else ""
