"""How numbers are written for people, on pages and on model cards."""

from __future__ import annotations

import math

DASH = "\N{EM DASH}"  # a value that is unknown or does not apply


def hundred(value: float | None) -> str:
    """A score times 100 with two decimals."""
    return DASH if value is None else f"{round(100 * value, 2) + 0.0:,.2f}"


def figures(value: float | None) -> str:
    """Three significant figures, never in powers of ten."""
    if value is None or not value:
        return DASH if value is None else "0"
    return f"{value:,.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def whole(value: float | None) -> str:
    return DASH if value is None else f"{value:,.0f}"
