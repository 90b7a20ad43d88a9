"""Tables on the terminal."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.store.folders import Entry

COLUMNS = {
    "tasks": ("name", "kind", "metric", "title"),
    "methods": ("name", "needs", "fits", "title"),
    "students": ("name", "default", "sizes", "title"),
    "teachers": ("name", "tasks", "where"),
}


def print_catalogue(parts: dict[str, list[dict[str, Any]]]) -> None:
    """One table a part; under the methods, why those that do not fit a task do not."""
    console = Console()
    families = _families(parts)
    for part, rows in parts.items():
        table = _table(part, COLUMNS[part])
        for row in rows:
            table.add_row(*(Text(_cell(_short(row[c], families))) for c in COLUMNS[part]))
        console.print(table)
        for row in rows:
            for reason, tasks in _by_reason(row.get("misfits", {})).items():
                console.print(Text(f"  {row['name']} does not fit {', '.join(_short(tasks, families))}: {reason}"))


def _families(parts: dict[str, list[dict[str, Any]]]) -> dict[str, list[str]]:
    """{family: its tasks} of families with several data sets."""
    found: dict[str, list[str]] = {}
    for row in parts.get("methods", [])[:1]:
        for name in (*row["fits"], *row["misfits"]):
            if "/" in name:
                found.setdefault(name.partition("/")[0], []).append(name)
    return found


def _short(value: Any, families: dict[str, list[str]]) -> Any:
    """A list of tasks with the family's name for all of its data sets."""
    if not isinstance(value, list):
        return value
    whole = {f: tasks for f, tasks in families.items() if tasks and set(tasks) <= set(value)}
    gone = {task for tasks in whole.values() for task in tasks}
    return sorted([*whole, *(v for v in value if v not in gone)])


def _by_reason(misfits: dict[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for task, reason in misfits.items():
        found.setdefault(reason, []).append(task)
    return found


def print_reported(method: str, rows: Sequence[dict[str, Any]]) -> None:
    """Published numbers, one a line, and where they are from."""
    columns = ("system", "teacher", "student", "dataset", "metric", "value", "split")
    table = _table(f"{method}, as papers report it", columns)
    for row in rows:
        table.add_row(*(Text(str(row[c])) for c in columns))
    Console().print(table)
    for source, known in dict.fromkeys((row["source"], row["known"]) for row in rows):
        Console().print(Text(f"  {source} ({known})"))


def print_outcomes(outcomes: Sequence[dict[str, Any]]) -> None:
    """What a sweep came to."""
    table = _table("", ("task", "method", "student", "seed", "status", "metric", "value", "retention"))
    for o in outcomes:
        value = "" if o["value"] is None else f"{100 * o['value']:.2f}"
        retention = "" if o["retention"] is None else f"{o['retention']:.1%}"
        cells = (o["task"], o["method"], o["student"], o["seed"], o["status"], o["metric"] or "", value, retention)
        table.add_row(*(Text(str(c)) for c in cells))
    Console().print(table)


def print_profile(found: dict[str, Any]) -> None:
    """A row a network; the first is what the others are compared with."""
    columns = ("network", "parameters", "MFLOP", "MB peak", "single ms", "offline /s", "speed-up")
    table = _table("", columns)
    for name, m in found["models"].items():
        speedup = found["speedups"].get(name, {}).get("single")
        single, memory = m["latency"]["single"], m["memory_bytes"]
        cells = (
            name, f"{m['parameters']['total']:,}", f"{m['flops']['mean'] / 1e6:,.1f}",
            "" if memory is None else f"{memory / 1e6:.0f}",
            f"{single['p50_ms']:.3g} [{single['p50_low_ms']:.3g}, {single['p50_high_ms']:.3g}]",
            f"{m['throughput']['offline_per_s']:,.0f}",
            f"{speedup['value']:.2f}x [{speedup['ci95'][0]:.2f}, {speedup['ci95'][1]:.2f}]" if speedup else "1",
        )  # fmt: skip
        table.add_row(*map(Text, cells))
    console = Console()
    console.print(table)
    for name, m in found["models"].items():
        console.print(Text(f"weights of {name}: {m['origin']}"))
    where = f"{found['device']}, {found['threads']} threads; inputs of {found['task']} ({found['track']})"
    console.print(Text(f"{where}; {found['scope']}"))
    for reason in found["noise"]:
        console.print(Text(f"noisy: {reason}", style="yellow"))


def print_comparison(found: dict[str, Any]) -> None:
    """A minus B in points, and what to make of it."""
    a, b = found["a"], found["b"]
    table = _table(
        f"{a} - {b}: {found['metric']} x 100 on {found['task']}, track {found['track']}",
        ("difference", "95% interval", "p", f"p (Holm, {found['pairs']} pairs)", "seeds", "examples"),
    )
    low, high = found["ci95"]
    cells = (
        f"{100 * found['difference']:+.2f}", f"{100 * low:+.2f} to {100 * high:+.2f}", f"{found['p_value']:.2g}",
        f"{found['p_holm']:.2g}", str(found["seeds"] or "none"), f"{found['examples']:,}",
    )  # fmt: skip
    table.add_row(*map(Text, cells))
    console = Console()
    console.print(table)
    console.print(Text(in_words(found)))
    if found["seeds"] == 1:
        console.print(Text("One common seed: the noise between seeds is unknown and not in these numbers. Run three."))


def in_words(found: dict[str, Any]) -> str:
    """The verdict as a sentence."""
    a, b = found["a"], found["b"]
    if found["verdict"] == "tie":
        return f"Tie: these examples and seeds do not separate {a} and {b}."
    return f"{a} is better than {b}." if found["verdict"] == "a" else f"{b} is better than {a}."


def print_store(root: Path, entries: Sequence[Entry]) -> None:
    """Sizes and last use, newest first."""
    table = _table("", ("key", "kind", "MB", "last use", "what"))
    for e in entries:
        used = datetime.datetime.fromtimestamp(e.used).isoformat(" ", "minutes")
        table.add_row(*(Text(c) for c in (e.key, e.kind, f"{e.size / 1e6:.1f}", used, e.detail)))
    console = Console()
    console.print(table)
    console.print(Text(f"{sum(e.size for e in entries) / 1e6:.1f} MB in {root}"))


def print_recommendation(answer: dict[str, Any]) -> None:
    """The students within the limits, what they give up, the Pareto front, and why the others are out."""
    console = Console()
    given = {name.replace("_", "-"): value for name, value in answer["limits"].items() if value is not None}
    limits = [f"{name} {value:,}" if isinstance(value, int) else f"{name} {value:g}" for name, value in given.items()]
    board, hardware = answer["board"], answer["hardware"]
    head = f"{answer['task']} on {answer['track']}, {board['metric']} on {board['dataset']}; "
    console.print(Text(head + (", ".join(limits) or "no limits")))
    console.print(Text(f"timed on {hardware['device']}, threads: {hardware['threads']}, {hardware['scope']}"))
    for title, rows in (("recommended", answer["recommended"]), ("Pareto front", answer["pareto"])):
        if rows:
            console.print("", _students(title, rows))
    lines = [line for row in answer["recommended"] for line in _remarks(row)]
    lines += [f"not {r['name']}: " + "; ".join(m["reason"] for m in r["misses"]) for r in answer["rejected"]]
    console.print(Text("\n" + "\n".join(lines)))
    if export := answer["export"]:
        console.print(Text(f"\nThe run of {export['name']} with the highest dev score, seed {export['seed']}:"))
        console.print(Text(f"    {export['command']}"), soft_wrap=True)  # there to be copied


def _students(title: str, rows: Sequence[dict[str, Any]]) -> Table:
    table = _table(title, ("row", "score", "retention", "ms", "params", "speed-up", "seeds"))
    for column in table.columns[1:]:
        column.no_wrap = True
    for r in rows:
        cells = (
            r["name"], _with_interval(r["score"], 100, ".2f"), _with_interval(r["retention"], 100, ".1f", "%"),
            "" if r["latency_ms"] is None else f"{r['latency_ms']:.3g}" + "\nnoisy" * r["noisy"],
            f"{r['parameters'] / 1e6:.3g}M", _with_interval(r["speedup"], 1, ".2f"), ",".join(map(str, r["seeds"])),
        )  # fmt: skip
        table.add_row(*map(Text, cells))
    return table


def _with_interval(score: dict[str, Any] | None, scale: int, form: str, unit: str = "") -> str:
    """The interval below its value, so that a table fits 80 columns."""
    if score is None:
        return ""
    low, high = (format(scale * x, form) for x in score["ci95"])
    return f"{scale * score['value']:{form}}{unit}\n[{low}, {high}]"


def _remarks(row: dict[str, Any]) -> list[str]:
    """`kd bert:3 against teacher ...: -1.27 points, 98.4% of its score, 2.00 times as fast, 1.31 times smaller`."""
    lines = [f"{row['name']}: {'; '.join(row['notes'])}"] if row["notes"] else []
    for other in row["given_up"].values():
        parts = {
            "{:+.2f} points": other["score_points"], "{:.1%} of its score": other["retention"],
            "{:.2f} times as fast": other["times_faster"], "{:.2f} times smaller": other["times_smaller"],
        }  # fmt: skip
        if other["name"] != row["name"]:
            said = ", ".join(form.format(value) for form, value in parts.items() if value is not None)
            lines.append(f"{row['name']} against {other['name']}: {said}")
    return lines


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column == "key")  # keys are there to be copied
    return table


def _cell(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
