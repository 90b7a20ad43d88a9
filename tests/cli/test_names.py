"""What a shell completes, as typer asks the command for it."""

from __future__ import annotations

import os
import sys

import pytest

from bench.cli import names
from tests.factories.pace import steady, timed
from tests.factories.runs import ROOT

CODE = "import sys; sys.argv = ['bench']; from bench.cli.main import app; app(prog_name='bench')"  # as the script does


def completed(words: str) -> tuple[list[str], float]:
    """What bash is offered for the last word, and the processor time that it takes."""
    variables = {"_BENCH_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()) - 1)}
    done, seconds = timed(sys.executable, "-c", CODE, cwd=ROOT, env=os.environ | variables)
    assert not done.stderr
    return done.stdout.split(), seconds


def test_names_are_those_that_begin_so() -> None:
    assert names.tasks("glue/m") == ["glue/mrpc", "glue/mnli"] and names.tasks("st") == ["sts"]
    assert "kd" in names.methods("") and names.methods("kd") == ["kd"]
    assert names.students("bert") == ["bert:3"] and names.tracks("l") == ["lite"] and "glue" in names.suites("gl")


def test_bash_completes_a_task() -> None:
    offered, _ = completed("bench run --method kd --task gl")
    assert "glue/mrpc" in offered and "sts" not in offered


@pytest.mark.quiet
def test_completion_is_quick() -> None:
    """It takes 0.3 s where the bound was written."""
    assert steady(lambda: completed("bench run --task gl")[1]) < 0.4
