"""What commands answer, as lines and tables on the terminal: a function a command."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.base.formats import figures, signed
from bench.base.groups import grouped

MOST = 6  # rows at the end of a command
FEW = 2  # data sets of a family that are named; of more their number is told
MANY = 5  # rows, of which a reader does not ask why each does not fit
Answer = Mapping[str, Any]
Shown = Iterator[str | Text | Table]
COLUMNS = {
    "tasks": ("name", "kind", "metric", "title"),
    "suites": ("name", "tasks", "averages", "methods", "students"),
    "methods": ("name", "needs", "fits", "title"),
    "students": ("name", "default", "sizes", "title"),
    "teachers": ("name", "tasks", "where"),
    "metrics": ("name", "title"),
}


def show(parts: Iterable[str | Text | Table]) -> None:
    """Names in them are no markup."""
    console = Console()
    for part in parts:
        copied = isinstance(part, Text) and part.no_wrap  # a command, on one line whatever the width
        console.print(Text(part) if isinstance(part, str) else part, crop=False, soft_wrap=bool(copied))


def table(title: str, columns: Sequence[str], rows: Iterable[Iterable[Any]]) -> Table:
    """Keys are there to be copied, so they are not broken."""
    found = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        found.add_column(column, overflow="fold", no_wrap=column == "key")
    for row in rows:
        found.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    return found


def catalogue(parts: Mapping[str, list[dict[str, Any]]]) -> Shown:
    """One table a part; under the methods, why those that do not fit a task do not."""
    families = _families(parts)
    for part, rows in parts.items():
        columns = COLUMNS[part]
        yield table(part, columns, ([_listed(_said(row, c), families) for c in columns] for row in rows))
        misfits = [(row["name"], row.get("misfits", {})) for row in rows]
        if len(rows) > MANY and any(own for _, own in misfits):
            yield f"why one of the {part} does not fit a task: bench list {part} NAME"
            continue
        reasons = ((name, reason, own) for name, own in misfits for reason in dict.fromkeys(own.values()))
        alike = grouped(reasons, lambda r: (r[1], tuple(task for task, reason in r[2].items() if reason == r[1])))
        for (reason, tasks), own in alike.items():
            yield f"not for {_listed(list(tasks), families)}, as {reason}:\n    {', '.join(name for name, *_ in own)}"


def _said(row: Answer, column: str) -> Any:
    """An average as what it is the mean of."""
    if column != "averages":
        return row[column]
    every = list(row["columns"])
    return "; ".join(f"{name}: mean of {_mean(own, every)}" for name, own in row[column].items())


def _mean(own: Sequence[str], every: Sequence[str]) -> str:
    without = [name for name in every if name not in own]
    if not without:
        return f"all {len(every)}"
    return f"all but {', '.join(without)}" if len(without) <= FEW else ", ".join(own)


def _families(parts: Mapping[str, list[dict[str, Any]]]) -> dict[str, set[str]]:
    """{family: its tasks} of the tasks that methods fit or do not, or that teachers have."""
    lists = (row.get(name, ()) for rows in parts.values() for row in rows for name in ("fits", "misfits", "tasks"))
    found: dict[str, set[str]] = {}
    for task in (task for tasks in lists for task in tasks):
        found.setdefault(task.partition("/")[0], set()).add(task)
    return found


def _listed(value: Any, families: Mapping[str, set[str]]) -> str:
    """A list of tasks as families, `glue 7/9` where it holds so many of its data sets; or all but a few of them.

    Names that are no tasks, as those of signals, stay as they are.
    """
    if not isinstance(value, list) or not families.keys() >= {name.partition("/")[0] for name in value}:
        return ", ".join(value) if isinstance(value, list) else str(value)
    held = {family: tasks & set(value) for family, tasks in families.items()}
    parts = [_part(family, held[family], tasks) for family, tasks in families.items() if held[family]]
    lacking = [_part(f, tasks - held[f], tasks) for f, tasks in families.items() if held[f] < tasks]
    if len(families) > 1 and not lacking:
        return "all"
    return ", ".join(parts) if len(parts) <= len(lacking) else f"all but {', '.join(lacking)}"


def _part(family: str, held: set[str], tasks: set[str]) -> str:
    if held == tasks:
        return family
    return ", ".join(sorted(held)) if len(held) <= FEW else f"{family} {len(held)}/{len(tasks)}"


def reported(found: Answer) -> Shown:
    """Published numbers, one a line, and where they are from."""
    columns = ("system", "teacher", "student", "dataset", "metric", "value", "split")
    rows = found["rows"]
    yield table(f"{found['method']}, as papers report it", columns, ([row[c] for c in columns] for row in rows))
    yield from dict.fromkeys(f"  {row['source']} ({row['known']})" for row in rows)


def runs(found: Answer) -> Shown:
    """What a sweep came to."""
    columns = ("task", "method", "student", "seed", "status", "metric", "value", "retention")
    forms: dict[str, Callable[[Any], str]] = {"value": lambda v: f"{100 * v:.2f}", "retention": "{:.1%}".format}
    yield table("", columns, ([_known(o[c], forms.get(c, str)) for c in columns] for o in found["runs"]))
    for o in found["runs"]:
        if o["kept_start"]:
            run = f"{o['task']} {o['method']} {o['student']}, seed {o['seed']}"
            yield Text(f"{run}: kept its start, no update made it better on dev", style="yellow")


def ending(found: Answer) -> Shown:
    """A line or two a row, the best of many; and what to do next."""
    rows = sorted(found["rows"], key=lambda row: -(row["score"] or 0))
    for row in rows[:MOST]:
        low, high = (_known(row[key], lambda x: f"{100 * x:.2f}") for key in ("low", "high"))
        seeds = f"{len(row['seeds'])} seed{'s' * (len(row['seeds']) != 1)}"
        yield Text(f"{row['name']}: {row['metric']} {100 * row['score']:.2f} ({low} to {high}), {seeds}", style="bold")
        yield from (f"  to {method}: {_change(d)}" for method, d in row["against"].items())
        yield from (f"  no {method} with this student and these settings" for method in row["lacks"])
        yield from (Text(f"  {mark}", style="yellow") for mark in row["marks"])
    if len(rows) > MOST:
        yield f"and {len(rows) - MOST} rows with lower scores, all on the site's page of this board"
    yield from (Text(f"next: {step}", no_wrap=True, overflow="ignore") for step in found["next"])


def _change(d: Answer | None) -> str:
    """A difference in points, its interval and what it shows."""
    if d is None:
        return "not compared: no predictions are stored, or no seed is common"
    value, low, high = (100 * d[key] for key in ("value", "low", "high"))
    return f"{signed(value)} ({signed(low)} to {signed(high)}), {d['evidence']}" + ", one seed" * (d["seeds"] == 1)


def profile(found: Answer) -> Shown:
    """A row a network; the first is what the others are compared with."""
    columns = ("network", "parameters", "MFLOP", "MB peak", "single ms", "offline /s", "speed-up")
    models = found["models"]
    yield table("", columns, (_network(name, m, found["speedups"].get(name)) for name, m in models.items()))
    yield from _batches(found)
    yield from (f"weights of {name}: {m['origin']}" for name, m in models.items())
    where = f"{found['device']}, {found['threads']} threads; inputs of {found['task']} ({found['track']})"
    yield f"{where}; {found['scope']}"
    yield from (Text(f"noisy: {reason}", style="yellow") for reason in found["noise"])


def _network(name: str, m: Answer, speedups: Answer | None) -> Iterator[str | None]:
    single, speedup = m["latency"]["single"], (speedups or {}).get("single")
    yield name
    yield f"{m['parameters']['total']:,}"
    yield _known(m["flops"].get("mean"), lambda number: f"{number / 1e6:,.1f}")
    yield _known(m["memory_bytes"], lambda size: f"{size / 1e6:.0f}")
    yield f"{single['p50_ms']:.3g} [{single['p50_low_ms']:.3g}, {single['p50_high_ms']:.3g}]"
    yield f"{m['throughput']['offline_per_s']:,.0f}"
    yield f"{speedup['value']:.2f}x [{speedup['ci95'][0]:.2f}, {speedup['ci95'][1]:.2f}]" if speedup else "1"


def _batches(found: Answer) -> Shown:
    """Batches as papers time them. Reading is what the clock from raw inputs has more: tokens, or words and n-grams."""
    models = found["models"]
    points = [
        key.removesuffix("_per_s") for key in next(iter(models.values()))["throughput"] if key.startswith("batch_")
    ]
    plain = [point for point in points if not point.endswith("_end_to_end")]
    if not plain:
        return
    columns = ("network", "batch", "inputs /s", "with reading /s", "reading, ms of 1,000", "speed-up")
    yield table("", columns, (_batch(name, m, point, found) for point in plain for name, m in models.items()))


def _batch(name: str, m: Answer, point: str, found: Answer) -> Iterator[str]:
    own, raw = m["throughput"][f"{point}_per_s"], m["throughput"].get(f"{point}_end_to_end_per_s")
    faster = found["speedups"].get(name, {}).get(point)
    yield from (name, point.removeprefix("batch_"), f"{own:,.1f}")
    yield from ("", "") if raw is None else (f"{raw:,.1f}", f"{1e6 / raw - 1e6 / own:,.1f}")
    yield f"{faster['value']:.2f}x" if faster else "1"


def comparison(found: Answer) -> Shown:
    """A minus B in points with its interval, what it shows, how it was tested, and what to know of both."""
    a, b, (low, high) = found["a"], found["b"], (100 * x for x in found["ci95"])
    yield f"{a} - {b}: {signed(100 * found['difference'])} (95% interval {signed(low)} to {signed(high)})"
    yield found["sentence"]
    if found["seeds"] == 1:
        yield f"One common seed: these numbers hold the noise of {found['noise']}. Run three."
    yield (
        f"{found['evidence']}; p = {found['p_value']:.2g}, {found['p_holm']:.2g} after Holm's correction over "
        f"{found['family']}"
    )
    yield (
        f"{found['metric']} x 100 on {found['task']}, track {found['track']}; seeds: {found['seeds'] or 'none'}, "
        f"examples: {found['examples']:,}"
    )
    if seen := found["board_sees"]:
        half = f"; half of that with {seen['seeds']} seeds a row" if seen["seeds"] else ""
        yield f"In 80% of cases this board sees a difference of {100 * seen['difference']:.2f}{half}."
    yield from (_speeds(a, b, clock) for clock in found["speed"])
    yield from (Text(f"{name}: {mark}", style="yellow") for name, marks in found["marks"].items() for mark in marks)


def _speeds(a: str, b: str, clock: Answer) -> str:
    if clock["same_network"]:
        return f"{a} and {b} are the same network, equally fast: {_speed(clock['a'])}"
    return f"{a}: {_speed(clock['a'])}; {b}: {_speed(clock['b'])}"


def _speed(own: Answer) -> str:
    noisy = bool(own["noisy"])
    ms = _known(own["latency_ms"], lambda ms: f"{figures(ms, noisy)} ms, ")
    times = _known(own["speedup"], lambda times: f"{figures(times, noisy)}x the teacher, ")
    return f"{ms}{times}{_sessions(own)}"


def _sessions(own: Answer) -> str:
    return f"{own['sessions']} session{'s' * (own['sessions'] != 1)}{', noisy' * bool(own['noisy'])}"


def store(found: Answer) -> Shown:
    """Sizes and last use, newest first."""
    entries, used = found["entries"], datetime.datetime.fromtimestamp
    yield table("", ("key", "kind", "MB", "last use", "what"), (
        (e["key"], e["kind"], f"{e['bytes'] / 1e6:.1f}", used(e["used"]).isoformat(" ", "minutes"), e["detail"])
        for e in entries
    ))  # fmt: skip
    yield f"{sum(e['bytes'] for e in entries) / 1e6:.1f} MB in {found['root']}"


def recommendation(answer: Answer) -> Shown:
    """The students within the limits, what they give up, the Pareto front, and why the others are out."""
    given = {name.replace("_", "-"): value for name, value in answer["limits"].items() if value is not None}
    limits = [f"{name} {value:,}" if isinstance(value, int) else f"{name} {value:g}" for name, value in given.items()]
    board, hardware = answer["board"], answer["hardware"]
    head = f"{answer['task']} on {answer['track']}, {board['metric']} on {board['dataset']}; "
    yield head + (", ".join(limits) or "no limits")
    if hardware:
        yield f"timed on {hardware['device']}, threads: {hardware['threads']}, {hardware['scope']}"
    else:
        yield "no run of this board was timed: --here times its networks on this machine"
    for title, rows in (("recommended", answer["recommended"]), ("Pareto front", answer["pareto"])):
        if rows:
            yield ""
            yield _students(title, rows)
    lines = [line for row in answer["recommended"] for line in _remarks(row)]
    lines += [f"not {r['name']}: " + "; ".join(m["reason"] for m in r["misses"]) for r in answer["rejected"]]
    lines += [f"not timed here, {name}: {reason}" for name, reason in answer["not_timed"].items()]
    yield "\n" + "\n".join(lines)
    if answer["nearest"]:
        yield f"\nnothing keeps these limits; nearest: {answer['nearest']}"
    if export := answer["export"]:
        yield from _export(export)


def _export(export: Answer) -> Shown:
    """The command, or why there is none."""
    yield f"\nOf the first place, {export['name']} with seed {export['seed']} has the highest dev score:"
    if export["refused"]:
        yield f"    {'export' if export['command'] else 'no export'}: {export['refused']}"
    if export["command"]:
        yield Text(f"    {export['command']}", no_wrap=True, overflow="ignore")  # there to be copied


def _students(title: str, rows: Iterable[Answer]) -> Table:
    """Rows of equal place are as good as each other."""
    cells = (
        (
            r.get("place"), r["name"], _with_interval(r["score"], 100, ".2f"),
            _known(r["retention"], lambda kept: f"{100 * kept['value']:.1f}%"),
            _known(r["latency_ms"], partial(figures, noisy=bool(r["noisy"]))) + "\nnoisy" * bool(r["noisy"]),
            f"{r['parameters'] / 1e6:.3g}M", _with_interval(r["speedup"], 1, ".2f"),
        )
        for r in rows
    )  # fmt: skip
    found = table(title, ("", "row", "score", "kept", "ms", "params", "speed-up"), cells)
    for column in (found.columns[0], *found.columns[2:]):
        column.no_wrap = True
    return found


def _known(value: Any, form: Callable[[Any], str]) -> str:
    return "" if value is None else form(value)


def _with_interval(score: Answer | None, scale: int, form: str, unit: str = "") -> str:
    """The interval below its value, so that a table fits 80 columns."""
    if score is None:
        return ""
    low, high = (format(scale * x, form) for x in score["ci95"])
    return f"{scale * score['value']:{form}}{unit}\n[{low}, {high}]"


def _remarks(row: Answer) -> Iterator[str]:
    """`kd bert:3 against teacher ...: -1.27 points, 98.4% of its score, 2.00 times as fast, 1.31 times smaller`."""
    if row["notes"]:
        yield f"{row['name']}: {'; '.join(row['notes'])}"
    forms: dict[str, Callable[[float], str]] = {
        "score_points": "{:+.2f} points".format, "retention": "{:.1%} of its score".format,
        "times_faster": partial(_times, "as fast", "as slow"), "times_smaller": partial(_times, "smaller", "larger"),
    }  # fmt: skip
    for other in row["given_up"].values():
        if other["name"] != row["name"]:
            said = ", ".join(form(other[key]) for key, form in forms.items() if other[key] is not None)
            yield f"{row['name']} against {other['name']}: {said}"


def _times(more: str, less: str, ratio: float) -> str:
    """`2.00 times as fast`; of half of it `2.00 times as slow`."""
    return f"{ratio:.2f} times {more}" if ratio >= 1 else f"{1 / ratio:.2f} times {less}"


def transfer(found: Answer) -> Shown:
    """A table a method: a line a source, a column a target, the score and what it is away from no transfer."""
    cells = found["cells"]
    targets = list(dict.fromkeys(cell["target"] for cell in cells))
    for method in dict.fromkeys(cell["method"] for cell in cells):
        own = {(cell["source"], cell["target"]): cell for cell in cells if cell["method"] == method}
        rows = [
            [source or "none", *(_cell(own.get((source, target))) for target in targets)]
            for source in dict.fromkeys(source for source, _ in own)
        ]
        yield table(method, ("source", *targets), rows)


def _cell(cell: Answer | None) -> str:
    if cell is None or cell["value"] is None:
        return ""
    return f"{100 * cell['value']:.2f}" + ("" if cell["gain"] is None else f" ({signed(100 * cell['gain'])})")
