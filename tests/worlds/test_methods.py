"""Methods that move more than the student: a teacher that learns too, a judge with an optimiser of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import RequestError
from bench.records.check import check
from tests.worlds.tools import alike, carried, installed, interrupted, planned, same, trained, world

TASK, STUDENT, TEACHER = world("nodes"), world("propagation", "6"), world("propagation", "12")


@pytest.mark.parametrize("method", ["both_learn", "adversarial"])
def test_a_run_leaves_a_sound_record_and_resumes_exactly(
    method: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = planned(TASK, world(method), STUDENT, TEACHER)
    record = carried(spec, tmp_path / "results")
    installed(monkeypatch, TASK)
    assert check(tmp_path / "results") == (1, [])
    assert record.cost.student_updates == 60 and record.metrics.choices[0].step > 0  # dev rose
    whole = trained(spec, tmp_path / "whole")
    assert alike(whole, interrupted(spec, tmp_path / "parts", monkeypatch))


def test_the_teacher_that_learns_is_a_copy_of_the_runs_own(tmp_path: Path) -> None:
    """What is stored, scored on test and timed is the teacher as it was. The copy moved; its passes are counted."""
    found = trained(planned(TASK, world("both_learn"), STUDENT, TEACHER), tmp_path / "both")
    plain = trained(planned(TASK, "kd", STUDENT, TEACHER), tmp_path / "plain")
    assert found.teacher.fingerprint == plain.teacher.fingerprint
    assert not same(found.teacher.network, found.trainer.networks["teacher"])
    assert not any(p.requires_grad for p in found.teacher.network.parameters())
    assert found.teacher.forwards["computed"] == 60 * 16


def test_parts_have_rates_of_their_own(tmp_path: Path) -> None:
    """A teacher whose part is at rate 0 stays; the student beside it moves."""
    text = Path(world("both_learn")).read_text().replace("Optimiser(lr=1e-3", "Optimiser(lr=0.0")
    (tmp_path / "still.py").write_text(text)
    found = trained(planned(TASK, str(tmp_path / "still.py"), STUDENT, TEACHER), tmp_path / "run")
    assert same(found.teacher.network, found.trainer.networks["teacher"])
    losses = [point["losses"]["student"] for point in found.trainer.progress.curve if point["losses"]]
    assert losses[-1] < losses[0]


def test_the_students_step_leaves_the_judge_alone(tmp_path: Path) -> None:
    """No gradient of the student's step is left at the judge, for its next update to take up."""
    found = trained(planned(TASK, world("adversarial"), STUDENT, TEACHER, "weight=0"), tmp_path)
    assert all(p.grad is None for p in found.trainer.method.judge.parameters())
    losses = [point["losses"]["judge"] for point in found.trainer.progress.curve if point["losses"]]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('moves=("student", "teacher")', 'moves=("student", "judge")', "moves judge, student, and its parts are"),
        ('moves=("student", "teacher")', 'moves=("student",)', "moves student, and its parts are student, teacher"),
        ('Role("teacher", trains=True)', '[Role("teacher", trains=True)]', "a role of its own"),
    ],
)  # fmt: skip
def test_a_stage_that_contradicts_itself_is_refused(old: str, new: str, said: str, tmp_path: Path) -> None:
    text = Path(world("both_learn")).read_text()
    assert old in text
    (tmp_path / "wrong.py").write_text(text.replace(old, new))
    with pytest.raises(RequestError, match=said):
        trained(planned(TASK, str(tmp_path / "wrong.py"), STUDENT, TEACHER), tmp_path / "run")
