"""Every `--json` of every command against its documented form, from runs that are there; nothing is trained twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from bench.cli import forms
from bench.cli.main import app
from tests.factories.commands import bench
from tests.factories.records import put
from tests.factories.runs import ROOT, SMALL, Finished, option

QUICK = ["--set", "updates=2", "--set", "batch_size=4", "--set", "examples=16", "--set", "evaluations=1"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of a suite."""
    folder = tmp_path_factory.mktemp("made")
    for method in ("kd", "finetune"):
        scores = {"lee": {"f1": 0.8, "accuracy": 0.6}}
        put(folder / "results", 0.5, method, 0, task="glue/mrpc", track="lite", metrics__all=scores)
    return folder


def grid(folder: Path, teacher: Path) -> Path:
    """The file of a grid whose runs are there."""
    settings = ", ".join(word.replace("=", " = ") for word in SMALL[1::2])
    text = f'task = "sts"\nmethod = ["kd", "disco"]\nstudent = "bert:1"\nteacher = "{teacher}"\nset = {{{settings}}}\n'
    (folder / "grid.toml").write_text(text)
    return folder / "grid.toml"


def commands(finished: Finished, teacher: Path, made: Path, out: Path) -> dict[str, list[object]]:
    """{form: what is typed}; `verify` trains 24 updates, `teach` two, and `profile` takes a look."""
    run, where = finished.outcomes[0]["run_id"], ["--results", finished.results]
    own = [
        "--task",
        "sts",
        *option("method", "kd", "disco"),
        "--student",
        "bert:1",
        "--teacher",
        teacher,
        *SMALL,
        *where,
    ]
    return {
        "list": ["list"], "reported": ["reported", "tinybert"], "run": ["run", *own],
        "run --dry-run": ["run", *own, "--dry-run"], "sweep": ["sweep", grid(out, teacher), *where],
        "sweep --dry-run": ["sweep", grid(out, teacher), "--dry-run", *where],
        "board": ["board", *where], "board --task": ["board", "--task", "sts", *where],
        "board --suite": ["board", "--suite", "glue", "--results", made / "results"], "show": ["show", run, *where],
        "results ls": ["results", "ls", *where], "results rm": ["results", "rm", run, "--dry-run", *where],
        "results mv": ["results", "mv", run, "--to", out, "--dry-run", *where],
        "compare": ["compare", "kd", "finetune", "--task", "sts", *where],
        "recommend": ["recommend", "--task", "sts", "--max-params", "1", *where], "check": ["check", finished.results],
        "export": ["export", run, "--format", "hf", "--out", out / "student", *where], "doctor": ["doctor"],
        "store ls": ["store", "ls"], "site diff": ["site", "diff", made / "results", finished.results],
        "profile": ["profile", "--student", "bow:8", "--teacher", "bow:16", "--task", "sts", "--quick"],
        "verify": ["verify", run, *where], "push": ["push", run, "me/small", "--dry-run", *where],
        "tune --dry-run": ["tune", "--task", "sts", "--method", "kd", "--trials", "3", "--dry-run", *where],
        "teach": ["teach", "--task", "images/digits", "--model", "plain:2", "--results", out / "taught", *QUICK],
    }  # fmt: skip


# in tests/baselines/test_prompts.py, tests/runs/test_tune.py and tests/cli/test_authoring.py, which have runs of them
ELSEWHERE = {"transfer", "transfer --dry-run", "tune", "test"}


def test_what_commands_print_is_what_the_page_says(
    finished: Finished, teacher: Path, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(finished.cache))
    typed = commands(finished, teacher, made, tmp_path)
    assert typed.keys() | ELSEWHERE == forms.FORMS.keys()
    for name in forms.FORMS.keys() - ELSEWHERE:
        answer = bench(*typed[name], "--json", check=None)
        assert answer.status in (0, 1), (name, answer.err)
        assert not list(forms.problems(forms.FORMS[name], json.loads(answer.out))), name


def test_every_command_with_json_has_a_form() -> None:
    known = {name.partition(" --")[0] for name in forms.FORMS}
    assert known == set(with_json(typer.main.get_command(app), ""))


def with_json(command: typer.core.TyperGroup, name: str) -> Iterator[str]:
    if hasattr(command, "commands"):
        for key, own in command.commands.items():
            yield from with_json(own, f"{name} {key}".strip())
    elif any("--json" in parameter.opts for parameter in command.params):
        yield name


def test_the_page_is_that_of_the_forms() -> None:
    page = (ROOT / "docs/json.md").read_text(encoding="utf-8")
    assert page == forms.page(), "python -m bench.cli.forms > docs/json.md"


def test_problems_are_found() -> None:
    form = {"a": "", "b?": "", "rows": [{"x": ""}], "cells": {"*": {"v": ""}}}
    assert not list(forms.problems(form, {"a": 1, "rows": [], "cells": {"k": {"v": 1}, "l": None}}))
    wrong = {"c": 1, "rows": [{"x": 1}, {"y": 2}], "cells": {"k": {}}}
    assert sorted(forms.problems(form, wrong)) == [
        ".a: missing", ".c: said nowhere", ".cells.k.v: missing", ".rows[].x: missing", ".rows[].y: said nowhere",
    ]  # fmt: skip
