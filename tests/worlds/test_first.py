"""Runs that come first: several teachers by name, and a student that starts from another run's weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.board import leaderboard
from bench.records import disk
from bench.records.check import check
from bench.runs.spec import Request, Spec, resolve
from tests.worlds.tools import alike, carried, installed, interrupted, planned, trained, world

TASK, STUDENT, TEACHER = world("nodes"), world("propagation", "6"), world("propagation", "12")
HELPERS = "helpers=" + json.dumps([world("propagation", "7"), STUDENT])


def plan(*more: str) -> Spec:
    return planned(TASK, world("started"), STUDENT, TEACHER, HELPERS, *more)


def test_a_start_is_part_of_the_run_id_and_is_where_training_begins(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec, plain = plan(f"start={STUDENT}"), plan()
    assert spec.run_id != plain.run_id and "starts" not in plain.values["versions"]
    assert spec.values["versions"]["starts"] == [s.run_id for w, s in spec.wanted if w.use == "starts"]
    carried(spec, tmp_path / "results")
    record = disk.read(disk.path_of(tmp_path / "results", spec.values, spec.run_id))
    start = next(s for w, s in spec.wanted if w.use == "starts")
    begun = disk.read(disk.path_of(tmp_path / "results", start.values, start.run_id))
    assert record.student.origin == f"run {start.run_id}"
    assert record.curve[0]["dev"] == pytest.approx(begun.metrics.dev, abs=1e-6)
    installed(monkeypatch, TASK)
    assert check(tmp_path / "results") == (3, [])  # a helper and the start are one run


def test_the_cost_of_what_came_first_is_counted_once_and_shown(tmp_path: Path) -> None:
    spec = plan(f"start={STUDENT}")
    record = carried(spec, tmp_path)
    others = [r for r in disk.read_all(tmp_path) if r.run_id != record.run_id]
    assert all(r.cost.before is None for r in others) and record.cost.before is not None
    assert record.cost.before.runs == len(others) == 2
    assert record.cost.before.student_updates == sum(r.cost.student_updates for r in others) == 120
    assert record.cost.before.seconds == pytest.approx(sum(r.cost.seconds for r in others))
    (board,) = leaderboard.rows([record, *others])
    (row,) = [row for row in board.rows if row.method == "started"]
    (speed,) = row.speed.values()
    assert speed.seconds == pytest.approx(record.cost.train_seconds + sum(r.cost.seconds for r in others), abs=1)
    assert speed.seconds == record.cost.seconds > record.cost.train_seconds


def test_a_record_of_a_run_that_needed_none_says_nothing_of_it(tmp_path: Path) -> None:
    """So its bytes are those of before such a thing was counted."""
    carried(planned(TASK, "kd", STUDENT, TEACHER), tmp_path)
    (path,) = disk.paths(tmp_path)
    raw = json.loads(path.read_text())
    assert "before" not in raw["cost"] and raw == json.loads(
        disk.read(path).model_dump_json(by_alias=True, exclude_defaults=True)
    )


def test_an_interrupted_run_gives_the_same_student(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = plan(f"start={STUDENT}")
    for _, other in spec.wanted:
        carried(other, tmp_path / "results")
    assert alike(trained(spec, tmp_path / "whole"), interrupted(spec, tmp_path / "parts", monkeypatch))


def test_seeds_share_a_row_though_each_starts_from_a_run_of_its_own(tmp_path: Path) -> None:
    settings = [HELPERS, f"start={STUDENT}"]
    request = Request([TASK], [world("started")], [STUDENT], TEACHER, seeds=[0, 1], settings=settings)
    for spec in resolve(request):
        carried(spec, tmp_path)
    (board,) = leaderboard.rows(disk.read_all(tmp_path))
    (row,) = [row for row in board.rows if row.method == "started"]
    assert [seed for seed, _ in row.runs] == [0, 1] and not row.differs


def test_a_cost_of_runs_that_nobody_asked_for_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    carried(planned(TASK, "kd", STUDENT, TEACHER), tmp_path)
    (path,) = disk.paths(tmp_path)
    raw = json.loads(path.read_text())
    raw["cost"]["before"] = {"runs": 1, "student_updates": 60, "teacher_forwards": 0, "seconds": 1.0}
    path.write_text(json.dumps(raw))
    installed(monkeypatch, TASK)
    assert [p.problem for p in check(tmp_path)[1]] == ["cost.before counts 1 runs that came first, the spec names 0"]


def test_a_run_of_another_task_starts_and_teaches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Another graph, with four classes: its head does not fit and is left, its body is where training begins."""
    source = Path(TASK).read_text().replace("integers(3, ", "integers(4, ").replace("np.eye(3, 8)", "np.eye(4, 8)")
    (tmp_path / "others.py").write_text(source.replace('"b", "c")', '"b", "c", "d")'))
    settings = [f"elsewhere.task={tmp_path / 'others.py'}", f"elsewhere.student={STUDENT}"]
    spec = planned(TASK, world("elsewhere"), STUDENT, TEACHER, *settings)
    record = carried(spec, tmp_path / "results")
    ((_, other), _) = spec.wanted
    assert other.values["task"] == "others" and record.student.origin == f"run {other.run_id}"
    assert record.cost.before is not None and record.cost.before.runs == 1
    for task in (TASK, str(tmp_path / "others.py")):
        installed(monkeypatch, task)
    assert check(tmp_path / "results") == (2, [])
    assert alike(trained(spec, tmp_path / "whole"), interrupted(spec, tmp_path / "parts", monkeypatch))
