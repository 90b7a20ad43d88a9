"""Energy counters: files as the kernel writes them, counters that go round, and estimates that say so."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from bench.measuring import noise
from bench.measuring.energy import WATTS, Estimate, Rapl, meter, ranked
from bench.records.derived import reasons


def domain(root: Path, name: str, energy: int, span: int = 1_000_000) -> Path:
    folder = root / name
    folder.mkdir()
    (folder / "energy_uj").write_text(f"{energy}\n")
    (folder / "max_energy_range_uj").write_text(f"{span}\n")
    return folder


def test_rapl_adds_packages_and_survives_a_counter_that_goes_round(tmp_path):
    one, two = domain(tmp_path, "intel-rapl:0", 900_000), domain(tmp_path, "intel-rapl:1", 5)
    domain(tmp_path, "intel-rapl:0:0", 77)  # a part of package 0: counted in it already
    counter = Rapl(tmp_path)
    (one / "energy_uj").write_text("950000")
    assert counter.joules() == pytest.approx(0.05)
    (one / "energy_uj").write_text("20000")  # round: 50,000 to the end, and 20,000
    (two / "energy_uj").write_text("300005")
    assert counter.joules() == pytest.approx(0.05 + 0.07 + 0.3)
    with pytest.raises(OSError, match="no RAPL domain"):
        Rapl(tmp_path / "nowhere")


def test_an_estimate_follows_cpu_time_and_is_never_ranked():
    counter = Estimate()
    before, cpu = counter.joules(), time.process_time()
    while time.process_time() - cpu < 0.2:
        pass
    assert counter.joules() - before == pytest.approx(0.2 * WATTS, rel=0.1)
    assert not ranked(counter.source) and ranked(Rapl.source)
    assert meter(torch.device("cpu")) is not None


def test_what_makes_a_measurement_noisy():
    quiet = {"spread": 0.04, "foreign": 0.04, "load": 9.0, "steal": 0.04, "clock": 0.01}
    assert reasons(quiet) == []
    assert reasons(quiet | {"foreign": 0.4}) == ["other processes used 40.0% of the cores"]
    assert len(reasons({"spread": 0.06, "foreign": 0.06, "clock": 0.06})) == 3


def test_the_watch_sees_its_own_work_as_its_own():
    if not noise.cpu_times():
        pytest.skip("this system does not tell what its cores do")
    before = noise.cpu_times()["busy"]
    start = time.process_time()
    while time.process_time() - start < 0.5:
        pass
    assert noise.cpu_times()["busy"] - before > 0.4
