"""How numbers are written for people, on pages and on model cards."""

from __future__ import annotations

import math

DASH = "\N{EM DASH}"  # a value that is unknown or does not apply


def hundred(value: float | None) -> str:
    """A score times 100 with two decimals."""
    return DASH if value is None else f"{round(100 * value, 2) + 0.0:,.2f}"


def signed(points: float) -> str:
    """A difference with its sign and two decimals; what rounds to nothing has no sign."""
    rounded = round(points, 2)
    return f"{rounded:+,.2f}" if rounded else "0.00"


def figures(value: float | None, noisy: bool = False) -> str:
    """Three significant figures and whole numbers, of noisy timings two, never in powers of ten."""
    if value is None or not value:
        return DASH if value is None else "0"
    digits = (1 if noisy else 2) - math.floor(math.log10(abs(value)))
    return f"{round(value, digits) if noisy else value:,.{max(0, digits)}f}"


def whole(value: float | None) -> str:
    return DASH if value is None else f"{value:,.0f}"
