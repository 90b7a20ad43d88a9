"""A teacher that reads the answers: it teaches, has no row on test, and everything that reads records lives with it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.board import leaderboard
from bench.board.compared import compare
from bench.board.limits import Limits
from bench.board.recommend import recommend
from bench.errors import BenchError, RequestError
from bench.records import disk
from bench.records.arrays import unpack
from bench.records.check import check
from bench.training.evaluation import Evaluation
from tests.worlds.tools import TOY, alike, carried, installed, interrupted, planned, trained, world

TEACHER = world("told", "8")


@pytest.fixture
def results(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Two runs under the same teacher."""
    installed(monkeypatch, TOY)
    for method in ("kd", "finetune"):
        carried(planned(TOY, method, "bow:8", TEACHER), tmp_path / "results")
    return tmp_path / "results"


def test_the_record_says_that_there_is_no_row_on_test(results: Path) -> None:
    for path in disk.paths(results):
        record = disk.read(path)
        assert record.teacher.main is None and record.teacher.metrics is None and record.metrics.retention is None
        assert record.metrics.loyalty == {} and "teacher" not in unpack(path.with_suffix(".npz"))["digits"]
    assert check(results) == (2, [])


def test_its_own_record_says_that_its_dev_score_was_told(results: Path) -> None:
    (path,) = (results / "teachers").glob("*.json")
    taught = disk.read_teacher(path)
    assert taught.told and taught.dev > 0.9 and taught.model == "told:8"


def test_a_record_cannot_claim_a_row_that_its_files_do_not_hold(results: Path) -> None:
    path = disk.paths(results)[0]
    raw = json.loads(path.read_text())
    raw["teacher"] |= {"main": raw["metrics"]["main"], "metrics": raw["metrics"]["all"]}
    path.write_text(json.dumps(raw))
    assert any("digits holds" in problem.problem for problem in check(results)[1])


def test_boards_comparisons_and_advice_live_without_its_score(results: Path) -> None:
    (board,) = leaderboard.rows(disk.read_all(results))
    (teacher,) = [row for row in board.rows if not row.method]
    assert teacher.score is None and teacher.retention is None
    assert compare(results, "toy", "kd", "finetune")["examples"] == 100
    with pytest.raises(RequestError, match="told the answers"):
        compare(results, "toy", "kd", "teacher")
    answer = recommend(results, "toy", "mini", Limits(), lambda record: ([], "none"))
    assert answer["teacher"]["score"] is None and len(answer["recommended"]) == 2
    answer = recommend(results, "toy", "mini", Limits(min_retention=0.5), lambda record: ([], "none"))
    assert not answer["recommended"] and "no score" in answer["rejected"][0]["misses"][0]["reason"]


def test_the_site_is_built(results: Path, tmp_path: Path) -> None:
    from bench.web.build import build

    build(results, tmp_path / "site")
    pages = [path.read_text() for path in (tmp_path / "site").rglob("*.html")]
    assert any("is told the answers" in page for page in pages)


def test_it_teaches_and_an_interrupted_run_is_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = planned(TOY, "kd", "bow:8", TEACHER)
    whole = trained(spec, tmp_path / "whole")
    assert whole.teacher.forwards["computed"] + whole.teacher.forwards["reused"] == 96
    assert alike(whole, interrupted(spec, tmp_path / "parts", monkeypatch))
    with pytest.raises(BenchError, match="not told those of test"):
        spec.task.unseal()
        Evaluation(spec.task, "test").outputs(whole.teacher.network)


def test_it_is_no_student(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="be no student"):
        trained(planned(TOY, "kd", world("told", "8"), "bow:8"), tmp_path)
