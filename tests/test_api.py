"""The Python API: what it returns, what it raises, and that the documentation names just its columns."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import bench
from bench.board.runs import RunRow
from bench.board.table import BoardRow
from tests.factories.commands import bench as command
from tests.factories.commands import brief_clock
from tests.factories.runs import ROOT, Finished

SMALL = {"updates": 24, "batch_size": 8, "examples": 96, "evaluations": 6}
DOCS = (ROOT / "docs/api.md").read_text(encoding="utf-8")


@pytest.fixture
def stored(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> Finished:
    monkeypatch.setenv("BENCH_CACHE", str(finished.cache))
    return finished


def test_importing_does_no_work() -> None:
    code = "import sys, bench; print(sorted(m for m in sys.modules if m.startswith('bench')), dir(bench))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("['bench'] ") and "'load'" in done.stdout
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        _ = bench.lod


def test_run_finds_what_the_command_made(stored: Finished, teacher: Path) -> None:
    """The same request is the same run."""
    found = bench.run(
        task="sts", method=["kd", "disco"], student="bert:1", teacher=str(teacher), settings=SMALL,
        results=stored.results, quiet=True,
    )  # fmt: skip
    assert [record.run_id for record in found] == [o["run_id"] for o in stored.outcomes[:2]]
    assert found[0].metrics.main.value == stored.outcomes[0]["value"]


def test_a_run_of_its_own_says_the_command_that_repeats_it(tmp_path: Path, teacher: Path) -> None:
    settings = SMALL | {"updates": 2, "evaluations": 1, "finetune.lr": 1e-3}
    with brief_clock():
        (record,) = bench.run(
            "sts", "finetune", "bow:8", str(teacher), seeds=3, settings=settings, results=tmp_path / "r"
        )
    words = shlex.split(record.provenance.command)
    told = command(*words[1:], "--dry-run", "--json")
    assert [(run["run_id"], run["status"]) for run in json.loads(told.out)["runs"]] == [(record.run_id, "done")]


SCRIPT = """
import multiprocessing
from bench.api import without_script
print("script")
with without_script():
    child = multiprocessing.get_context("spawn").Process(target=print, args=("child",))
    child.start()
    child.join()
"""


def test_a_script_is_not_carried_out_again_by_the_process_that_times(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    words = [sys.executable, tmp_path / "script.py"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert sorted(done.stdout.split()) == ["child", "script"], done.stderr


def test_what_failed_is_told_and_the_others_are_there(
    stored: Finished, teacher: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.runs import sweep

    monkeypatch.setattr(sweep, "carry_out", lambda *_: (_ for _ in ()).throw(bench.BenchError("the disk is full")))
    with pytest.raises(bench.RunsFailed, match="1 of 2 runs failed, the first one: the disk is full") as failed:
        bench.run("sts", "kd", "bert:1", str(teacher), seeds=[0, 1], settings=SMALL, results=stored.results, quiet=True)
    assert [record.run_id for record in failed.value.records] == [stored.outcomes[0]["run_id"]]
    assert [outcome["status"] for outcome in failed.value.outcomes] == ["skipped", "failed"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"task": "stx", "method": "kd"}, "unknown task 'stx'"), ({"task": "sts"}, "name what to run"),
        ({"task": "sts", "suite": "sts", "method": "kd"}, "name what to run"),
        ({"suite": "glue", "track": "lite"}, "the suite glue has no methods of its own"),
        ({"suite": "sst", "method": "kd"}, "unknown suite 'sst': did you mean sts"),
        ({"task": "sts", "method": "kd", "seeds": []}, "seeds"),
        ({"task": "sts", "method": "kd", "seeds": -1}, "seeds"),
        ({"task": "sts", "method": "kd", "settings": {"lrr": 1}}, "unknown setting 'lrr'"),
        ({"task": "sts", "method": "kd", "device": "gpu"}, "auto, cpu, cuda and mps"),
    ],
)  # fmt: skip
def test_wrong_requests_raise(arguments: dict, words: str, tmp_path: Path) -> None:
    with pytest.raises(bench.RequestError, match=words):
        bench.run(**arguments, results=tmp_path / "results", quiet=True)
    assert not (tmp_path / "results").exists()


def test_records_are_a_table(stored: Finished) -> None:
    pytest.importorskip("pandas")
    frame = bench.records(stored.results)
    assert list(frame.columns) == list(RunRow.__annotations__) and len(frame) == 3
    own = frame.set_index("run_id").loc[stored.outcomes[0]["run_id"]]
    assert own["score"] == stored.outcomes[0]["value"] and Path(own["record"]).is_file()
    with pytest.raises(bench.RequestError, match="no results folder"):
        bench.records("nowhere")


def test_records_without_pandas_say_what_to_install(stored: Finished, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(bench.RequestError, match=r"pip install 'bench-kd\[pandas\]'"):
        bench.records(stored.results)


def test_a_board_has_rows_with_intervals(stored: Finished) -> None:
    rows = bench.board("sts", results=stored.results)
    assert rows[0]["method"] == "" and {row["method"] for row in rows[1:]} == {"kd", "disco", "finetune"}
    assert all(row["low"] <= row["score"] <= row["high"] for row in rows)
    with pytest.raises(bench.RequestError, match="did you mean sts"):
        bench.board("stx", results=stored.results)


def test_a_student_is_loaded(stored: Finished) -> None:
    """The folder that it came from is gone then."""
    model = bench.load(stored.outcomes[0]["run_id"][:8], results=stored.results, quiet=True)
    vectors = model.encode(["a cat", "a dog", "a cat"])
    assert vectors.shape == (3, 48) and np.allclose(vectors[0], vectors[2], atol=1e-6)
    with pytest.raises(bench.RequestError, match="no record of a run"):
        bench.load("zz", results=stored.results)


def columns_of(title: str) -> list[str]:
    """The names in the first cells of the table under a heading."""
    part = DOCS.split(f"### Columns of `{title}`")[1].split("\n#")[0]
    cells = re.findall(r"^\| (`[^|]+) \|", part, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


def test_the_documentation_names_just_the_columns() -> None:
    for title, row in (("bench.board", BoardRow), ("bench.records", RunRow)):
        named = columns_of(title)
        assert len(set(named)) == len(named) and set(named) == set(row.__annotations__), title


def test_the_notebook_runs(stored: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cells in order, on finished runs in the place of new ones: from records to a table and a plot."""
    pytest.importorskip("pandas")
    notebook = json.loads((ROOT / "docs/notebook.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(not cell.get("outputs") for cell in notebook["cells"]) and len(cells) >= 4
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results").symlink_to(stored.results)
    monkeypatch.setattr(bench, "run", lambda **_: [], raising=False)  # its runs take minutes
    monkeypatch.setenv("MPLBACKEND", "agg")
    names: dict = {}
    for cell in cells:
        exec(compile(cell, "docs/notebook.ipynb", "exec"), names)
    assert len(names["runs"]) == 3 and list(names["best"].index) and names["axis"].get_xlabel() == "ms"
