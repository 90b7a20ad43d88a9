"""The learning curve of a run, as a chart and as the table behind it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bench.web.plots import WILD, Axis

CURVE_ROWS = 400  # of a curve's table: keeps the page small
CURVE_DOTS = 60  # beyond it the line alone


class Point(BaseModel):
    """One entry of a record's learning curve."""

    model_config = ConfigDict(allow_inf_nan=False)

    stage: str
    step: int = Field(ge=0)
    losses: dict[str, float] = {}
    dev: float | None = None


def curve_chart(curve: Sequence[Point]) -> dict[str, Any]:
    """Dev score by update, one line a stage (none when dev was never read), and the table behind it."""
    table = thinned(by_update(curve))
    read = [(p.stage, u, 100 * p.dev) for p, u in table if p.dev is not None and abs(p.dev) < WILD]
    chart: dict[str, Any] = {"table": table, "all": len(curve), "dots": len(read) <= CURVE_DOTS, "lines": []}
    if read:
        values = [dev for _, _, dev in read]
        margin = 0.08 * (max(values) - min(values)) or 1.0
        x = Axis(0, max(1, *(u for _, u, _ in read)), 56, 690)
        y = Axis(min(values) - margin, max(values) + margin, 216, 24)
        stages = dict.fromkeys(stage for stage, _, _ in read)
        chart |= {"x": x, "y": y, "lines": [(t, [(x(u), y(dev)) for s, u, dev in read if s == t]) for t in stages]}
    return chart


def by_update(curve: Sequence[Point]) -> list[tuple[Point, int]]:
    """Points with their update of the run: a stage counts its own from 0."""
    ends: dict[str, int] = {}
    offsets: dict[str, int] = {}
    for point in curve:
        offsets.setdefault(point.stage, sum(ends.values()))
        ends[point.stage] = max(ends.get(point.stage, 0), point.step)
    return [(p, offsets[p.stage] + p.step) for p in curve]


def thinned(table: list[tuple[Point, int]]) -> list[tuple[Point, int]]:
    """At most CURVE_ROWS rows: those with a dev score before others, then evenly spaced, the last one kept."""
    if len(table) > CURVE_ROWS:
        table = [row for row in table if row[0].dev is not None] or table
    every = math.ceil(len(table) / CURVE_ROWS) if table else 1
    return table[::-1][::every][::-1]
