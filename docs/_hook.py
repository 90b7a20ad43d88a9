"""mkdocs' hook: pages that the code tells join those of docs/, and patterns in the navigation become pages."""

from __future__ import annotations

from collections.abc import Iterator, Set
from fnmatch import fnmatch
from typing import Any

from _pages import pages
from mkdocs.structure.files import File


def on_files(files: Any, config: Any) -> Any:
    for address, text in pages().items():
        files.append(File.generated(config, address, content=text))
    names = [file.src_uri for file in files.documentation_pages()]
    config.nav = filled(config.nav, set(names) - set(leaves(config.nav)))
    return files


def leaves(nav: Any) -> Iterator[str]:
    """All that a navigation names, however deep."""
    if isinstance(nav, str):
        yield nav
    else:
        yield from (leaf for item in (nav.values() if isinstance(nav, dict) else nav) for leaf in leaves(item))


def filled(nav: Any, left: Set[str]) -> Any:
    """A `*` is all pages of its folder that are named nowhere: a new page needs no line of its own."""
    if isinstance(nav, dict):
        return {title: filled(item, left) for title, item in nav.items()}
    if isinstance(nav, list):
        return [entry for item in nav for entry in (alike(item, left) if "*" in item else [filled(item, left)])]
    return nav


def alike(pattern: str, left: Set[str]) -> list[str]:
    return sorted(page for page in left if fnmatch(page, pattern) and page.count("/") == pattern.count("/"))
