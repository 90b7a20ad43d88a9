"""Records with one leaf changed at random, given to every command that reads records: none may end in a traceback.

    python peers/mutations.py --count 500

Each mutation is of a copy of a few committed records. Half of them are left where they were, half are put where their
spec says, under its id, so that boards take them. A command may refuse, and say why; it may not fail.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
UNIT = "lite/text/trec"
WHOLE = ("check", "site build", "site diff", "boards", "results ls", "bench.records")  # they do without a broken record
VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 7, 10**18, -(10**18), 10**40, 1e308, -1e308, 5e-324, 0.5, "", " ", "x", "1", "kd",
    "\u202e", "../..", "a\x00b", "\n::error::", "W" * 5000, [], {}, [1], ["x"], {"x": 1}, {"": None}, [[]], "NaN",
]  # fmt: skip


def leaves(tree: Any) -> Iterator[tuple[Any, Any]]:
    """(container, key) of everything below, containers too."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree):
        yield tree, key
        if isinstance(value, (dict, list)):
            yield from leaves(value)


def mutate(raw: dict[str, Any], rng: random.Random) -> str:
    """Change, remove or add one thing in place; returns what was done."""
    parts = [key for key in raw if isinstance(raw[key], (dict, list)) and raw[key]]
    top = rng.choice(
        [*parts, *(["spec"] * 2 if "spec" in raw else []), ""]
    )  # curves are long, and would be most of the leaves
    container, key = rng.choice(list(leaves(raw[top] if top else raw)))
    if rng.random() < 0.15:
        del container[key]
        return f"{top}: {key!r} removed"
    if rng.random() < 0.1 and isinstance(container, dict):
        container[rng.choice(["", "x", "\u202e", "9" * 30])] = (new := rng.choice(VALUES))
        return f"{top}: {new!r:.40} added beside {key!r}"
    container[key] = (new := rng.choice(VALUES))
    return f"{top}: {key!r} = {new!r:.40}"


def prepared(folder: Path) -> Path:
    """A folder of a few records: two methods with a student, and what the check wants beside them."""
    results = folder / "results"
    shutil.copytree(ROOT / "results/teachers", results / "teachers")
    for method in ("kd", "finetune"):
        shutil.copytree(ROOT / "results" / UNIT / method / "bert-3", results / UNIT / method / "bert-3")
    return results


def commands(results: Path, out: Path, path: Path) -> dict[str, Callable[[], Any]]:
    from bench import api
    from bench.base.console import Console
    from bench.board.changes import as_markdown, changes
    from bench.board.compared import compare
    from bench.board.limits import Limits
    from bench.board.recommend import recommend
    from bench.cli import board_tables, boards, keeping, keeping_tables, showing, showing_tables
    from bench.export import offers
    from bench.records import housekeeping
    from bench.records.check import check
    from bench.runs.verify import verify
    from bench.web.build import build

    task, track = "text/trec", "lite"

    def listed() -> list[Any]:
        own = housekeeping.chosen(housekeeping.runs(results), housekeeping.Wanted())
        return list(keeping_tables.listed({"results": str(results), "runs": [keeping.told(kept) for kept in own]}))

    return {
        "check": lambda: [check(results)],
        "compare": lambda: compare(results, task, "kd", "finetune", track),
        "recommend": lambda: recommend(results, task, track, Limits(), offers.command),
        "site build": lambda: build(results, out),
        "site diff": lambda: as_markdown(changes(ROOT / "results" / "nowhere", results)),
        "verify": lambda: verify(results, str(path), Path("nowhere"), "cpu", Console(quiet=True)),
        "board": lambda: list(board_tables.board_tables(boards.of_task(results, task, ""))),
        "boards": lambda: list(board_tables.summary_table(boards.of_task(results, "", ""))),
        "show": lambda: list(showing_tables.shown(showing.described(results, str(path)))),
        "results ls": listed,
        "bench.records": lambda: api.records(results),
        "bench.board": lambda: api.board(task, results=results),
        "bench.load": lambda: api.load(str(path), results, quiet=True),
    }


def failures(number: int, results: Path, out: Path) -> Iterator[str]:
    """What one mutation makes fail, with its traceback; the folder is then as it was."""
    from bench.errors import BenchError
    from bench.records import disk

    rng = random.Random(number)
    kept = [path for name in (UNIT, "teachers") for path in (results / name).rglob("*.json")]
    path = rng.choice(sorted(kept) if rng.random() < 0.1 else sorted(p for p in kept if p.parent.name != "teachers"))
    before = path.read_bytes()
    raw = json.loads(before)
    done, placed = mutate(raw, rng), path
    if rng.random() < 0.5:
        with contextlib.suppress(Exception):  # of such a spec there is no id, or no place
            run_id = raw["run_id"] = disk.run_id_of(raw["spec"])
            placed = disk.path_of(results, raw["spec"], run_id)
            if not Path(os.path.normpath(placed)).is_relative_to(results):
                placed = path
            placed.parent.mkdir(parents=True, exist_ok=True)
            for ending in (".npz", ".samples.npz"):
                shutil.copy(path.with_name(path.stem + ending), placed.with_name(run_id + ending))
            raw["predictions"]["file"], raw["efficiency"]["samples"]["file"] = f"{run_id}.npz", f"{run_id}.samples.npz"
    made = [] if placed == path else [placed, *(placed.with_name(placed.stem + e) for e in (".npz", ".samples.npz"))]
    try:
        placed.write_text(json.dumps(raw), encoding="utf-8")
        for name, command in commands(results, out, placed).items():
            try:
                with contextlib.redirect_stderr(io.StringIO()):
                    command()
            except BenchError as error:
                if name in WHOLE:
                    yield f"{number}: {done}: {name} refuses the others too: {error}"
            except Exception:
                yield f"{number}: {done}: {name}\n{traceback.format_exc()}"
    finally:
        for file in made:
            file.unlink(missing_ok=True)
        path.write_bytes(before)


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--count", type=int, default=500)
    arguments.add_argument("--first", type=int, default=0)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as name:
        os.environ["BENCH_CACHE"] = f"{name}/cache"
        results, failed = prepared(Path(name)), 0
        for number in range(given.first, given.first + given.count):
            for failure in failures(number, results, Path(name) / "site"):
                failed += 1
                print(failure, flush=True)
    print(f"{given.count} mutations, {failed} failures")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
