"""Charts of a board and of a run in pixels, which templates draw as SVG: they stand without JavaScript."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bench.board.recommend import pareto
from bench.board.speed import Hardware

SHAPES, COLOURS = 5, 6  # of method marks in the charts; with 5 x 6 pairs the first 30 methods all differ
CHARACTER = 6.4  # mean width of a chart label's character
LABEL = 30  # characters of a chart label at most, as task.html cuts it
WILD = 1e9  # beyond it a value is a mistake, which the table shows and a chart cannot
MARKS = 60  # rows of a chart; the best are drawn
LINE = 22  # pixels of a row of the interval plot
CURVE_ROWS = 400  # of a curve's table: keeps the page small
CURVE_DOTS = 60  # beyond it the line alone
CLOCK = tuple(field.name for field in fields(Hardware))
Row = Mapping[str, Any]
Look = tuple[int, int]  # (shape, colour)
Place = tuple[float, float, str]  # of a label: x, baseline, anchor


@dataclass(frozen=True)
class Axis:
    """Values to pixels."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high, v = (math.log(x) if self.log else x for x in (self.low, self.high, value))
        return round(self.start + (self.end - self.start) * (v - low) / (high - low), 1)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """(pixel, label) at round values."""
        if self.log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            steps = (1, 2, 5) if len(decades) <= 4 else (1,)
            values = [m * 10.0**d for d in decades for m in steps]
        else:
            step = round_step((self.high - self.low) / 5)
            values = [n * step for n in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]
        return [(self(v), f"{v:,.6g}") for v in values if self.low <= v <= self.high]


def round_step(about: float) -> float:
    """1, 2 or 5 times a power of ten, at least `about`."""
    power = 10.0 ** math.floor(math.log10(about))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= about * 0.999)


def looks(rows: Iterable[Row]) -> dict[str, Look]:
    """The mark of each method on a board."""
    methods = sorted({row["method"] for row in rows if row["method"]})
    return {method: (i % SHAPES, i % COLOURS) for i, method in enumerate(methods)}


def charts(rows: Sequence[Row], hardware: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Score against latency on each hardware, parameters and cost; the charts that have anything to show."""
    latency = "latency", "single latency, ms (p50, log scale; left is faster)", "ms"
    cost = "cost of distilling", "distilling, s (log scale; left is cheaper)", "s"
    found = [scatter(rows, *latency, clock, timed(rows, clock, "latency_ms")) for clock in hardware]
    sizes = [row["parameters"] / 1e6 for row in rows]
    found.append(scatter(rows, "parameters", "parameters, M (log scale; left is smaller)", "M", None, sizes))
    found += [scatter(rows, *cost, clock, timed(rows, clock, "distil_seconds")) for clock in hardware]
    return [chart for chart in found if chart["marks"]]


def timed(rows: Sequence[Row], clock: Mapping[str, Any], key: str) -> list[float | None]:
    return [(on(row, clock) or {}).get(key) for row in rows]


def on(row: Row, clock: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """A row's timing on one hardware."""
    same = (t for t in row["timings"] if all(t[key] == clock[key] for key in CLOCK))
    return next(same, None)


def scatter(
    rows: Sequence[Row], name: str, axis: str, unit: str, clock: Mapping[str, Any] | None, found: Sequence[float | None]
) -> dict[str, Any]:
    """Score against a value, of the rows that have both; the Pareto front as a line of steps.

    Marks are (number of the row, value, place of the label); None: no room, the table has it.
    """
    chart: dict[str, Any] = {"name": name, "axis": axis, "unit": unit, "clock": clock, "marks": []}
    values = {i: value for i, value in enumerate(found) if value and 1 / WILD < value < WILD}
    shown, left_out = best(rows, values)
    if not shown:
        return chart
    wide = [values[i] for i in shown]
    room = max(1.6, (max(wide) / min(wide)) ** 0.25)  # on the right, for labels
    x = Axis(min(wide) / 1.6, max(wide) * room, 56, 704, log=True)
    y = Axis(*bounds(ends(rows, shown), 0.06), 316, 12)
    points = [(values[i], -rows[i]["score"]) for i in shown]
    front = [(x(value), y(-100 * negative)) for value, negative in sorted({points[i] for i in pareto(points)})]
    places = labels([(x(values[i]), y(100 * rows[i]["score"]), rows[i]["name"]) for i in shown])
    marks = [(i, values[i], place) for i, place in zip(shown, places, strict=True)]
    return chart | {"x": x, "y": y, "marks": marks, "front": front, "left_out": left_out}


def best(rows: Sequence[Row], places: Iterable[int]) -> tuple[list[int], int]:
    """The rows with the highest scores that a chart can show, best first, and how many it leaves out."""
    usable = [i for i in places if (score := rows[i]["score"]) is not None and abs(score) < WILD]
    return sorted(usable, key=lambda i: -rows[i]["score"])[:MARKS], max(0, len(usable) - MARKS)


def ends(rows: Sequence[Row], shown: Iterable[int]) -> list[float]:
    return [100 * rows[i][key] for i in shown for key in ("score_low", "score_high", "score")]


def bounds(values: Sequence[float], share: float) -> tuple[float, float]:
    """Of an axis: the ends of the values, and a share of their span beyond both."""
    low, high = min(values), max(values)
    margin = share * (high - low) or 1.0
    return low - margin, high + margin


def labels(marks: Sequence[tuple[float, float, str]]) -> list[Place | None]:
    """Where the labels of marks (x, y, name) stand; boxes that are taken are (left, top, right, bottom)."""
    taken = [(x - 7, y - 7, x + 7, y + 7) for x, y, _ in marks]
    return [_room(x, y, CHARACTER * min(len(name), LABEL), taken) for x, y, name in marks]


def _room(x: float, y: float, width: float, taken: list[tuple[float, float, float, float]]) -> Place | None:
    """A place for a label beside its mark that overlaps nothing yet, and is then taken too."""
    for dy in (0, -14, 14, -26, 26):
        for left, at, anchor in ((x + 10, x + 10, "start"), (x - 10 - width, x - 10, "end")):
            box = (left, y + dy - 7, left + width, y + dy + 7)
            inside = box[0] >= 58 and box[2] <= 720 and box[1] >= 4 and box[3] <= 316
            if inside and not any(box[0] < t[2] and t[0] < box[2] and box[1] < t[3] and t[1] < box[3] for t in taken):
                taken.append(box)
                return round(at, 1), round(y + dy + 4, 1), anchor
    return None


def intervals(rows: Sequence[Row]) -> dict[str, Any]:
    """The rows of which each has a line with its score and its interval, best first."""
    shown, left_out = best(rows, range(len(rows)))
    if not shown:
        return {"shown": []}
    x = Axis(*bounds(ends(rows, shown), 0.04), 200, 704)
    return {"x": x, "shown": sorted(shown), "line": LINE, "bottom": 12 + LINE * len(shown), "left_out": left_out}


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
        x = Axis(0, max(1, *(u for _, u, _ in read)), 56, 690)
        y = Axis(*bounds([dev for _, _, dev in read], 0.08), 216, 24)
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
