"""The board's numbers against numbers worked out here, and what may and may not share a row or a column."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.board import leaderboard
from bench.board.leaderboard import Board, Row, combined
from bench.errors import RequestError
from bench.records.schemas import Interval, Record
from tests.factories.records import CPU, TRACK, make, settings


def only(found: list[Board]) -> Board:
    assert len(found) == 1
    return found[0]


def row_of(board: Board, method: str) -> Row:
    return next(row for row in board.rows if row.method == method)


def test_a_row_is_the_mean_of_its_seeds_with_the_stated_interval() -> None:
    values = [0.70, 0.76, 0.73]
    row = row_of(only(leaderboard.rows(make(seed=s, value=v) for s, v in enumerate(values))), "kd")
    half = 1.96 * np.sqrt(np.var(values, ddof=1) / 3 + np.mean([(0.07 / 3.92) ** 2] * 3))
    assert row.score is not None and row.retention is not None
    assert np.allclose([row.score.value, row.score.low, row.score.high], [0.73, 0.73 - half, 0.73 + half])
    assert row.retention == pytest.approx(0.73 / 0.8)
    assert [seed for seed, _ in row.runs] == [0, 1, 2] and not row.few_seeds


def test_seeds_share_a_row_though_each_has_its_own_assistants() -> None:
    def versions(seed: int, *more: str) -> dict[str, Any]:
        assistants = [f"{seed:016x}", *more]
        return {"teacher": "mini==0.1#", "task": 1, "method": 1, "student": 1, "assistants": assistants}

    board = only(leaderboard.rows(make("takd", s, versions=versions(s)) for s in range(3)))
    assert [len(row.runs) for row in board.rows if row.method] == [3]
    both = [make("takd", 0, versions=versions(0)), make("takd", 1, versions=versions(1, "a" * 16))]
    assert len([row for row in only(leaderboard.rows(both)).rows if row.method]) == 2


def test_one_seed_keeps_its_own_interval_and_is_marked() -> None:
    row = row_of(only(leaderboard.rows([make(value=0.75)])), "kd")
    assert row.score is not None and row.few_seeds
    assert (row.score.value, row.score.low, row.score.high) == (0.75, pytest.approx(0.71), pytest.approx(0.78))


def test_seeds_that_agree_leave_the_bootstrap_part_whole() -> None:
    one = Interval(value=0.5, ci95=(0.4, 0.6))
    assert combined([one] * 10).high == pytest.approx(0.6)


def test_speed_and_cost_of_a_row() -> None:
    board = only(leaderboard.rows(make(seed=s) for s in range(3)))
    row, hardware = row_of(board, "kd"), board.hardware[0]
    speed = row.speed[hardware]
    assert (hardware.device, hardware.threads, hardware.scope) == (CPU, 2, "model only")
    assert speed.speedup is not None and (speed.sessions, speed.noisy) == (3, False)
    assert (speed.speedup.value, speed.speedup.low, speed.speedup.high) == (pytest.approx(1.9), pytest.approx(1.6), 2.1)
    assert speed.latency_ms == pytest.approx(8 / 1.9), "the teacher's latency over the paired speed-up"
    assert speed.offline_per_s == pytest.approx(200 * 1.9)
    assert speed.seconds == pytest.approx(11 + 5), "whether or not the store served the teacher"
    assert (row.updates, row.teacher_forwards) == (80, 1000)
    assert (row.parameters.low, row.active.high, row.disk_bytes.low) == (17_389_824, 5_471_232, 69_571_560)


def test_the_teacher_is_the_first_row_and_the_rest_fall() -> None:
    board = only(leaderboard.rows([make("a", value=0.6), make("b", value=0.9), make("c", value=0.7)]))
    assert [r.method for r in board.rows] == ["", "b", "c", "a"]
    teacher = board.rows[0]
    assert teacher.score is not None
    assert (teacher.teacher, teacher.score.low, teacher.score.high) == ("all-MiniLM-L6-v2", 0.7, 0.88)
    assert teacher.score.value == pytest.approx(0.8)
    assert teacher.speed[board.hardware[0]].latency_ms == 8.0 and teacher.retention == 1.0 and not teacher.runs


def test_two_teachers_are_two_rows_told_apart() -> None:
    other = make(versions={"teacher": "mini==0.2#", "task": 1, "method": 1, "student": 1})
    board = only(leaderboard.rows([make(), other]))
    assert {r.differs for r in board.rows if not r.method} == {("mini==0.1#",), ("mini==0.2#",)}
    assert {r.differs for r in board.rows if r.method} == {
        ("teacher version=mini==0.1#",),
        ("teacher version=mini==0.2#",),
    }


def test_rows_of_one_method_say_what_differs() -> None:
    runs = [make("disco", settings=settings(queue=q, replicate=False, stages="both")) for q in (1024, 65536)]
    runs.append(make("kd", settings=settings(temperature=2.0)))
    board = only(leaderboard.rows(runs))
    assert {(r.method, r.differs) for r in board.rows if r.method} == {
        ("disco", ("queue=1024",)), ("disco", ("queue=65536",)), ("kd", ()),
    }  # fmt: skip


def test_what_a_row_lacks_is_said_where_nothing_else_tells_it_apart() -> None:
    """Of one row with `a`, one with `b` and one with both, only what each has is told; of two with the same, what the
    one of them lacks is, as a name that is the other's too is none."""
    runs = [make(settings=settings(**own)) for own in ({"a": 1}, {"b": 2}, {"a": 1, "b": 2})]
    board = only(leaderboard.rows(runs))
    assert sorted(r.differs for r in board.rows if r.method) == [("a=1",), ("a=1", "b=2"), ("b=2",)]
    views = [
        {"track": TRACK, "method": {"a": 1}, "student": {}},
        {"track": TRACK, "method": {"a": 1}, "student": {"c": ""}},
    ]
    board = only(leaderboard.rows([make(settings=own) for own in views]))
    assert sorted(r.differs for r in board.rows if r.method) == [("bert.c not set",), ("no bert.c",)]


def test_another_track_is_said_between_rows_of_one_student_alone() -> None:
    """Rows of other students are no pair that a board compares, and settings tell no two of them apart."""
    short = {"track": TRACK | {"updates": 40}, "method": {"lr": 2e-4}, "student": {"filters": 3}}
    board = only(leaderboard.rows([make(), make("a", settings=short), make(student="cnn", settings=short)]))
    assert {(r.method, r.student, r.differs) for r in board.rows if r.method} == {
        ("kd", "bert:3", ("bert.init=teacher", "updates=80")),
        ("a", "bert:3", ("bert.filters=3", "updates=40")),
        ("kd", "cnn", ()),
    }  # fmt: skip


def test_files_and_digests_are_said_in_short_where_that_tells_them_apart() -> None:
    def said(*corpora: str) -> list[tuple[str, ...]]:
        runs = [make(settings=settings(corpus=corpus)) for corpus in corpora]
        return sorted(r.differs for r in only(leaderboard.rows(runs)).rows if r.method)

    assert said("", "data/own/texts.txt") == [(), ("corpus=texts.txt",)]
    assert said("a/texts.txt", "b/texts.txt") == [("corpus=a/texts.txt",), ("corpus=b/texts.txt",)]
    versions = [{"teacher": f"taught {c * 24}", "task": 1, "method": 1, "student": 1} for c in "ab"]
    board = only(leaderboard.rows([make(versions=v) for v in versions]))
    assert {r.differs for r in board.rows if r.is_teacher} == {("taught aaaaaaaa",), ("taught bbbbbbbb",)}


def test_a_setting_that_one_row_lacks_and_a_student_setting() -> None:
    init = {"track": TRACK, "method": {"lr": 2e-4}, "student": {"init": "random"}}
    board = only(leaderboard.rows([make(), make(settings=init), make("b", settings=settings()), make("b")]))
    assert {(r.method, r.differs) for r in board.rows if r.method} == {
        ("kd", ("bert.init=teacher",)), ("kd", ("bert.init=random",)),
        ("b", ("lr=0.0002", "bert.init=teacher")), ("b", ("bert.init=teacher",)),
    }  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"task": "glue/sst2"},
        {"track": "lite"},
        {"data__identity": "e" * 16},
        {"versions": {"teacher": "mini==0.1#", "task": 2, "method": 1, "student": 1}},
        {"metrics__main": {"name": "pearson", "dataset": "lee", "value": 0.5, "ci95": (0.4, 0.6)}},
    ],
)
def test_what_cannot_be_compared_is_another_board(change: dict[str, Any]) -> None:
    found = leaderboard.rows([make(), make(seed=1, **change)])
    assert len(found) == 2 and found[0].slug != found[1].slug


def test_boards_come_by_task_and_from_the_small_track_to_the_large() -> None:
    found = leaderboard.rows(make(track=t, task=n) for n in ("b", "a") for t in ("full", "mini", "lite"))
    assert [(b.task, b.track) for b in found] == [(n, t) for n in "ab" for t in ("mini", "lite", "full")]


def test_other_hardware_never_shares_a_column() -> None:
    gpu = make("b", efficiency__device="Testium GPU", efficiency__noisy=True)
    threads = make("c", efficiency__threads=4)
    scope = make("d", efficiency__scope="with tokenizer")
    board = only(leaderboard.rows([make("a"), gpu, threads, scope]))
    assert len(board.hardware) == 4
    assert all(len(r.speed) == 4 for r in board.rows), "one network, timed on each, whatever method made its weights"
    own = {clock.device: speed for clock, speed in row_of(board, "b").speed.items() if speed.seconds is not None}
    assert [(device, speed.noisy) for device, speed in own.items()] == [("Testium GPU", True)], "where it was trained"


def test_unknown_stays_unknown() -> None:
    runs = [make(seed=0, efficiency__latency={}), make(seed=1, metrics__retention=None)]
    board = only(leaderboard.rows(runs))
    row = row_of(board, "kd")
    assert row.retention is None, "a mean over the known ones would stand for all"
    assert row.speed[board.hardware[0]].latency_ms == pytest.approx(8 / 1.9), "another session timed the network"
    board = only(leaderboard.rows([make(efficiency__latency={})]))
    assert row_of(board, "kd").speed[board.hardware[0]].latency_ms is None


def test_missing_baselines_come_with_their_command() -> None:
    board = only(leaderboard.rows([make("disco"), make("kd"), make("disco", student="cnn")]))
    assert [(m.method, m.students) for m in board.missing] == [("finetune", ("bert:3", "cnn")), ("kd", ("cnn",))]
    assert board.missing[1].command == (
        "bench run --task sts --track mini --method kd --student cnn --teacher all-MiniLM-L6-v2 --seeds 0,1,2"
    )
    complete = only(leaderboard.rows([make("kd"), make("finetune")]))
    assert not complete.missing


def test_a_baseline_of_another_length_is_missing() -> None:
    """Its command has the settings of the track and the teacher of the rows that it is for, and none of a method's."""
    longer = {"track": TRACK | {"updates": 20}, "method": {"queue": 9}, "student": {"init": "teacher"}}
    words = "bench run --task sts --method disco --set updates=20 --set=track.teach=8 --set disco.queue=9 --set x.y=1"
    found = [make("disco", settings=longer), make("kd", settings=longer)]
    for record in found:
        record.provenance.command = words
    (gap,) = only(leaderboard.rows([make("kd"), make("finetune"), *found])).missing
    assert (gap.method, gap.students) == ("finetune", ("bert:3",))
    assert gap.command == (
        "bench run --task sts --track mini --method finetune --student bert:3 --set updates=20 --set track.teach=8 "
        "--teacher all-MiniLM-L6-v2 --seeds 0,1,2"
    )


def test_a_pruned_student_asks_for_no_baseline_of_the_name_that_it_began_with() -> None:
    runs = [make(m) for m in ("kd", "finetune")]
    assert not only(leaderboard.rows([*runs, make("grain", student="bert:6")])).missing
    assert [gap.students for gap in only(leaderboard.rows([*runs, make("disco", student="bert:6")])).missing] == [
        ("bert:6",), ("bert:6",),
    ]  # fmt: skip


def test_order_of_the_records_does_not_matter() -> None:
    runs = [make(m, s, v) for m in ("kd", "finetune") for s, v in enumerate((0.7, 0.71, 0.72))]
    assert leaderboard.rows(runs) == leaderboard.rows(reversed(runs))


def test_a_run_that_is_there_twice_is_told_and_counts_once(capsys: pytest.CaptureFixture[str]) -> None:
    one, two = make(), make(run_id="0" * 16, spec=make().spec)
    found = leaderboard.rows([one, two.model_copy(update={"run_id": "0" * 16, "spec": one.spec})])
    assert "same run as" in capsys.readouterr().err
    assert [row.runs for row in found[0].rows if row.method] == [((0, "0" * 16),)]


def test_a_spec_that_does_not_say_what_was_run_is_an_error() -> None:
    record = make()
    del record.spec["student"]
    with pytest.raises(RequestError, match=rf"{record.run_id} is not a valid record: spec.student: Field required"):
        leaderboard.rows([record])


def test_the_factory_is_a_valid_record() -> None:
    assert Record.model_validate_json(make().model_dump_json(by_alias=True)) == make()
