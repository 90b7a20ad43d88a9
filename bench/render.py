"""The leaderboard as static pages: complete without JavaScript and from file://; same records, same bytes."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jinja2
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bench import leaderboard, plugins, records
from bench.errors import RequestError
from bench.leaderboard import Board, Hardware, Range, Row
from bench.records import Record

DASH = "\N{EM DASH}"
MANIFEST = ".bench-site"  # names the files that a build made: no other file is ever replaced or removed
OURS = re.compile(r"(style\.css|index\.html|about\.html|runs/[0-9a-f]{16}\.html)")
SHAPES, COLOURS = 5, 6  # of method marks in the charts; with 5 x 6 pairs the first 30 methods all differ
CHARACTER = 6.4  # mean width of a chart label's character
LABEL = 30  # characters of a chart label at most
WILD = 1e9  # beyond it a value is a mistake, which the table shows and a chart cannot
CURVE_ROWS = 400  # of a curve's table: keeps the page small
CURVE_DOTS = 60  # beyond it the line alone


class Point(BaseModel):
    """One entry of a record's learning curve."""

    model_config = ConfigDict(allow_inf_nan=False)

    stage: str
    step: int = Field(ge=0)
    losses: dict[str, float] = {}
    dev: float | None = None


@dataclass(frozen=True)
class Source:
    """A record, and where it lies below the results folder."""

    path: str
    record: Record
    curve: list[Point]


def build(results: Path, out: Path) -> list[Path]:
    """Write the site; returns its files. Unchanged files are left alone, pages of records that are gone are removed.

    RequestError: no records, a broken one, or an output folder that is not ours to write.
    """
    sources = load(results)
    if out.resolve().is_relative_to(results.resolve()):
        raise RequestError(f"--out {out} lies in the results folder, which holds records alone: choose another folder")
    return publish(out, pages(sources))


def load(results: Path) -> list[Source]:
    """All records below a folder, each checked. RequestError: none, or the file that is broken."""
    first = (
        "run `bench run --task sts --method finetune --method kd --seeds 0,1,2` first, or name another with --results"
    )
    if not results.is_dir():
        raise RequestError(f"there is no results folder {results}: {first}")
    if not os.access(results, os.R_OK | os.X_OK):
        raise RequestError(f"the results folder {results} cannot be read: {first}")
    sources = [_source(results, path) for path in records.paths(results)]
    if not sources:
        raise RequestError(f"the results folder {results} holds no records: {first}")
    seen: dict[str, str] = {}
    for source in sources:
        other = seen.setdefault(source.record.run_id, source.path)
        if other != source.path:
            raise RequestError(f"{results / source.path} and {results / other} hold the same run: remove one of them")
    return sources


def _source(results: Path, path: Path) -> Source:
    record = records.read(path)
    leaderboard.spec_of(record, str(path))
    try:
        curve = [Point.model_validate(p) for p in record.curve]
    except ValidationError as error:
        raise RequestError(f"{path} is not a valid record: curve: {error.errors()[0]['msg']}") from None
    return Source(path.relative_to(results).as_posix(), record, curve)


def pages(sources: Sequence[Source]) -> dict[str, str]:
    """The site: {file below the output folder: text}."""
    boards = leaderboard.rows(s.record for s in sources)
    page = partial(_page, _environment())
    home = {run_id: board for board in boards for row in board.rows for _, run_id in row.runs}
    site = {
        "style.css": (plugins.folder("site") / "style.css").read_text(encoding="utf-8"),
        "index.html": page("index.html", root="", boards=boards, charts=[_charts(b) for b in boards], marks=_marks),
        "about.html": page("about.html", root=""),
    }
    for source in sources:
        run = source.record.run_id
        context = {"run": source.record, "path": source.path, "board": home[run], "curve": curve_chart(source.curve)}
        site[f"runs/{run}.html"] = page("run.html", root="../", **context)
    return site


def publish(out: Path, site: Mapping[str, str]) -> list[Path]:
    """Write what changed, remove what an earlier build made and this one did not."""
    try:
        (out / "runs").mkdir(parents=True, exist_ok=True)
        before = _manifest(out)
        data = {name: text.encode() for name, text in site.items()}
        for name in data.keys() - before:
            if (out / name).exists() and (out / name).read_bytes() != data[name]:
                raise RequestError(f"{out / name} was not made by bench: choose another folder with --out")
        # named before they are made, so that a build that is cut short knows its own files
        _put(out / MANIFEST, "".join(f"{n}\n" for n in sorted(before | data.keys())).encode())
        for name, content in data.items():
            _put(out / name, content)
        for name in before - data.keys():
            (out / name).unlink(missing_ok=True)
        _put(out / MANIFEST, "".join(f"{n}\n" for n in sorted(data)).encode())
    except OSError as error:
        raise RequestError(
            f"cannot write the site to {out}: {error.strerror}: choose another folder with --out"
        ) from None
    return [out / name for name in sorted(data)]


def _manifest(out: Path) -> set[str]:
    """Files that an earlier build made; a line that no build writes is no reason to touch a file."""
    path = out / MANIFEST
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    return {line for line in lines if OURS.fullmatch(line)}


def _put(path: Path, data: bytes) -> None:
    if not path.exists() or path.read_bytes() != data:
        records.replace(path, data)


def _page(environment: jinja2.Environment, name: str, **context: Any) -> str:
    return environment.get_template(name).render(**context)


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(plugins.folder("site")),
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {
        "hundred": hundred, "figures": figures, "whole": whole, "span": span, "flat": flat,
        "words": leaderboard.in_words, "known": lambda v: DASH if v is None or v == "" else v,
    }  # fmt: skip
    return environment


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


def span(value: Range, unit: float) -> str:
    """A size in units; both ends where the runs of a row differ."""
    low, high = figures(value.low / unit), figures(value.high / unit)
    return low if low == high else f"{low} to {high}"


def flat(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """Nested mappings as (dotted key, value) pairs."""
    found: list[tuple[str, Any]] = []
    for key, value in tree.items():
        found += flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, value)]
    return found


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


@dataclass(frozen=True)
class Mark:
    """A point of the scatter with its interval and label, in pixels."""

    x: float
    y: float
    low: float
    high: float
    style: tuple[int, int] | None  # (shape, colour); None: the teacher
    title: str
    label: str
    at: tuple[float, float, str] | None  # x, baseline, anchor; None: no room, the table has it

    @property
    def leads(self) -> bool:
        """Whether the label stands so far off that a line must lead to it."""
        return self.at is not None and abs(self.at[1] - 4 - self.y) > 1


def _marks(board: Board) -> dict[str, tuple[int, int]]:
    """The look of each method on a board."""
    methods = sorted({row.method for row in board.rows if row.method})
    return {method: (i % SHAPES, i % COLOURS) for i, method in enumerate(methods)}


def _charts(board: Board) -> list[dict[str, Any]]:
    found = [scatter(board, hardware) for hardware in board.hardware]
    return [chart for chart in found if chart["marks"]]


def scatter(board: Board, hardware: Hardware) -> dict[str, Any]:
    """Score against latency on one hardware, the rows that have both."""
    shown = []
    for row in board.rows:
        ms = row.speed[hardware].latency_ms if hardware in row.speed else None
        if row.score and abs(row.score.value) < WILD and ms and 1 / WILD < ms < WILD:
            shown.append((row, ms))
    if not shown:
        return {"marks": []}
    times = [ms for _, ms in shown]
    bounds = [100 * b for row, _ in shown if row.score for b in (row.score.low, row.score.high, row.score.value)]
    margin = 0.06 * (max(bounds) - min(bounds)) or 1.0
    room = max(1.6, (max(times) / min(times)) ** 0.25)  # on the right, for labels
    x = Axis(min(times) / 1.6, max(times) * room, 56, 704, log=True)
    y = Axis(min(bounds) - margin, max(bounds) + margin, 316, 12)
    return {"hardware": hardware, "x": x, "y": y, "marks": _placed(shown, x, y, _marks(board))}


def _placed(shown: Iterable[tuple[Row, float]], x: Axis, y: Axis, styles: Mapping[str, tuple[int, int]]) -> list[Mark]:
    taken = [
        (x(ms) - 7, y(100 * r.score.value) - 7, x(ms) + 7, y(100 * r.score.value) + 7) for r, ms in shown if r.score
    ]
    marks = []
    for row, ms in shown:
        if row.score:
            low, value, high = (y(100 * v) for v in (row.score.low, row.score.value, row.score.high))
            label = row.name if len(row.name) <= LABEL else row.name[: LABEL - 1] + "\N{HORIZONTAL ELLIPSIS}"
            title = f"{row.name}: {hundred(row.score.value)}, {figures(ms)} ms"
            at = _room(x(ms), value, label, taken)
            marks.append(Mark(x(ms), value, low, high, styles.get(row.method), title, label, at))
    return marks


def _room(
    x: float, y: float, label: str, taken: list[tuple[float, float, float, float]]
) -> tuple[float, float, str] | None:
    """A place for the label beside its mark that overlaps nothing yet; boxes are (left, top, right, bottom)."""
    width = CHARACTER * len(label)
    for dy in (0, -14, 14, -26, 26):
        for left, at, anchor in ((x + 10, x + 10, "start"), (x - 10 - width, x - 10, "end")):
            box = (left, y + dy - 7, left + width, y + dy + 7)
            inside = box[0] >= 58 and box[2] <= 720 and box[1] >= 4 and box[3] <= 316
            if inside and not any(box[0] < t[2] and t[0] < box[2] and box[1] < t[3] and t[1] < box[3] for t in taken):
                taken.append(box)
                return round(at, 1), round(y + dy + 4, 1), anchor
    return None


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
