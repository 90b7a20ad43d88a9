"""`bench recommend --here`: speeds of this machine in the place of those that records tell, of what can be built."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bench.board import here, leaderboard
from bench.board.limits import Limits
from bench.board.recommend import recommend
from bench.errors import RequestError
from bench.records.schemas import Record
from tests.board.test_recommend import exporting, path_for, student
from tests.factories.commands import bench, refused
from tests.factories.runs import Finished

CLOCK = {"device": "CPU: mine", "threads": 2, "scope": "model", "inputs": 16, "noise": []}


def told(run_id: str, teacher_ms: float, faster: float) -> dict[str, Any]:
    """A session of a teacher and a student."""
    latency = {"latency": {"single": {"p50_ms": teacher_ms}}, "throughput": {"offline_per_s": 100.0}}
    ratio = {"value": faster, "ci95": (faster - 0.1, faster + 0.1)}
    return CLOCK | {"models": {"teacher": latency}, "speedups": {run_id: {"single": ratio, "offline": ratio}}}


def put(folder: Path, *records: Record) -> None:
    for record in records:
        path_for(folder, record).write_text(record.model_dump_json(by_alias=True))


def test_latencies_are_those_of_here_and_what_was_not_built_has_none(tmp_path: Path) -> None:
    quick, slow, odd = student("kd", 0.7, 2, 1_000), student("rkd", 0.75, 4, 2_000), student("disco", 0.6, 1, 3_000)
    put(tmp_path, quick, slow, odd)

    def timing(records: list[Record]) -> Any:
        assert {r.run_id for r in records} == {quick.run_id, slow.run_id, odd.run_id}
        found = {quick.run_id: told(quick.run_id, 40.0, 5.0), slow.run_id: told(slow.run_id, 44.0, 11.0)}
        return SimpleNamespace(found=found, why_not={odd.run_id: "its file is not here"})

    answer = recommend(tmp_path, "sts", "mini", Limits(max_latency_ms=5), exporting, timing=timing)
    latency = {row["method"]: row["latency_ms"] for key in ("recommended", "rejected") for row in answer[key]}
    # the teacher takes 42 ms, the median of its sessions; each student that over its own speed-up
    assert latency == {"kd": 42 / 5, "rkd": 42 / 11, "disco": None}
    assert [row["method"] for row in answer["recommended"]] == ["rkd"], "on the record's machine kd was the faster one"
    assert answer["teacher"]["latency_ms"] == 42 and answer["hardware"]["device"] == "CPU: mine"
    assert list(answer["not_timed"].values()) == ["its file is not here"]


def test_of_equal_networks_the_run_that_asks_for_least_is_built(tmp_path: Path) -> None:
    """A corpus may be missing here, or a run that came first."""
    every = [student(method, 0.7, 2, 1_000, seed) for method in ("sparse", "finetune", "kd") for seed in range(2)]
    put(tmp_path, *every)
    found, (board,) = leaderboard.chosen(tmp_path, "sts", "mini")

    def timing(records: list[Record]) -> Any:
        (one,) = records
        assert one.spec["method"] == "finetune"
        return SimpleNamespace(found={one.run_id: told(one.run_id, 40.0, 5.0)}, why_not={})

    timed, why = here.retimed(board, found, timing)
    assert why == {} and all(row.speed for row in timed.rows if row.method)


def test_nothing_that_can_be_built_is_one_sentence(tmp_path: Path) -> None:
    record = student("kd", 0.7, 2, 1_000)
    put(tmp_path, record)
    found, (board,) = leaderboard.chosen(tmp_path, "sts", "mini")
    with pytest.raises(RequestError, match="nothing of this board can be timed here: no data"):
        here.retimed(board, found, lambda _: SimpleNamespace(found={}, why_not={record.run_id: "no data"}))


def test_a_board_is_timed_once_and_kept(finished: Finished, tmp_path: Path) -> None:
    asked = ("recommend", "--task", "sts", "--here", "--results", finished.results)
    first, again = (json.loads(bench(*asked, "--json", cache=tmp_path).out) for _ in range(2))
    assert first == again, "the second answer has the stored times"
    rows = [first["teacher"], *first["recommended"]]
    assert all(row["latency_ms"] > 0 for row in rows) and first["hardware"]["inputs"]
    assert first["not_timed"] == {}
    refused(bench(*asked, "--device", "EPYC", check=None), "--here times this machine: leave out --device")
