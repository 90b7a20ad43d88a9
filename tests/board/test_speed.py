"""One speed for one network: from which sessions it is, and that latency and speed-up never contradict each other."""

from __future__ import annotations

from typing import Any

import pytest

from bench.board import leaderboard
from bench.board.leaderboard import Row
from bench.board.speed import Speed
from bench.records.schemas import Record
from tests.factories.records import make, size


def session(name: str, teacher_ms: float, ratio: float, noisy: bool = False) -> dict[str, Any]:
    """What a session says: its samples, the teacher's latency and the paired speed-up; offline a tenth more."""
    speedup, offline = ({"value": r, "ci95": (r - 0.1, r + 0.1)} for r in (ratio, 1.1 * ratio))
    return {
        "efficiency__samples": {"file": f"{name}.samples.npz", "sha256": name * 64},
        "efficiency__speedup": speedup, "efficiency__speedups": {"single": speedup, "offline": offline},
        "efficiency__latency": {"single": {"p50_ms": 1.3 * teacher_ms}},  # as if something had slowed the student
        "efficiency__noisy": noisy, "teacher__efficiency": size(22_713_216, 90_868_376, teacher_ms, 1000 / teacher_ms),
    }  # fmt: skip


def speeds(*found: Record) -> dict[str, Speed]:
    """Of each row on the only hardware."""
    (board,) = leaderboard.rows(found)
    (hardware,) = board.hardware
    rows: list[Row] = list(board.rows)
    return {row.name: row.speed[hardware] for row in rows}


def test_rows_of_one_network_have_one_speed_that_agrees_with_the_teacher_s() -> None:
    """A noisy session of one method and a quiet one of another: 18 and 7.5 ms of the teacher, as on text/trec."""
    found = speeds(
        make("kd", **session("a", 18.4, 1.6, noisy=True)), make("tinybert", **session("b", 7.6, 1.9)),
        make("pkd", **session("c", 8.0, 2.1)),
    )  # fmt: skip
    kd, teacher = found["kd bert:3"], found["teacher all-MiniLM-L6-v2"]
    assert found["tinybert bert:3"] == found["pkd bert:3"] == kd, "methods do not change speed"
    assert (kd.sessions, kd.noisy) == (2, False) and kd.speedup is not None, "the quiet ones alone"
    assert (kd.speedup.value, kd.speedup.low, kd.speedup.high) == pytest.approx((2.0, 1.8, 2.2))
    assert teacher.latency_ms == pytest.approx((7.6 + 8.0) / 2) and kd.latency_ms == pytest.approx(7.8 / 2.0)
    assert kd.offline_per_s == pytest.approx((1000 / 7.6 + 1000 / 8.0) / 2 * 1.1 * 2.0)


def test_a_faster_student_is_never_shown_slower_than_its_teacher() -> None:
    """As on CIFAR-10: timed beside a teacher of 6.2 ms in a loud session, another network in a quiet one of 2.4 ms."""
    slow = make("kd", **session("a", 6.2, 1.5, noisy=True))
    fast = make("kd", student="cnn", **session("b", 2.4, 3.0))
    found = speeds(slow, fast)
    teacher, student = found["teacher all-MiniLM-L6-v2"], found["kd bert:3"]
    assert teacher.latency_ms == 2.4 and not teacher.noisy
    assert student.noisy and student.latency_ms == pytest.approx(2.4 / 1.5) and student.latency_ms < teacher.latency_ms


def test_a_session_that_runs_share_counts_once() -> None:
    shared = [make("kd", seed, **session("a", 8.0, 4.0)) for seed in range(3)]
    found = speeds(*shared, make("kd", 3, **session("b", 8.0, 2.0)), make("kd", 4, **session("c", 8.0, 1.0)))
    assert found["kd bert:3"].sessions == 3 and found["kd bert:3"].speedup.value == 2.0  # type: ignore[union-attr]


def test_noisy_sessions_count_where_there_is_no_other() -> None:
    found = speeds(*(make("kd", s, **session("abc"[s], 8.0, 1.0 + s, noisy=True)) for s in range(3)))
    assert (found["kd bert:3"].sessions, found["kd bert:3"].noisy) == (3, True)
    assert found["kd bert:3"].latency_ms == pytest.approx(8.0 / 2.0)


def test_other_counts_are_another_network_and_other_inputs_another_column() -> None:
    wide = make("deit", efficiency__flops={"mean": 1.0}, **session("a", 8.0, 4.0))
    found = speeds(wide, make("kd", **session("b", 8.0, 2.0)))
    assert (found["deit bert:3"].latency_ms, found["kd bert:3"].latency_ms) == (2.0, 4.0)
    (board,) = leaderboard.rows([make("kd"), make("disco", efficiency__inputs=64)])
    assert [hardware.inputs for hardware in board.hardware] == [64, 128]
