"""What a template prints becomes safe text in one step.

Jinja makes a Markup object of every value that is printed, a third of the time of a page. Here `finalize` gets every
value and returns it escaped, and the generated code adds nothing: should Jinja ever go round this class, it would
escape the text a second time, and never not at all.
"""

from __future__ import annotations

import re
from typing import Any

from jinja2.compiler import CodeGenerator
from markupsafe import Markup, escape

from bench.web.formats import upright

special = re.compile(r"[&<>'\"]").search


class Printing(CodeGenerator):
    """Generates code that prints what `finalize` returns as it is."""

    def _output_child_pre(self, *_: Any) -> None:
        self.write("environment.finalize(")

    def _output_child_post(self, *_: Any) -> None:
        self.write(")")


def printed(value: Any) -> str:
    """A value as text of a page. Markup, which is what a macro returns, stays as it is."""
    if type(value) is Markup:
        return value
    text = upright(value) if isinstance(value, str) else str(value)
    return escape(text) if special(text) else text
