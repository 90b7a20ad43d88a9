"""Charts of a board and of a run in pixels, which templates draw as SVG: they stand without JavaScript."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from bench.base.groups import grouped
from bench.board.recommend import pareto
from bench.board.speed import Hardware

CHARACTER = 6.4  # mean width of a chart label's character
LABEL = 30  # characters of a name in a chart at most
WILD = 1e9  # beyond it a value is a mistake, which the table shows and a chart cannot
MARKS = 60  # rows of a chart; the best are drawn
LINE = 22  # pixels of a row of the interval plot
CURVE_ROWS = 400  # of a curve's table: keeps the page small
CURVE_DOTS = 60  # beyond it the line alone
CLOCK = tuple(field.name for field in fields(Hardware))
Row = Mapping[str, Any]
Look = int  # a shape with its colour
Place = tuple[float, float, str]  # of a label: x, baseline, anchor
LOOKS: dict[str, Look] = {
    "outputs": 0, "embeddings": 1, "inner layers": 2, "labels": 3, "not installed": 4, "reference": 5,
}  # fmt: skip


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

    @property
    def minor(self) -> list[float]:
        """Pixels of the values between the ticks of a log axis that show how it is divided."""
        if not self.log or self.high > 1e4 * self.low:
            return []
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        values = [m * 10.0**d for d in decades for m in range(1, 10)]
        named = {at for at, _ in self.ticks}
        return [at for v in values if self.low <= v <= self.high and (at := self(v)) not in named]


def round_step(about: float) -> float:
    """1, 2 or 5 times a power of ten, at least `about`."""
    power = 10.0 ** math.floor(math.log10(about))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= about * 0.999)


def look(family: str) -> Look | None:
    """The mark of a method by what it matches in its teacher, the same on all pages; None: a teacher's."""
    return LOOKS.get(family, LOOKS["not installed"]) if family else None


def charts(rows: Sequence[Row], hardware: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Score against latency on each hardware, sizes and cost; the charts that have anything to show.

    Size and speed are a student's whatever its method, so all of a student's rows stand in one place there.
    """
    latency = "latency", "single latency, ms (p50, log scale; left is faster)", "ms"
    cost = "cost of distilling", "distilling, s (log scale; left is cheaper)", "s"
    sizes = ("parameters", "M", "parameters"), ("MFLOP of an input", "", "flops"), ("size on disk", "MB", "disk_bytes")
    found = [scatter(rows, *latency, clock, timed(rows, clock, "latency_ms"), of_student) for clock in hardware]
    for name, unit, key in sizes:
        axis = f"{name}{', ' if unit else ''}{unit} (log scale; left is smaller)"
        values = [row[key] / 1e6 if row[key] is not None else None for row in rows]
        found.append(scatter(rows, name, axis, unit, None, values, of_student))
    found += [scatter(rows, *cost, clock, timed(rows, clock, "distil_seconds"), of_row) for clock in hardware]
    return [chart for chart in found if chart["groups"]]


def of_student(row: Row) -> tuple[str, str]:
    """Rows of one network: (key, label)."""
    return f"{row['student']}\n{row['teacher']}" if row["method"] else row["key"], row["student"] or row["name"]


def of_row(row: Row) -> tuple[str, str]:
    return row["key"], row["name"]


def timed(rows: Sequence[Row], clock: Mapping[str, Any], key: str) -> list[float | None]:
    return [(on(row, clock) or {}).get(key) for row in rows]


def on(row: Row, clock: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """A row's timing on one hardware."""
    same = (t for t in row["timings"] if all(t[key] == clock[key] for key in CLOCK))
    return next(same, None)


def scatter(
    rows: Sequence[Row], name: str, axis: str, unit: str, clock: Mapping[str, Any] | None,
    found: Sequence[float | None], group: Callable[[Row], tuple[str, str]],
) -> dict[str, Any]:  # fmt: skip
    """Score against a value, of the rows that have both; the Pareto front as a line of steps.

    A group of rows stands at the median of its values, each row at its own score.
    """
    chart: dict[str, Any] = {"name": name, "axis": axis, "unit": unit, "clock": clock, "groups": []}
    values = {i: value for i, value in enumerate(found) if value and 1 / WILD < value < WILD}
    shown, left_out = best(rows, values)
    if not shown:
        return chart
    members = grouped(shown, lambda i: group(rows[i]))
    middle = {key: statistics.median(values[i] for i in own) for key, own in members.items()}
    room = max(1.6, (max(middle.values()) / min(middle.values())) ** 0.25)  # on the right, for labels
    x = Axis(min(middle.values()) / 1.6, max(middle.values()) * room, 56, 704, log=True)
    y = Axis(*bounds(ends(rows, shown), 0.06), 316, 12)
    groups = [spread(rows, own, values, x(middle[key]), y) | {"name": key[1]} for key, own in members.items()]
    for own, place in zip(groups, labels([(g["x"], g["marks"][0][2], worded(g)) for g in groups]), strict=True):
        own |= {"place": place, "label": worded(own)}
    points = [(middle[key], -rows[own[0]]["score"]) for key, own in members.items()]  # the best of each
    front = [(x(value), y(-100 * negative)) for value, negative in sorted({points[i] for i in pareto(points)})]
    unnamed = sum(g["place"] is None for g in groups)
    return chart | {"x": x, "y": y, "groups": groups, "front": front, "left_out": left_out, "unnamed": unnamed}


def spread(rows: Sequence[Row], own: Sequence[int], values: Mapping[int, float], x: float, y: Axis) -> dict[str, Any]:
    """A group at a place: its marks (row, value, y), best first, and the interval of the best."""
    first = rows[own[0]]
    whisker = y(100 * first["score_low"]), y(100 * first["score_high"])
    return {"x": x, "marks": [(rows[i], values[i], y(100 * rows[i]["score"])) for i in own], "whisker": whisker}


def worded(group: Mapping[str, Any]) -> str:
    """A group's label, which says how many rows stand in its place."""
    name, count = group["name"], len(group["marks"])
    short = name if len(name) <= LABEL else f"{name[: LABEL - 1]}\N{HORIZONTAL ELLIPSIS}"
    return f"{short}, {count} rows" if count > 1 else short


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
    return [_room(x, y, CHARACTER * len(name), taken) for x, y, name in marks]


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


def ranks(axis: Mapping[str, Any]) -> dict[str, Any]:
    """The levels of a grid's axis, of which each has a line with its mean rank and its interval."""
    count = len(axis["levels"])
    return {"x": Axis(0.9, count + 0.1, 200, 704), "line": LINE, "bottom": 12 + LINE * count}


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
