"""The devices that a command may ask for, and what each of them means where it is and where it is not."""

from __future__ import annotations

import pytest
import torch

from bench.base import processes
from bench.errors import RequestError
from bench.measuring import machine
from bench.measuring.clock import Clock
from bench.runs.sweep import choose_device
from bench.training import checkpoint


def test_a_mac_is_asked_for_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("mps") == torch.device("mps") and choose_device("auto") == torch.device("cpu")
    assert machine.device_name(torch.device("mps")).startswith("GPU of ")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(RequestError, match="torch sees no GPU of a Mac here"):
        choose_device("mps")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("LOCAL_RANK", "0")
    with pytest.raises(RequestError, match="the GPU of a Mac runs one process"):
        processes.start("mps")


def test_its_clock_waits_until_it_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    monkeypatch.setattr(torch.mps, "synchronize", lambda: order.append("wait"))
    assert Clock(torch.device("mps")).time(lambda: order.append("call")) > 0
    assert order == ["wait", "call", "wait"]


def test_a_checkpoint_has_its_random_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    state, told = torch.arange(3, dtype=torch.uint8), list[torch.Tensor]()
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: state)
    monkeypatch.setattr(torch.mps, "set_rng_state", told.append)
    checkpoint.set_random_state(checkpoint.random_state())
    assert told[0] is state
