"""What templates print: escaped once, whatever it is, and macros left as they are."""

from __future__ import annotations

from typing import Any

import pytest
from markupsafe import Markup, escape

from bench.web.escaping import printed
from bench.web.formats import upright
from bench.web.pages import Pages


@pytest.mark.parametrize(
    "value", ["plain", "a<b>&'\"", "caf\N{LATIN SMALL LETTER E WITH ACUTE}<", 3, 0.5, None, True, ["<i>"]]
)
def test_a_value_is_printed_as_jinja_would(value: Any) -> None:
    assert printed(value) == str(escape(value))


def test_a_name_cannot_turn_the_words_beside_it() -> None:
    assert printed("a\N{RIGHT-TO-LEFT OVERRIDE}<b") == str(escape(upright("a\N{RIGHT-TO-LEFT OVERRIDE}<b")))


def test_a_macro_is_printed_as_it_is_and_its_values_are_escaped_once() -> None:
    source = "{% macro cell(x) %}<td>{{ x }}</td>{% endmacro %}{{ cell('&') }}{{ name }}{{ '<' }}{{ cell(name)|trim }}"
    assert Pages().environment.from_string(source).render(name="<&>") == (
        "<td>&amp;</td>&lt;&amp;&gt;&lt;<td>&lt;&amp;&gt;</td>"
    )
    assert printed(Markup("<td>")) == "<td>"
