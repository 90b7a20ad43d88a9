"""The fields of a dataclass of settings with their defaults, and the comments beside them in its source."""

from __future__ import annotations

import ast
import inspect
import io
import json
import textwrap
import tokenize
from dataclasses import MISSING, Field, fields
from typing import Any

from .text import code, table, words


def of(settings: type[Any], owner: str) -> str:
    """A table of what `--set owner.field=value` sets; empty: it has no settings."""
    said = comments(settings)
    rows = ([code(f.name), code(default(f)), code(f.type), words(said.get(f.name, ""))] for f in fields(settings))
    found = table(("setting", "default", "type", "what it is, and where the default comes from"), rows)
    return found and f"On the command line: {code(f'--set {owner}.SETTING=VALUE')}.\n\n{found}"


def default(field: Field[Any]) -> str:
    if field.default is not MISSING:
        return plain(field.default)
    return plain(field.default_factory()) if field.default_factory is not MISSING else ""


def plain(value: Any) -> str:
    """As it is typed on the command line."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (tuple, list)):
        return json.dumps(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def comments(settings: type[Any]) -> dict[str, str]:
    """{field: comment} of a class and of those that it inherits from; a field that is stated anew has its own."""
    found: dict[str, str] = {}
    for cls in reversed(settings.__mro__):
        if "__dataclass_fields__" in vars(cls):
            found |= in_source(textwrap.dedent(inspect.getsource(cls)))
    return found


def in_source(source: str) -> dict[str, str]:
    """Those at the end of a field's lines, and those that have the lines above it for themselves."""
    tree = ast.parse(source).body[0]
    assert isinstance(tree, ast.ClassDef)
    at, alone = comment_lines(source)
    found = {}
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            lines = list(range(node.lineno, (node.end_lineno or node.lineno) + 1))
            while lines[0] - 1 in alone:
                lines.insert(0, lines[0] - 1)
            if said := " ".join(at[line] for line in lines if line in at):
                found[node.target.id] = said
    return found


def comment_lines(source: str) -> tuple[dict[int, str], set[int]]:
    """{line: its comment}, and the lines that hold nothing else. What is meant for a linter is none."""
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    found = [t for t in tokens if t.type == tokenize.COMMENT and not t.string.startswith(("# fmt", "# noqa", "# type"))]
    at = {t.start[0]: t.string.lstrip("# ") for t in found}
    return at, {t.start[0] for t in found if t.line.lstrip().startswith("#")}
