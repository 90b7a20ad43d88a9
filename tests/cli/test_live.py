"""The live table of a sweep: what is done, what goes on, what waits; of many runs a window."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from rich.console import Console

from bench.cli.live import MOST, LiveTable
from tests.factories.runs import ROOT, command


def spec(number: int) -> Any:
    values = {"task": "sts", "method": "kd", "student": f"bow:{number}", "seed": 0}
    return SimpleNamespace(run_id=f"{number:016x}", values=values)


def shown(table: LiveTable) -> str:
    screen = Console(file=io.StringIO(), width=100)
    screen.print(table.table())
    return screen.file.getvalue()  # type: ignore[attr-defined]


def test_each_run_has_a_line_with_its_state() -> None:
    with LiveTable([spec(1), spec(2), spec(3)], Console(file=io.StringIO(), force_terminal=True, width=100)) as table:
        table.ended({"run_id": spec(1).run_id, "status": "done", "value": 0.5})
        table.progress("distil", 3, 80)
        first, second, third = (re.search(rf"bow:{n} .*", shown(table)) for n in (1, 2, 3))
    assert first and first[0].split()[1:] == ["0", "done", "50.00"]
    assert second and second[0].split()[1:] == ["0", "distil", "3/80"] and third and third[0].split()[1:] == ["0"]
    assert "1 of 3 runs" in shown(table)


def test_of_many_runs_those_around_what_goes_on() -> None:
    table = LiveTable([spec(n) for n in range(100)], Console(file=io.StringIO()))
    for n in range(50):
        table.ended({"run_id": spec(n).run_id, "status": "failed", "value": None})
    numbers = [int(n) for n in re.findall(r"bow:(\d+)", shown(table))]
    assert numbers == list(range(44, 44 + MOST)) and "50 of 100 runs" in shown(table)


def test_a_sweep_in_a_terminal(tmp_path: Path) -> None:
    small = ("updates=1", "teach=1", "batch_size=4", "examples=16", "evaluations=1")
    asked = [
        "run",
        *[
            "--task",
            "sts",
            "--method",
            "kd",
            "--student",
            "bow:8",
            "--student",
            "bow:16",
            "--teacher",
            "bow:4",
            "--no-measure",
        ],
    ]
    asked += [word for key in small for word in ("--set", key)]
    mine, theirs = pty.openpty()
    process = subprocess.Popen(
        [*command(*asked), "--results", str(tmp_path / "results")], cwd=ROOT, stdout=subprocess.PIPE, stderr=theirs,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100", "BENCH_CACHE": str(tmp_path / "cache")},
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    with suppress(OSError):  # the end of a terminal
        while part := os.read(mine, 4096):
            seen += part
    assert process.wait() == 0 and process.stdout
    assert b"1 of 2 runs" in seen and b"[2/2] sts mini  kd  bow:16" in seen
    assert b"bow:16" in process.stdout.read()
