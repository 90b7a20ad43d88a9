"""What has not learned, or kept its start, is marked; boards that cannot tell students apart say so and come last."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench.base.archive import pack
from bench.base.console import Console
from bench.base.files import sha256
from bench.cli import tables
from bench.records import disk
from bench.records.arrays import flatten
from bench.records.schemas import Record
from bench.runs.sweep import outcome
from bench.web import facts
from bench.web.build import build
from tests.factories.records import make

GOLD = np.repeat([0, 1], [300, 100])
START = {"what": "checkpoint of stage distil", "split": "dev", "step": 0, "value": 0.5}


def labelled(results: Path, method: str, seed: int, right: float, teacher: float = 0.95, **changes: Any) -> Record:
    """Accuracy on 400 examples, 3 of 4 of class 0; a share of the examples is taken for the other class."""

    def labels(share: float, key: int) -> np.ndarray:
        wrong = np.random.default_rng([seed, key]).permutation(400)[round(400 * share) :]
        found = GOLD.copy()
        found[wrong] = 1 - found[wrong]
        return found

    made = np.zeros(400, int) if right == 0 else labels(right, 1)
    arrays = flatten({"lee": {"prediction": made, "gold": GOLD, "teacher": labels(teacher, 2)}})
    value = float((made == GOLD).mean())

    def main(score: float) -> dict[str, Any]:
        return {"name": "accuracy", "dataset": "lee", "value": score, "ci95": (score - 0.03, score + 0.03)}

    told = {
        "metrics__all": {"lee": {"accuracy": value}}, "metrics__main": main(value),
        "metrics__retention": value / teacher,
        "teacher__metrics": {"lee": {"accuracy": teacher}}, "teacher__main": main(teacher),
        "predictions__sha256": sha256(pack(arrays)),
    }  # fmt: skip
    record = make(method, seed, value, **told | changes)
    disk.write(results, record, arrays, {"single": {"student": [[1]]}})
    return record


def board_of(results: Path) -> dict[str, Any]:
    ((board, _),) = facts.boards(list(disk.read_all(results)), results)
    return board


def test_rows_beside_what_an_answer_that_reads_nothing_scores(tmp_path: Path) -> None:
    for seed in range(3):
        labelled(tmp_path, "kd", seed, 0.9)
        labelled(tmp_path, "finetune", seed, 0.88)
        labelled(tmp_path, "pkd", seed, 0.76)
        labelled(tmp_path, "disco", seed, 0 if seed == 1 else 0.9)
        labelled(tmp_path, "rkd", seed, 0)
    board = board_of(tmp_path)
    rows = {row["method"]: row for row in board["rows"]}
    assert board["trivial"] == 0.75 and board["weakness"] == "" and board["blind_students"] == []
    assert {method for method, row in rows.items() if row["not_learned"]} == {"pkd", "disco", "rkd"}
    assert "reaches 75.00" in rows["pkd"]["marks"][0] and rows["kd"]["marks"] == []
    assert rows["rkd"]["marks"] == ["not learned: it gives every input the same answer"]
    assert "not learned with seed 1: it gives every input the same answer" in rows["disco"]["marks"]
    assert [run["one_answer"] for run in rows["disco"]["runs"]] == [False, True, False]
    assert rows["kd"]["retention"] == pytest.approx(0.9 / 0.95)
    assert rows["kd"]["retention_above_trivial"] == pytest.approx((0.9 - 0.75) / (0.95 - 0.75))
    assert rows["rkd"]["retention_above_trivial"] == 0 and rows[""]["retention_above_trivial"] == 1


def test_a_teacher_hardly_above_trivial_tells_nothing_apart(tmp_path: Path) -> None:
    labelled(tmp_path, "kd", 0, 0.9, teacher=0.79)
    assert "its teacher is 4.00 points above an answer that reads no input" in board_of(tmp_path)["weakness"]


def test_a_board_where_finetune_learned_nothing_comes_last_on_the_first_page(tmp_path: Path) -> None:
    for task, right in (("glue/cola", 0.76), ("sts", 0.9)):
        for seed in range(3):
            labelled(tmp_path / "results", "finetune", seed, right, task=task)
            labelled(tmp_path / "results", "kd", seed, 0.9, task=task)
    build(tmp_path / "results", tmp_path / "out")
    listed = json.loads((tmp_path / "out/api/index.json").read_text())["boards"]
    weak = {board["task"]: board["weakness"] for board in listed}
    assert weak["sts"] == "" and weak["glue/cola"].startswith("This board cannot tell students apart")
    page = (tmp_path / "out/index.html").read_text()
    assert page.index(">sts, mini track") < page.index(">glue/cola, mini track") and weak["glue/cola"] in page


def test_a_run_that_kept_its_start_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = labelled(tmp_path, "kd", 0, 0.9, metrics__choices=[START])
    labelled(tmp_path, "kd", 1, 0.9)
    assert kept.kept_start and not make().kept_start
    (row,) = (row for row in board_of(tmp_path)["rows"] if row["method"])
    assert row["kept_start"] and [run["kept_start"] for run in row["runs"]] == [True, False]
    assert row["marks"][-1] == "kept its start with seed 0: no update made it better on dev"
    spec = SimpleNamespace(run_id=kept.run_id, values=kept.spec)
    found = outcome(spec, disk.path_of(tmp_path, kept.spec, kept.run_id), "done", Console())  # type: ignore[arg-type]
    assert found["kept_start"] and "kept its start: no update made it better on dev" in capsys.readouterr().err
    tables.show(tables.runs({"runs": [found]}))
    assert "kept its start" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("steps", "stages", "kept"),
    [([0], 1, True), ([0, 0], 2, True), ([0, 40], 2, False), ([0], 2, False), ([], 1, False)],
)
def test_every_stage_has_to_have_kept_its_start(steps: list[int], stages: int, kept: bool) -> None:
    """A stage that ends with its last state makes no choice, and has moved the student."""
    record = make(
        metrics__choices=[START | {"step": step} for step in steps], cost__stages={str(n): 40 for n in range(stages)}
    )
    assert record.kept_start is kept
