"""How values are written on pages and in downloads."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from bench.base.formats import DASH, signed
from bench.records.specs import in_words

TURNING = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))  # marks that turn the direction of the text behind them
TURNED = dict.fromkeys(TURNING, "\N{REPLACEMENT CHARACTER}")


def upright(value: Any) -> Any:
    """What a page prints: a name in a record cannot turn round the words that stand beside it."""
    return value.translate(TURNED) if isinstance(value, str) and not value.isascii() else value


def flat(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested mappings as (dotted key, value in words) pairs."""
    found: list[tuple[str, str]] = []
    for key, value in tree.items():
        found += flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, in_words(value))]
    return found


def points(value: float | None) -> str:
    """A difference of scores times 100, with its sign."""
    return DASH if value is None else signed(100 * value).replace("-", "\N{MINUS SIGN}")


def short(value: float) -> str:
    """Two significant figures, never in powers of ten: 17, 5.1, 0.078."""
    return f"{value:,.{max(0, 1 - math.floor(math.log10(abs(value))))}f}" if value else "0"


def one(value: float | None) -> str:
    """A score times 100 with one decimal."""
    return DASH if value is None else f"{round(100 * value, 1) + 0.0:,.1f}"


def paragraphs(text: str) -> list[str]:
    """A text's parts between empty lines."""
    return [part.strip() for part in re.split(r"\n\s*\n", text) if part.strip()]


def papers(text: str) -> list[tuple[str, str]]:
    """(name, address) of the papers that a citation names by arXiv number or DOI."""
    arxiv = re.findall(r"arxiv(?:\.org/abs/|:\s*)(\d{4}\.\d{4,5})(?!\d)", text, re.ASCII | re.IGNORECASE)
    dois = re.findall(r"(?<![\w./])10\.\d{4,9}/[\w.()/:-]*\w", text, re.ASCII)
    found = [(f"arXiv:{n}", f"https://arxiv.org/abs/{n}") for n in arxiv]
    return list(dict.fromkeys([*found, *((f"doi:{doi}", f"https://doi.org/{doi}") for doi in dois)]))


def slug(text: str) -> str:
    """A name as part of a file name: letters and digits of ASCII, and a hash where that is not the whole name."""
    words = re.sub(r"[^a-z0-9_]+", "-", text.lower()).strip("-")[:60]
    return words if words and words == text else f"{words}-{hashlib.sha256(text.encode()).hexdigest()[:6]}".lstrip("-")


def rounded(value: Any) -> Any:
    """A tree with its floats at six significant figures, for what is downloaded."""
    if isinstance(value, float):  # most are
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    return [rounded(v) for v in value] if isinstance(value, (list, tuple)) else value


def in_script(value: Any) -> str:
    """JSON that is safe inside a script file or element, whatever strings it holds."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
