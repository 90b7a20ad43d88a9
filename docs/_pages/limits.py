"""The page of limits: the sentences in docstrings and pages that say what is rebuilt, unverified or not reproduced.

A sentence is found by its words, so who writes one more of them writes it here too.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.plugins import registry

from .boards import Line
from .text import code, is_code, page, section, table, words

ROOMS = {
    "baselines": "methods",
    "tasks": "tasks",
    "students": "students",
}  # whose docstrings, and where their pages are
TOLD_IN = ("results.md", "protocol.md", "performance.md")
SAID = {
    "Reconstructions": r"reconstruct",
    "Not verified, not known, or from memory": (
        r"not verified|unverified|from memory|not checked|recalled|as far as is known|could not be read|not at hand|"
        r"(?:is|are) not known|(?:is|are) unknown[.]?$|are unknown: all|not published|never given|not released|"
        r"no official code|was not found"
    ),
    "Not reproduced": r"no reproduction|nor refuted|nothing of the paper|no word against|the opposite|have no records",
    "Other than the paper or its code": r"(?<!standard )\bdeviat|\bour (?:choice|reading|design)|\bare ours\b",
}
ABOUT = (
    "What is not reproduced, what is a reconstruction, what was not verified. Nothing here is written for this page: "
    "it holds the sentences of docstrings, pages, published numbers and data cards that say so, with links to the "
    "whole text. It is as complete as they are."
)


def limits_page(root: Path, measured: Sequence[Line]) -> str:
    sentences = [*in_docstrings(), *in_pages(root)]
    told = [section(title, bullets(sentences, pattern)) for title, pattern in SAID.items()]
    return page("Limits", ABOUT, missing(root), *told, doubtful_numbers(), licences(measured))


def bullets(sentences: Sequence[tuple[str, str]], pattern: str) -> str:
    wanted = [(where, text) for where, text in sentences if re.search(pattern, text, re.IGNORECASE)]
    return "\n".join(f"- {where}: {words(text)}" for where, text in dict.fromkeys(wanted))


def in_docstrings() -> Iterator[tuple[str, str]]:
    """(where, sentence) of every plug-in with a link to its page, and of what several share with its file."""
    for room, pages in ROOMS.items():
        for path in sorted(registry.folder(room).glob("*.py")):
            own_page = not path.stem.startswith("_")
            where = f"[{path.stem}](../{pages}/{path.stem}.md)" if own_page else code(f"{room}/{path.name}")
            docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            yield from ((where, sentence) for sentence in sentences_of(docstring))


def in_pages(root: Path) -> Iterator[tuple[str, str]]:
    for name in TOLD_IN:
        where = f"[{name.removesuffix('.md')}](../{name})"
        yield from ((where, sentence) for sentence in sentences_of((root / "docs" / name).read_text(encoding="utf-8")))


def sentences_of(text: str) -> Iterator[str]:
    """Of its paragraphs and list items; equations, commands, headings and tables are no sentences."""
    for part in re.split(r"\n\s*\n|\n(?=- )", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        if not is_code(part) and not part.lstrip().startswith(("#", "|")):
            plain = re.sub(r"\*\*|\[([^\]]*)\]\([^)]*\)", r"\1", " ".join(part.removeprefix("- ").split()))
            yield from re.split(r"(?<=[a-z)\d][.;])(?<!\bal\.)\s+(?=[A-Z`\d])(?!A reconstruction)", plain)


def missing(root: Path) -> str:
    """What the project says it does not have."""
    said = re.findall(
        r"^## Not (?:there|here) yet\n(.*?)(?=^## |\Z)", (root / "docs/design.md").read_text(), re.S | re.M
    )
    return section("Not there yet", "\n\n".join(text.strip() for text in said))


def doubtful_numbers() -> str:
    """Published numbers that were not read where they were published."""
    from bench.board.reported import rows

    doubt = re.compile(r"recalled|third party|another paper|digest|taken for")
    counted: dict[tuple[str, str], int] = {}
    for method in registry.found("method"):
        for row in rows(method):
            if doubt.search(row.known):
                counted[method, row.known] = counted.get((method, row.known), 0) + 1
    cells = ([f"[{m}](../methods/{m}.md)", str(n), words(known)] for (m, known), n in counted.items())
    return section(
        "Published numbers that were not read at their source", table(("method", "numbers", "how known"), cells)
    )


def licences(measured: Sequence[Line]) -> str:
    """Data cards that say so of themselves."""
    data = {line.board.task: line.board.data for line in measured}
    cells = ([code(task), words(d.licence)] for task, d in data.items() if "unverified" in d.licence)
    return section("Licences that were not verified", table(("task", "licence as noted"), cells))
