"""A session of the clock is kept and shared by networks of one shape, and by no others."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from bench.measuring import cache as timings
from bench.measuring.clock import Effort
from tests.factories.spinning import Spinning

EFFORT = Effort(inputs=4, rounds=5, seconds=0.1, most=10, limit=1.0)
SAMPLES = {"single": {"teacher": [[1, 2], [3]], "student": [[4], [5, 6]]}}


def session(calls):
    def measure():
        calls.append(1)
        return {
            "samples": SAMPLES,
            "notes": ["a"],
            "noise": [],
            "seen": {"load": np.float64(0.5)},
            "threads": len(calls),
        }

    return measure


@pytest.fixture
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    return tmp_path


def test_the_second_run_reads_the_first_ones_session_and_says_so(cache):
    calls = []
    first, second = (timings.once("key", session(calls)) for _ in range(2))
    assert len(calls) == 1 and first["notes"] == ["a"] and second["notes"] == ["a", timings.NOTE]
    for name in ("samples", "noise", "threads", "measured", "commit", "dirty"):
        assert second[name] == first[name], name
    assert second["seen"] == {"load": 0.5}


def test_anew_and_after_damage_it_is_timed_again(cache):
    calls = []
    timings.once("key", session(calls))
    again = set[str]()
    assert [timings.once("key", session(calls), again)["threads"] for _ in range(2)] == [2, 2]  # once a command
    assert timings.once("key", session(calls))["threads"] == 2  # the new session has replaced the old
    (cache / "timings/key/session.json").write_bytes(b'{"half')
    assert timings.once("key", session(calls))["threads"] == 3


def shape(width, cls=nn.Linear):
    network = Spinning(1.0)
    network.extra = cls(width, width)
    return network


def test_weights_do_not_count_and_all_else_does():
    torch.manual_seed(0)
    key = timings.key_of({"teacher": shape(4), "student": shape(2)}, ["a"], EFFORT, (8,))
    assert key == timings.key_of({"teacher": shape(4), "student": shape(2)}, ["a"], EFFORT, (8,))
    longer = Effort(**(vars(EFFORT) | {"rounds": 6}))
    others = [
        timings.key_of({"teacher": shape(4), "student": shape(3)}, ["a"], EFFORT, (8,)),
        timings.key_of({"teacher": shape(2), "student": shape(4)}, ["a"], EFFORT, (8,)),
        timings.key_of({"teacher": shape(4), "student": shape(2)}, ["b"], EFFORT, (8,)),
        timings.key_of({"teacher": shape(4), "student": shape(2)}, ["a"], longer, (8,)),
        timings.key_of({"teacher": shape(4), "student": shape(2)}, ["a"], EFFORT, (16,)),
    ]
    assert len({key, *others}) == 6
